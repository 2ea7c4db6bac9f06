"""A launch command as somebody runs it, read into the settings that it names. Nothing of it is executed;
variables have the values that the same text gives them, or none.

Values of flags that are passed over are never shown: there may be keys among them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from search.base.errors import InputError
from search.commands.audit.config_file import config_words
from search.commands.audit.options_file import FILES, options_file
from search.commands.audit.passed import is_harmless, is_switch, known_flags, touched, unmodelled
from search.commands.audit.servers import Server, servers
from search.commands.audit.spellings import flag_of, in_full, is_flag, key_of, not_known, switched
from search.render.launch.flags import SGLANG, TRTLLM, VLLM, Flag

# Settings that no other command of ours writes.
FLAGS: Mapping[str, Mapping[str, Flag]] = {
    "vllm": {
        **VLLM,
        "prefix": Flag(("--enable-prefix-caching",), "prompts share a cache", switch=True),
        "chunked": Flag(("--enable-chunked-prefill",), "a prompt may take several passes", switch=True),
        "exchange": Flag(("--all2all-backend",), "how tokens reach their experts"),
        "offload": Flag(("--cpu-offload-gb",), "GiB of the weights in host memory"),
        "eager": Flag(("--enforce-eager",), "no captured graphs", switch=True),
        "overrides": Flag(("--hf-overrides",), "keys of config.json"),
        "text_only": Flag(("--language-model-only",), "no encoder of pictures", switch=True),
        "pictures": Flag(("--limit-mm-per-prompt",), "pictures and so on of a prompt"),
        "rope": Flag(("--rope-scaling",), "rope_scaling of config.json (vLLM to 0.11)"),
        "drafts": Flag(("--speculative-config", "-sc"), "drafter, as JSON or by keys behind a point"),
        "draft_method": Flag(("--spec-method",), "method of --speculative-config"),
        "draft_model": Flag(("--spec-model", "--speculative-model"), "model of --speculative-config"),
        "draft_tokens": Flag(("--spec-tokens", "--num-speculative-tokens"), "tokens of --speculative-config"),
        "transfer": Flag(("--kv-transfer-config",), "caches that go to another server, as JSON"),
        "pool": Flag(("--disaggregation-mode",), "pool of a split plan (Dynamo)"),
        "prefills": Flag(("--is-prefill-worker",), "--disaggregation-mode prefill (Dynamo to 0.9)", switch=True),
        "decodes": Flag(("--is-decode-worker",), "--disaggregation-mode decode (Dynamo to 0.9)", switch=True),
    },
    "sglang": {
        **SGLANG,
        "no_prefix": Flag(("--disable-radix-cache",), "prompts share no cache", switch=True),
        "exchange": Flag(("--moe-a2a-backend",), "how tokens reach their experts"),
        "old_ep": Flag(("--enable-ep-moe",), "ep is the stage width (SGLang to 0.4)", switch=True),
        "old_exchange": Flag(("--enable-deepep-moe",), "--moe-a2a-backend deepep (SGLang to 0.5)", switch=True),
        "offload": Flag(("--cpu-offload-gb",), "GiB of the weights in host memory"),
        "eager": Flag(("--disable-cuda-graph",), "no captured graphs", switch=True),
        "overrides": Flag(("--json-model-override-args",), "keys of config.json"),
        "draft_algorithm": Flag(("--speculative-algorithm", "--speculative-algo"), "drafter"),
        "draft_model": Flag(("--speculative-draft-model-path", "--speculative-draft-model"), "its checkpoint"),
        "draft_steps": Flag(("--speculative-num-steps",), "drafts one after the other"),
        "draft_topk": Flag(("--speculative-eagle-topk",), "breadth of the tree of drafts"),
        "draft_tokens": Flag(("--speculative-num-draft-tokens",), "tokens that are checked at once"),
        "draft_breadth": Flag(("--speculative-ngram-max-bfs-breadth",), "breadth of NGRAM's tree"),
        "pool": Flag(("--disaggregation-mode",), "pool of a split plan"),
        "transfer": Flag(("--disaggregation-transfer-backend",), "how caches travel"),
    },
    "trtllm": {
        name: Flag(tuple(option.replace("_", "-") for option in key.options), key.counts)
        for name, key in TRTLLM.items()
        if key.options
    }
    | {
        "kv_cache": Flag(("--kv-cache-dtype",), "cache format"),
        "pool": Flag(("--disaggregation-mode",), "pool of a split plan (Dynamo)"),
    },
}
ALIASES: Mapping[str, Mapping[str, str]] = {
    "vllm": {"--device-memory-utilization": "memory"},
    "sglang": {},
    "trtllm": {"--free-gpu-memory-fraction": "memory", "--expert-parallel-size": "ep"},  # Dynamo's
}
# Flags that are read, and yet change figures that the model has no term for.
READ_AND_OPEN = ("offload", "eager", "overrides")
MODEL_FLAGS = {"vllm": ("--model",), "sglang": ("--model-path", "--model"), "trtllm": ("--model", "--model-path")}


@dataclass(frozen=True)
class Command:
    """``given`` values by the names of ``search/render/launch/flags.py``, "" for a switch that is on and "no" for one
    that is off; ``ignored`` flags that change nothing; ``unmodelled`` flags that may change the figures, with the
    reason; ``open_figures`` those that they change by more than the model can say, with the flag; ``notes`` on what
    else was passed over; ``variables`` that the text gives the server's environment; ``also``: other names that the
    text has for the model, with where they stand."""

    engine: str
    model: str
    given: Mapping[str, str]
    ignored: tuple[str, ...]
    unmodelled: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    open_figures: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    also: tuple[tuple[str, str], ...] = ()

    def flag(self, name: str) -> str:
        """How the engine spells a setting, for messages."""
        return FLAGS[self.engine][name].name if name in FLAGS[self.engine] else TRTLLM[name].name

    def whole(self, name: str, default: int) -> int:
        """A count that the command gives, or the default."""
        return default if name not in self.given else whole(self.flag(name), self.given[name])

    def share(self, name: str) -> float | None:
        """A share above 0 and up to 1, or ``None`` where it is not given."""
        if name not in self.given:
            return None
        text = self.given[name]
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0.0 < value <= 1.0:
            raise InputError(f"{self.flag(name)}: {text[:60]!r} is not allowed; give a share above 0 and up to 1")
        return value

    def amount(self, name: str, most: float = 1e15) -> float | None:
        """A number of 0 and more, with a letter as ``whole`` takes it; ``None`` where it is not given."""
        if name not in self.given:
            return None
        value = _amount(self.given[name])
        if value is None or not 0.0 <= value <= most:
            raise InputError(f"{self.flag(name)}: {self.given[name][:60]!r} is not allowed; give 0 to {most:g}")
        return value

    def on(self, name: str) -> bool:
        """Whether a switch stands there and is not turned off."""
        return self.given.get(name, "no") != "no"

    def set_in_environment(self, name: str) -> bool:
        """Whether the text sets a variable of the server's to something other than 0."""
        return self.variables.get(name, "0").lower() not in ("0", "", "false")

    def overridden(self) -> Mapping[str, Any]:
        """Keys of config.json that the command gives another value; empty where it is no JSON object."""
        found: dict[str, Any] = {}
        for name in ("overrides", "rope"):
            try:
                value = json.loads(self.given[name]) if name in self.given else {}
            except (ValueError, RecursionError):
                value = {}
            if isinstance(value, dict):
                found |= {"rope_scaling": value} if name == "rope" and value else value
        return found


