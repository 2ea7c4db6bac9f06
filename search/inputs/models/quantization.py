"""Number formats of weights and cache, from ``quantization_config``.

Read as vLLM 0.33 reads them (``model_executor/layers/quantization/{fp8,mxfp4,modelopt,gptq,awq}.py`` and
``compressed_tensors/``). Embeddings, head, norms and routers stay in bf16 unless linear layers are said to include
them, which no known checkpoint does; modules that the config excludes stay in bf16 too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costmodel.architecture import Layer, Quantization
from costmodel.formats import BF16, FORMATS, WeightFormat
from search.inputs.models.excluded import EXPERTS_ONLY, MODULES, excluded_modules
from search.inputs.models.fields import ConfigError, Fields, shown

FP8 = FORMATS["fp8"]
METHODS = (
    "fp8, mxfp4, modelopt, modelopt_fp4, compressed-tensors, gptq, awq, gptq_marlin, awq_marlin, fbgemm_fp8, quark"
)


def read_quantization(
    outer: Fields, text: Fields, layers: list[Layer], cast: WeightFormat | None, assumptions: list[str]
) -> tuple[Quantization, WeightFormat]:
    """The formats of the model's modules and of its cache. ``cast`` overrides the former."""
    fields = None
    for place in (outer, text):
        for name in ("quantization_config", "compression_config"):
            fields = fields or place.object(name)
    method, cache = (None, BF16) if fields is None else _method(fields)
    if cast is not None:
        if cast is BF16:
            return Quantization(), cache
        assumptions.append(
            f"weights are cast to {cast.name}: linear layers and experts; embeddings, head, norms and routers stay bf16"
        )
        return Quantization.linear_layers(cast), cache
    if method is None or fields is None:
        return Quantization(), cache
    stored, ignored, experts_only = method
    kept = dict.fromkeys(excluded_modules(fields, ignored, len(layers), assumptions), BF16)
    if experts_only:
        kept |= {name: BF16 for name in MODULES if name not in EXPERTS_ONLY}
    return Quantization(stored, dict(Quantization.linear_layers(stored).modules) | kept), cache


_Method = tuple[WeightFormat, list[Any], bool]


def _method(fields: Fields) -> tuple[_Method, WeightFormat]:
    """Format of linear layers, names that are excluded, whether experts alone are converted; and the cache's."""
    name = fields.text("quant_method", default=None)
    readers: dict[str, Callable[[Fields], tuple[_Method, WeightFormat]]] = {
        "fp8": _fp8,
        "fbgemm_fp8": _fp8,
        "mxfp4": _mxfp4,
        "modelopt": _modelopt,
        "modelopt_fp4": _modelopt,
        "compressed-tensors": _compressed,
        "gptq": _weight_only,
        "gptq_marlin": _weight_only,
        "awq": _weight_only,
        "awq_marlin": _weight_only,
        "quark": _quark,
    }
    if name not in readers:
        raise ConfigError(f"{fields.key('quant_method')} = {shown(name)} is not understood; allowed: {METHODS}")
    return readers[name](fields)


def _ignored(fields: Fields) -> list[Any]:
    """Names of modules left unquantised, under whichever key."""
    keys = ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "exclude")
    return [item for key in keys for item in fields.items(key, default=[])]


def _fp8(fields: Fields) -> tuple[_Method, WeightFormat]:
    block = fields.items("weight_block_size", default=None)
    if block is None:
        return (FP8, _ignored(fields), False), BF16
    if len(block) != 2:
        raise ConfigError(f"{fields.key('weight_block_size')} = {shown(block)} must be two whole numbers")
    rows, columns = (fields.whole("weight_block_size", b, high=65_536) for b in block)
    return (FORMATS["fp8_block"].grouped(4, rows * columns), _ignored(fields), False), BF16


def _mxfp4(fields: Fields) -> tuple[_Method, WeightFormat]:
    return (FORMATS["mxfp4"], _ignored(fields), True), BF16


def _modelopt(fields: Fields) -> tuple[_Method, WeightFormat]:
    """NVIDIA ModelOpt, in config.json's form or wrapped as in hf_quant_config.json."""
    fields = fields.object("quantization") or fields
    allowed = {"FP8": FP8, "NVFP4": FORMATS["nvfp4"], "FP8_PB_WO": FORMATS["fp8_block"]}
    stored = allowed[fields.choice("quant_algo", tuple(allowed))]
    if stored.name == "nvfp4":
        fields.expect("group_size", 16)
    cache = fields.choice("kv_cache_quant_algo", ("FP8",), default=None)
    scheme = fields.object("kv_cache_scheme")
    return (stored, _ignored(fields), False), FP8 if cache or scheme else BF16


