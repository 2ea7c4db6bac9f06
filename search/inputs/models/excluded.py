"""Which modules a quantiser left alone: from names and patterns of a checkpoint's modules to operations' names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from typing import Any

from search.inputs.models.fields import ConfigError, Fields, shown

# An operation's name and what its modules are called in published checkpoints, below ``layers.<i>.``.
MODULES: dict[str, tuple[str, ...]] = {
    "attention.qkv": ("self_attn.q_proj", "self_attn.qkv_proj", "mixer.q_proj"),
    "attention.output": ("self_attn.o_proj", "mixer.o_proj"),
    "attention.qkv_down": ("self_attn.q_a_proj", "self_attn.kv_a_proj_with_mqa"),
    "attention.q_up": ("self_attn.q_b_proj",),
    "attention.kv_up": ("self_attn.kv_b_proj",),
    "attention.indexer": ("self_attn.indexer.wq_b", "self_attn.indexer.wk", "self_attn.indexers_proj"),
    "linear_attention.qkvz": ("linear_attn.in_proj_qkvz", "linear_attn.in_proj_qkv", "linear_attn.in_proj_z"),
    "linear_attention.gates": ("linear_attn.in_proj_ba", "linear_attn.in_proj_a", "linear_attn.in_proj_b"),
    "linear_attention.output": ("linear_attn.out_proj",),
    "mamba.input": ("mixer.in_proj",),
    "mamba.output": ("mixer.out_proj",),
    "dense.up": ("mlp.up_proj", "mlp.gate_proj", "mlp.gate_up_proj", "feed_forward.up_proj", "mixer.up_proj"),
    "dense.down": ("mlp.down_proj", "feed_forward.down_proj", "mixer.down_proj"),
    "shared.up": (
        "mlp.shared_experts.up_proj",
        "mlp.shared_expert.up_proj",
        "feed_forward.shared_expert.up_proj",
        "mixer.shared_experts.up_proj",
    ),
    "shared.down": (
        "mlp.shared_experts.down_proj",
        "mlp.shared_expert.down_proj",
        "feed_forward.shared_expert.down_proj",
        "mixer.shared_experts.down_proj",
    ),
    "experts.latent_down": ("mixer.fc1_latent_proj",),
    "experts.latent_up": ("mixer.fc2_latent_proj",),
    "experts.up": (
        "mlp.experts.0.up_proj",
        "mlp.experts.gate_up_proj",
        "block_sparse_moe.experts.0.w1",
        "feed_forward.experts.gate_up_proj",
        "mixer.experts.0.up_proj",
    ),
    "experts.down": (
        "mlp.experts.0.down_proj",
        "mlp.experts.down_proj",
        "block_sparse_moe.experts.0.w2",
        "feed_forward.experts.down_proj",
        "mixer.experts.0.down_proj",
    ),
}
EXPERTS_ONLY = frozenset({"experts.up", "experts.down"})

_PREFIXES = ("model.", "model.language_model.", "language_model.model.", "backbone.", "")
_MAX_PATTERNS = 20_000
_MAX_LENGTH = 300


def excluded_modules(fields: Fields, patterns: Iterable[Any], layers: int, assumptions: list[str]) -> list[str]:
    """Operations whose modules the patterns name. A module counts when it is named in more than half of the layers
    in which any is: formats are kept by kind of module, not by layer, and a deviation is reported."""
    names = list(patterns)
    if len(names) > _MAX_PATTERNS:
        raise ConfigError(f"{fields.key('ignore')} has {len(names)} entries; at most {_MAX_PATTERNS} are read")
    exact, tests = _compile(fields, names)
    kept, mixed = [], []
    for operation, modules in MODULES.items():
        hits = max(_hits(module, layers, exact, tests) for module in modules)
        if 2 * hits > layers:
            kept.append(operation)
        elif hits:
            mixed.append(operation)
    # Leading dense layers are few: their FFNs are excluded only in the layers that have them.
    if mixed:
        assumptions.append(
            "quantised in most layers and so taken as quantised in all, though some are excluded: " + ", ".join(mixed)
        )
    return kept


def _compile(fields: Fields, names: list[Any]) -> tuple[set[str], list[Callable[[str], object]]]:
    """Plain names (below ``layers.`` where they have it) and compiled patterns, globs and ``re:`` alike."""
    exact: set[str] = set()
    tests: list[Callable[[str], object]] = []
    for name in dict.fromkeys(n if isinstance(n, str) else shown(n) for n in names):
        if len(name) > _MAX_LENGTH:
            raise ConfigError(f"{fields.key('ignore')}: a pattern of {len(name)} characters; at most {_MAX_LENGTH}")
        if name.startswith("re:"):
            tests.append(_prefixed(_regex(fields, name[3:])))
        elif "*" in name:
            inner = "layers." in name
            glob = name[name.index("layers.") :] if inner else name
            test = re.compile(translate(glob if glob.endswith("*") else glob + "*")).match
            tests.append(test if inner else _prefixed(test))
        else:
            exact.add(name[name.index("layers.") :] if "layers." in name else name)
    if len(tests) > 1000:
        raise ConfigError(f"{fields.key('ignore')} has {len(tests)} patterns; at most 1000 are read")
    return exact, tests


def _prefixed(test: Callable[[str], object]) -> Callable[[str], object]:
    """The test under every name that the stack of layers has in published checkpoints."""
    return lambda name: any(test(prefix + name) for prefix in _PREFIXES)


def _regex(fields: Fields, pattern: str) -> Callable[[str], object]:
    """A regular expression, refused where matching it could take for ever (a repeated group, many wildcards)."""
    if re.search(r"\)[*+{]", pattern) or len(re.findall(r"[*+{]", pattern)) > 4:
        raise ConfigError(f"{fields.key('ignore')} = {shown(pattern)}: too many repetitions in a pattern")
    try:
        return re.compile(pattern).match
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"{fields.key('ignore')} = {shown(pattern)} is not a pattern: {error}") from None


def _hits(module: str, layers: int, exact: set[str], tests: list[Callable[[str], object]]) -> int:
    """In how many layers the module is named."""
    runs = {".".join(p) for p in _runs(module.split("."))}
    everywhere = bool(runs & exact)
    if everywhere:
        return layers
    count = 0
    for layer in range(layers):
        name = f"layers.{layer}.{module}"
        stems = {f"layers.{layer}", *(f"layers.{layer}.{'.'.join(p)}" for p in _heads(module.split(".")))}
        if stems & exact or any(test(name) for test in tests):
            count += 1
    return count


def _runs(parts: list[str]) -> Iterable[list[str]]:
    return (parts[i:j] for i in range(len(parts)) for j in range(i + 1, len(parts) + 1))


def _heads(parts: list[str]) -> Iterable[list[str]]:
    return (parts[:j] for j in range(1, len(parts) + 1))