def _amount(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,16}(?:\.\d{1,9})?)([kKmMgGtT]?)", text)
    if not found:
        return None
    letter = found[2]
    unit = (1000 if letter.islower() else 1024) ** ("kmgt".index(letter.lower()) + 1) if letter else 1
    return float(found[1]) * unit


def whole(flag: str, text: str) -> int:
    """A count as both engines take it: k, m, g are powers of 1000, K, M, G of 1024 (human_readable_int)."""
    value = _amount(text)
    if value is not None and value.is_integer() and 1 <= value <= 10_000_000:
        return int(value)
    if "$" in text:
        raise InputError(f"{flag}: {text[:60]!r} is not allowed; the text does not say its value: write the number")
    raise InputError(f"{flag}: {text[:60]!r} is not allowed; give a whole number from 1 to 10000000")


def read_command(engine: str, text: str, number: int | None = None) -> Command:
    """The command of ``engine`` in ``text``, the first or the ``number``-th of several; ``InputError`` in one line."""
    found = servers(engine, text)
    which = 1 if number is None else number
    if not 1 <= which <= len(found):
        raise InputError(f"--command: {number} is not allowed; the text starts {len(found)} {engine} server(s)")
    server = found[which - 1]
    notes = []
    if len(found) > 1:
        listed = "; ".join(f"{i}: {s.shown}" for i, s in enumerate(found, 1))
        notes.append(f"{len(found)} servers in the text ({listed}): this is {which}, --command N takes another")
    if server.unused:
        notes.append(f"variables passed over: {', '.join(server.unused)}")
    if server.rest:
        shown = "the line" if server.rest == "\n" else repr(server.rest)
        notes.append(f"what follows {shown} is not read")
    return replace(_read(engine, server, notes), variables=server.variables)


