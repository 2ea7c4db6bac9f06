"""Speculation and decode context parallelism in a launch command: what it asks for, as far as it is modelled.

vLLM 0.33.0 ``vllm/config/speculative.py``; SGLang 0.5.23 ``sglang/srt/arg_groups/speculative_hook.py`` and
``fields/spec.py``; TensorRT-LLM 1.2 ``tensorrt_llm/llmapi/llm_args.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from costmodel.architecture import Architecture
from costmodel.drafts.drafter import KINDS, Drafter
from costmodel.plans import Plans
from search.base.errors import InputError
from search.commands.audit.command import Command, whole
from search.commands.audit.passed import BYTES, TIMES
from search.inputs.schema import DRAFTS, Config
from search.optimizer.speculation.asked import ASSUMED, acceptance_of
from search.optimizer.speculation.rules import draft_rules, modelled

# Keys of vLLM's JSON that change no figure beside those that are read.
_PASSED = {
    "method", "model", "num_speculative_tokens", "prompt_lookup_max", "prompt_lookup_min", "quantization", "revision",
    "max_model_len", "code_revision", "disable_padded_drafter_batch", "draft_load_config", "moe_backend",
}  # fmt: skip
# SGLang's steps, breadth and drafts where nothing is said (_auto_choose_speculative_params): a tree for these models.
_TREE, _CHAIN, _TREES = (5, 4, 8), (3, 1, 4), ("llama", "grok")
NGRAM_TOKENS, NGRAM_BREADTH = 12, 10
SGLANG_REQUESTS = 48  # that run at once where the server drafts and --max-running-requests is not given
_TRTLLM = {"MTP": "mtp", "EAGLE": "eagle3", "EAGLE3": "eagle3", "NGRAM": "ngram"}


@dataclass(frozen=True)
class Named:
    """What a command names: one of ``KINDS`` or another ``kind``, ``tokens`` of a pass (0: not said), the ``flag`` that
    says so, ``why`` it is not modelled ("" where it is), ``refused`` rules about the options themselves."""

    kind: str
    tokens: int
    flag: str
    why: str = ""
    refused: tuple[tuple[str, str], ...] = ()


@dataclass
class Drafting:
    """``drafter`` of the server, ``None`` where there is none or where it is not modelled; what is said of it."""

    drafter: Drafter | None = None
    settings: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    opened: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)


def drafting_of(command: Command, config: Config, model: Architecture, layout: Mapping[str, int]) -> Drafting:
    """The command's drafter on a plan of ``layout``."""
    named = NAMED[command.engine](command, model)
    found = Drafting()
    if named is None:
        return found
    plan = Plans.of(**layout, batch=1)
    rules = [r for r in draft_rules(command.engine) if not r.keeps(named.kind, named.tokens, plan, model)[0]]
    found.refused += [*named.refused, *((r.name, r.arithmetic(named.kind, named.tokens, plan, model)) for r in rules)]
    given = getattr(config.space.draft, named.kind, None) if named.kind in KINDS else None
    why = named.why or _why_not(named, given, plan, found)
    if why:
        found.opened.append((named.flag, why, TIMES if named.kind == "ngram" else (*TIMES, *BYTES)))
        return found
    found.drafter = Drafter(named.kind, acceptance_of(named.kind, given, named.tokens))  # type: ignore[arg-type]
    chances = ", ".join(f"{chance:.2f}" for chance in found.drafter.acceptance)
    origin = f"space.draft.{named.kind}" if given is not None else f"assumed; space.draft.{named.kind} says otherwise"
    found.settings.append(
        f"{named.kind} drafts {named.tokens} tokens a pass, accepted {chances} ({origin}), {found.drafter.gained:.2f} "
        f"tokens a pass ({named.flag})"
    )
    return found


def _why_not(named: Named, given: Any, plan: Plans, found: Drafting) -> str:
    """Why no figure is worked out."""
    if found.refused:
        return "refused by the engine"
    if named.kind not in KINDS:
        return f"a drafter of this kind ({named.kind[:40]}) is not modelled"
    if not DRAFTS.low <= named.tokens <= DRAFTS.high:
        return f"{named.tokens} drafts a pass: {DRAFTS.span} are modelled"
    if not modelled(plan)[0]:
        return "drafts in a pipeline or beside split prompts are not modelled"
    if given is None and named.kind not in ASSUMED:
        return f"how often {named.kind} is right depends on the texts: give space.draft.{named.kind}=[0.5,0.4]"
    return ""


def _count(flag: str, value: Any) -> int:
    return whole(flag, str(value)) if value is not None else 0