def _quark(fields: Fields) -> tuple[_Method, WeightFormat]:
    """AMD Quark, with one scheme for all layers."""
    scheme = fields.object("global_quant_config")
    weight = scheme.object("weight") if scheme else None
    if weight is None:
        raise ConfigError(f"{fields.key('global_quant_config')}.weight is missing; it names the weights' format")
    allowed = {"fp8_e4m3": FP8, "fp4": FORMATS["mxfp4"], "int8": FORMATS["int8"]}
    stored = allowed[weight.choice("dtype", tuple(allowed))]
    cache = fields.get("kv_cache_group", default=None)[1]
    return (stored, _ignored(fields), False), FP8 if cache else BF16


def _weight_only(fields: Fields) -> tuple[_Method, WeightFormat]:
    """GPTQ and AWQ: a bf16 scale a group, and a zero point of as many bits where they are not symmetric."""
    bits = fields.integer("bits", "w_bit")
    if bits not in (4, 8):
        raise ConfigError(f"{fields.key('bits')} = {bits} must be 4 or 8")
    group = fields.get("group_size", "q_group_size", default=128)[1]
    # -1 is one scale a column: nothing worth counting.
    size = 10_000 if group == -1 and not isinstance(group, bool) else fields.whole("group_size", group)
    symmetric = fields.flag("sym", default=False) and not fields.flag("zero_point", default=False)
    scale = 2.0 if symmetric else 2.0 + bits / 8
    stored = FORMATS["int4" if bits == 4 else "int8"].grouped(scale, size)
    return (stored, _ignored(fields), False), BF16


def _compressed(fields: Fields) -> tuple[_Method, WeightFormat]:
    """llm-compressor. One scheme for all groups; a group's targets other than Linear are not modelled."""
    groups = fields.object("config_groups")
    if groups is None or not groups.config:
        raise ConfigError(f"{fields.key('config_groups')} is missing; it names the weights' format")
    formats = set()
    for key in groups.config:
        group = groups.object(str(key))
        weights = group.object("weights") if group else None
        if group is None or weights is None:
            raise ConfigError(f"{groups.key(str(key))}.weights is missing; it names the weights' format")
        targets = group.items("targets", default=["Linear"])
        if targets != ["Linear"]:
            raise ConfigError(f"{group.key('targets')} = {shown(targets)} is not modelled; allowed: ['Linear']")
        formats.add(_scheme(weights))
    if len(formats) > 1:
        raise ConfigError(f"{fields.key('config_groups')} holds several formats, which is not modelled")
    scheme = fields.object("kv_cache_scheme")
    cache = BF16
    if scheme is not None:
        cache = FORMATS["int8" if scheme.choice("type", ("float", "int")) == "int" else "fp8"]
        scheme.expect("num_bits", 8)
    return (formats.pop(), _ignored(fields), False), cache


def _scheme(weights: Fields) -> WeightFormat:
    """Bits and type to a format; scales by group or block are counted, by channel or tensor they are neglected."""
    bits = weights.integer("num_bits")
    kind = weights.choice("type", ("int", "float"), default="int")
    known = {("int", 4): "int4", ("int", 8): "int8", ("float", 8): "fp8", ("float", 4): "nvfp4"}
    if (kind, bits) not in known:
        raise ConfigError(f"{weights.key('num_bits')} = {bits} of type {kind} must be int 4 or 8, or float 4 or 8")
    stored = FORMATS[known[kind, bits]]
    block = weights.items("block_structure", default=None)
    group = weights.integer("group_size", default=None, low=-1)
    if block is not None:
        if len(block) != 2:
            raise ConfigError(f"{weights.key('block_structure')} = {shown(block)} must be two whole numbers")
        rows, columns = (weights.whole("block_structure", b, high=65_536) for b in block)
        return FORMATS["fp8_block"].grouped(4, rows * columns) if stored is FP8 else stored.grouped(2, rows * columns)
    if group is None or group <= 0:
        return stored if stored.name == "nvfp4" else stored.grouped(0, 1)
    if stored.name == "nvfp4":
        return stored.grouped(1, group) if group == 16 else FORMATS["mxfp4"].grouped(1, group)
    return stored.grouped(2, group)
