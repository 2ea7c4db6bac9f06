"""NVIDIA ModelOpt: ``quantization_config`` in its own words, or ``hf_quant_config.json`` beside the config.

Read as vLLM reads them (``model_executor/layers/quantization/modelopt.py``, main of July 2026). Scales are counted as
stored: one byte for 16 values of NVFP4; fp32 ones a tensor are neglected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from costmodel.formats import BF16, WeightFormat
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.quantizers.compressed import cache_scheme, compressed
from search.inputs.models.quantizers.patterns import Rule
from search.inputs.models.quantizers.schemes import (
    FP8,
    FP8_BLOCK,
    INT4,
    INT8,
    MXFP4,
    MXFP8,
    NVFP4,
    Scheme,
    exclusions,
    weight_only,
)

# ModelOpt's algorithms (modelopt/torch/export/model_config.py, quant_utils.py). A group size is the config's own.
_AWQ4 = weight_only(INT4)
ALGORITHMS: Mapping[str, WeightFormat] = {
    "FP8": FP8,
    "FP8_PER_CHANNEL_PER_TOKEN": FP8,
    "FP8_PB_WO": FP8_BLOCK,
    "FP8_PB_REAL": FP8_BLOCK,
    "NVFP4": NVFP4,
    "NVFP4_AWQ": NVFP4,
    "W4A16_NVFP4": weight_only(NVFP4),
    "NVFP4_W4A16": weight_only(NVFP4),
    "W4A8_NVFP4_FP8": replace(NVFP4, compute="fp8", fusable=False),
    "MXFP8": MXFP8,
    "MXFP4": MXFP4,
    "W4A8_MXFP4_FP8": replace(MXFP4, compute="fp8"),
    "INT4_AWQ": _AWQ4,
    "W4A16_AWQ": _AWQ4,
    "W4A16": _AWQ4,
    "W4A8_AWQ": replace(INT4, compute="fp8"),
    "W8A16": weight_only(INT8),
    "W8A8_SQ_PER_CHANNEL": INT8,
    "W8A8_SQ_PER_TENSOR": INT8,
    "INT8_SQ": INT8,
}
CACHES: Mapping[str, WeightFormat] = {
    "FP8": FP8, "FP8_AFFINE": FP8, "NVFP4": NVFP4, "NVFP4_AFFINE": NVFP4, "INT8": INT8, "NONE": BF16,
}  # fmt: skip


def _algorithm(fields: Fields, inherited: Any = None) -> WeightFormat:
    name = fields.text("quant_algo")
    if name.upper() not in ALGORITHMS:
        known = ", ".join((*ALGORITHMS, "MIXED_PRECISION"))
        raise ConfigError(f"{fields.key('quant_algo')} = {shown(name)} is not understood; allowed: {known}")
    stored = ALGORITHMS[name.upper()]
    group = fields.get("group_size", default=inherited if stored.name == "int4" else None)[1]
    if group is None:
        return stored
    if stored.name in ("nvfp4", "mxfp4", "mxfp8"):
        if group != (16 if stored.name == "nvfp4" else 32) or isinstance(group, bool):
            raise ConfigError(f"{fields.key('group_size')} = {shown(group)} is not that of {stored.name}")
    elif stored.name == "int4":
        return stored.grouped(2, fields.whole("group_size", group))
    return stored


def modelopt(fields: Fields) -> Scheme:
    """NVIDIA ModelOpt, in config.json's form or wrapped as in hf_quant_config.json."""
    fields = fields.object("quantization") or fields
    cache = _modelopt_cache(fields)
    keys = [key for key in ("exclude_modules", "ignore") if fields.has(key)]
    left = exclusions(fields)
    where = fields.key(keys[0] if keys else "exclude_modules")
    name = fields.text("quant_algo", default=None)
    if name is None:
        if cache is BF16 and "quant_algo" not in fields.config:
            raise ConfigError(f"{fields.key('quant_algo')} is missing; it names the weights' format")
        return Scheme(BF16, cache=cache)
    if name.upper() == "MIXED_PRECISION":
        return _mixed(fields, left, cache)
    stored = _algorithm(fields)
    # A head that a list does not exclude is quantised like any other layer; without a list, ModelOpt leaves it alone.
    return Scheme(stored, left, cache, head=stored if keys else BF16, key=where)


def _mixed(fields: Fields, left: tuple[Rule, ...], cache: WeightFormat) -> Scheme:
    """Each module has the algorithm that ``quantized_layers`` says, and none where it says nothing."""
    layers = fields.object("quantized_layers")
    if layers is None or not layers.config:
        if fields.object("config_groups") is None:
            raise ConfigError(f"{fields.key('quantized_layers')} is missing; MIXED_PRECISION says formats by module")
        scheme = compressed(fields)
        return replace(scheme, cache=cache if cache is not BF16 else scheme.cache)
    group = fields.get("group_size", default=None)[1]
    known: dict[tuple[str, str], WeightFormat] = {}
    rules = list(left)
    for module in layers.config:
        entry = layers.object(str(module)) if isinstance(module, str) else None
        if entry is None:
            raise ConfigError(f"{layers.key(shown(module)[1:-1])} must be an object with quant_algo")
        said = (repr(entry.config.get("quant_algo")), repr(entry.config.get("group_size")))
        if said not in known:
            known[said] = _algorithm(entry, group)
        rules.append(Rule(module, known[said]))
    return Scheme(BF16, tuple(rules), cache, head=BF16, key=fields.key("quantized_layers"))


def _modelopt_cache(fields: Fields) -> WeightFormat:
    """``kv_cache_quant_algo``, or ``kv_cache_scheme`` as an object or, in older files, a name."""
    name = fields.text("kv_cache_quant_algo", default=None)
    given = fields.get("kv_cache_scheme", default=None)[1]
    if name is None and isinstance(given, str):
        name = given
    if name is not None:
        if name.upper() not in CACHES:
            known = ", ".join(CACHES)
            raise ConfigError(f"{fields.key('kv_cache_quant_algo')} = {shown(name)} must be one of {known}")
        return CACHES[name.upper()]
    return cache_scheme(fields) if given is not None else BF16