def _read(engine: str, server: Server, notes: list[str]) -> Command:
    tokens = _with_config(engine, server)
    spellings = {s: (name, flag.switch) for name, flag in FLAGS[engine].items() for s in flag.spellings}
    spellings |= {s: (name, False) for s, name in ALIASES[engine].items()}
    known = {*spellings, *known_flags(engine), *MODEL_FLAGS[engine]}
    given: dict[str, str] = {}
    models: list[str] = []
    eaten: list[str] = []
    ignored: dict[str, None] = {}
    open_ends: dict[str, str] = {}
    paths: dict[str, str] = {}
    served = ""
    i = 0
    while i < len(tokens):
        token = tokens[i]
        i += 1
        if not is_flag(token):
            models.append(token)
            continue
        written, value = flag_of(token)
        flag = in_full(written, known)
        if flag != written:
            notes.append(f"{written} read as {flag}")
        name, switch = spellings.get(flag, (None, is_switch(engine, flag)))
        off = flag.startswith("--no-") and "--" + flag.removeprefix("--no-") in spellings
        if off:
            name, switch = spellings["--" + flag.removeprefix("--no-")]
        if (value is None and not switch and i < len(tokens) and not is_flag(tokens[i])) or (
            switch and value is None and i < len(tokens) and tokens[i].lower() in ("true", "false")
        ):
            value = tokens[i]
            i += 1
        if flag == "--served-model-name":
            served = value or ""
        if flag in MODEL_FLAGS[engine]:
            models.insert(0, _needed(flag, value))
        elif name == "drafts" and (key := key_of(token)):
            given[f"drafts.{key}"] = _needed(flag, value)
        elif name is not None:
            given[name] = switched(off, value) if switch else _needed(flag, value)
        elif is_harmless(engine, flag):
            ignored[flag] = None
        else:
            open_ends[flag] = unmodelled(engine, flag) or not_known(flag, spellings)
            paths[flag] = value or ""
            if unmodelled(engine, flag) is None and value is not None:
                eaten.append(value)
    if not models:
        # A switch that is not known here takes the word after it for its value.
        models = [word for word in eaten if re.fullmatch(r"[\w.-]+/[\w.-]+|/[\w./-]+", word, re.ASCII)][:1]
    if not models:
        raise InputError(f"command: names no model; {engine} takes it {_where(engine)}")
    if models[1:]:
        notes = [*notes, f"words passed over: {len(models) - 1}"]
    for name in READ_AND_OPEN:
        reason = unmodelled(engine, FLAGS[engine][name].name) if name in FLAGS[engine] else None
        if reason and name in given and given[name] != "no":
            open_ends[FLAGS[engine][name].name] = reason
    if engine == "trtllm" and (name := next((f for f in FILES if f in open_ends), None)):
        options = options_file(paths[name], server.files)
        if options is not None:
            del open_ends[name]
            given |= options.given  # the file's values win (tensorrt_llm/commands/serve.py)
            ignored |= dict.fromkeys(options.ignored)
            open_ends |= options.unmodelled
    figures = {figure: flag for flag in reversed(open_ends) for figure in touched(flag)}
    return Command(
        engine, models[0], given, tuple(ignored), tuple(open_ends.items()), tuple(notes), figures,
        also=_also(models[0], served, server.mounts),
    )  # fmt: skip


def _with_config(engine: str, server: Server) -> Sequence[str]:
    """The words with those of a file of flags in front, which flags of the line win over."""
    words = server.words
    at = next((i for i, w in enumerate(words) if w == "--config" or w.startswith("--config=")), None)
    if at is None or engine == "trtllm":
        return words
    _, equals, path = words[at].partition("=")
    path = path if equals else _needed("--config", words[at + 1] if at + 1 < len(words) else None)
    rest = [*words[:at], *words[at + (1 if equals else 2) :]]
    return [*config_words(path, server.files), *rest]


def _also(model: str, served: str, mounts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Names besides a folder's own: of the folder that is mounted there, and what clients call the model."""
    folders = sorted((t for t in mounts if model == t or model.startswith(t + "/")), key=len)
    found = [(mounts[t].rstrip("/") + model.removeprefix(t), "as the folder mounted there is called") for t in folders]
    return (*found, (served, "as --served-model-name says")) if served else tuple(found)


def _needed(flag: str, value: str | None) -> str:
    if value is None:
        raise InputError(f"{flag}: a value must follow")
    return value


def _where(engine: str) -> str:
    return {"vllm": "after `serve`", "sglang": "as --model-path", "trtllm": "after `trtllm-serve`"}[engine]