def _vllm(c: Command, model: Architecture) -> Named | None:
    told = _vllm_options(c)
    if told is None:
        return None
    flag, named = c.flag("drafts"), str(told.get("model") or "").lower()
    method = str(told.get("method") or "").lower()
    if not method:
        method = "ngram" if named == "ngram" else "eagle3" if "eagle3" in named else "draft_model"
    kind = "mtp" if method.endswith("mtp") else "ngram" if method == "ngram_gpu" else method
    tokens = _count(f"{flag} num_speculative_tokens", told.get("num_speculative_tokens"))
    refused = []
    if not tokens and kind == "mtp":
        tokens = max(model.mtp_modules, 1)
    if not tokens and kind != "suffix":
        refused.append(("vllm.draft_tokens_given", f"{flag}: num_speculative_tokens is missing"))
    if kind == "eagle3" and not named:
        refused.append(("vllm.draft_model_named", f"{flag}: eagle3 without a model"))
    others = sorted(key for key in told if key not in _PASSED and told[key] not in (None, False))
    tp = c.whole("tp", 1)
    if "draft_tensor_parallel_size" in others and told["draft_tensor_parallel_size"] == tp:
        others.remove("draft_tensor_parallel_size")
    why = f"{', '.join(others)[:80]}: not modelled" if others else ""
    return Named(kind, tokens, flag, why, tuple(refused))


def _vllm_options(c: Command) -> dict[str, Any] | None:
    """The JSON, with the flags of older versions and those that stand for a key of it."""
    flags = {"draft_method": "method", "draft_model": "model", "draft_tokens": "num_speculative_tokens"}
    told: dict[str, Any] = {key: c.given[name] for name, key in flags.items() if name in c.given}
    told |= {name.partition(".")[2]: value for name, value in c.given.items() if name.startswith("drafts.")}
    text = c.given.get("drafts")
    if text is not None:
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise InputError(f"{c.flag('drafts')}: {text[:60]!r} is not allowed; give a JSON object")
        told |= {str(key).replace("-", "_"): value for key, value in given.items()}
    return told or None


def _sglang(c: Command, model: Architecture) -> Named | None:
    algorithm, flag = c.given.get("draft_algorithm", "").upper(), c.flag("draft_algorithm")
    if not algorithm:
        return None
    own = model.mtp_parameters > 0 or "draft_model" not in c.given
    kind = {"EAGLE3": "eagle3", "NGRAM": "ngram"}.get(algorithm, algorithm.lower())
    if algorithm in ("EAGLE", "NEXTN") and own:
        kind = "mtp"
    steps, breadth, tokens = (c.whole(n, 0) if n in c.given else None for n in _SGLANG_NUMBERS)
    refused = []
    if kind == "ngram":
        steps = (tokens or NGRAM_TOKENS) - 1
        breadth = c.whole("draft_breadth", NGRAM_BREADTH)
    elif steps is None:
        if breadth is not None or tokens is not None:
            refused.append(
                ("sglang.draft_numbers_together", f"{c.flag('draft_steps')} is missing beside the other numbers")
            )
        tree = model.name.lower().rsplit("/", 1)[-1].startswith(_TREES)
        steps, breadth, tokens = _TREE if tree else _CHAIN
    if breadth is None:
        breadth = 1
    why = f"a tree of drafts, {breadth} wide, is not modelled" if breadth > 1 else ""
    return Named(kind, steps, flag, why, tuple(refused))


_SGLANG_NUMBERS = ("draft_steps", "draft_topk", "draft_tokens")


def _trtllm(c: Command, model: Architecture) -> Named | None:
    text = c.given.get("draft_kind")
    if text is None:
        return None
    flag = "speculative_config"
    kind = _TRTLLM.get(text.upper(), text.lower())
    tokens = _count(f"{flag}.max_draft_len", c.given.get("draft_tokens"))
    refused, why = [], ""
    if kind == "mtp":
        tokens = _count(f"{flag}.num_nextn_predict_layers", c.given.get("draft_layers", "1"))
    elif kind in KINDS and not tokens:
        refused.append(("trtllm.draft_length_given", f"{flag}.max_draft_len is missing"))
    if kind == "eagle3" and "draft_model" not in c.given:
        refused.append(("trtllm.draft_model_named", f"{flag}.speculative_model is missing"))
    if kind == "ngram":
        why = "drafts on the host turn the overlap scheduler off: its work is no longer hidden"
    return Named(kind, tokens, flag, why, tuple(refused))


NAMED = {"vllm": _vllm, "sglang": _sglang, "trtllm": _trtllm}
# Rules about the options alone, which no plan can break.
OPTION_RULES = {
    "vllm.draft_tokens_given": "num_speculative_tokens is given, unless mtp takes the number of modules",
    "vllm.draft_model_named": "eagle3 names the drafter's model",
    "sglang.draft_numbers_together": "--speculative-eagle-topk and --speculative-num-draft-tokens need the steps",
    "trtllm.draft_length_given": "max_draft_len is given and above 0",
    "trtllm.draft_model_named": "Eagle3 names the drafter's model",
}
