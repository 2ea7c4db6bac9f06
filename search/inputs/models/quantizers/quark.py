"""AMD Quark (``model_executor/layers/quantization/quark/quark.py`` of vLLM, main of July 2026)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from costmodel.formats import BF16, WeightFormat
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.quantizers.patterns import Rule
from search.inputs.models.quantizers.schemes import (
    FP8,
    INT4,
    INT8,
    MXFP4,
    MXFP6,
    MXFP8,
    NVFP4,
    Scheme,
    exclusions,
    integers,
    weight_only,
)


def quark(fields: Fields) -> Scheme:
    """AMD Quark: a scheme for all layers, others by pattern (``layer_quant_config``) or class, and the cache's as the
    output of the layers in ``export.kv_cache_group``."""
    rules = list(exclusions(fields))
    layers = fields.object("layer_quant_config")
    export = fields.object("export")
    cached = [] if export is None else export.items("kv_cache_group", default=None) or []
    cached = cached or fields.items("kv_cache_group", default=None) or []
    cache = BF16
    for pattern in [] if layers is None else layers.config:
        entry = layers.object(str(pattern)) if layers is not None else None
        if entry is None:
            continue
        stored = _quark_weight(entry)
        rules.append(Rule(str(pattern), stored))
        if any(pattern == group or _same_leaf(str(pattern), str(group)) for group in cached):
            cache = _quark_cache(entry) or cache
    if cached and cache is BF16:
        cache = FP8 if layers is None or not layers.config else cache
    own = fields.object("kv_cache_quant_config")
    for pattern in [] if own is None else own.config:
        entry = own.object(str(pattern)) if own is not None else None
        cache = (_quark_cache(entry) if entry is not None else None) or cache
    types = fields.object("layer_type_quant_config")
    scheme = fields.object("global_quant_config")
    linear = types.object("Linear") if types is not None else None
    chosen = linear or scheme
    if chosen is None or chosen.get("weight", default=None)[1] is None:
        raise ConfigError(f"{fields.key('global_quant_config')}.weight is missing; it names the weights' format")
    return Scheme(_quark_weight(chosen), tuple(rules), cache, key=fields.key("layer_quant_config"))


def _same_leaf(pattern: str, group: str) -> bool:
    return pattern.rsplit(".", 1)[-1].lstrip("*") == group.rsplit(".", 1)[-1].lstrip("*")


def _quark_cache(entry: Fields) -> WeightFormat | None:
    for name in ("output_tensors", "input_tensors"):
        tensors = _parts(entry, name)
        if tensors:
            known = {"fp8_e4m3": FP8, "fp8_e5m2": FP8, "int8": INT8}
            return known[tensors[0].choice("dtype", tuple(known))]
    return None


def _parts(entry: Fields, name: str) -> list[Fields]:
    """One object or, for two levels of scales, a list of them."""
    value = entry.get(name, default=None)[1]
    if isinstance(value, list):
        if not all(isinstance(part, Mapping) for part in value):
            raise ConfigError(f"{entry.key(name)} = {shown(value)} must hold objects")
        return [Fields(part, f"{entry.key(name)}.") for part in value]
    own = entry.object(name)
    return [] if own is None else [own]


def _quark_weight(entry: Fields) -> WeightFormat:
    """The format of one scheme; no ``weight`` means bf16, no ``input_tensors`` that inputs stay bf16."""
    weight = _parts(entry, "weight")
    inputs = _parts(entry, "input_tensors")
    if not weight:
        return BF16
    names = [part.text("dtype") for part in weight]
    group = weight[0].get("group_size", default=None)[1]
    if sorted(names) == ["fp8_e4m3", "int4"] or sorted(names) == ["int4", "int4"]:
        stored = replace(INT4.grouped(0, 1), compute="fp8")
    elif names[0] == "mx":
        stored = _mx(weight[0].text("mx_element_dtype"), weight[0])
    elif names[0] == "fp4":
        stored = NVFP4 if group == 16 else MXFP4
    elif names[0] in ("fp6_e3m2", "fp6_e2m3"):
        stored = MXFP6
    elif names[0] in ("fp8_e4m3", "fp8_e5m2"):
        stored = FP8 if weight[0].get("qscheme", default=None)[1] != "per_group" else MXFP8
    elif names[0] in ("int8", "int4", "uint4", "int2"):
        bits = int(names[0].lstrip("uint"))
        stored = integers(weight[0], bits, group, zero=weight[0].get("symmetric", default=True)[1] is False)
    else:
        known = "fp8_e4m3, fp8_e5m2, fp6_e3m2, fp6_e2m3, fp4, mx, int8, int4, uint4, int2"
        raise ConfigError(f"{weight[0].key('dtype')} = {shown(names[0])} must be one of {known}")
    if not inputs:
        return weight_only(stored)
    into = {"fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "int8": "int8", "fp4": "fp4", "mx": "fp4"}
    wanted = into.get(str(inputs[0].get("dtype", default=None)[1]), "bf16")
    return stored if stored.compute == wanted else replace(stored, compute=wanted, fusable=False)


def _mx(element: str, fields: Fields) -> WeightFormat:
    known = {"fp4": MXFP4, "fp6_e3m2": MXFP6, "fp6_e2m3": MXFP6, "fp8_e4m3": MXFP8, "int8": MXFP8}
    if element not in known:
        raise ConfigError(f"{fields.key('mx_element_dtype')} = {shown(element)} must be one of {', '.join(known)}")
    return known[element]
