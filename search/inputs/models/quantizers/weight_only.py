"""Quantisers with one scheme and a list of what they leave alone, most of them of weights alone.

GPTQ, AWQ and their kin, bitsandbytes, auto-round, HQQ, torchao, MLX, quanto, EETQ. Read from vLLM
(``model_executor/layers/quantization/{auto_round,bitsandbytes}.py``, ``utils/gptq_utils.py``,
main of July 2026), transformers 5 (``utils/quantization_config.py``), torchao 0.13 (``quantization/quant_api.py``) and
MLX (``mlx/python/mlx/nn/layers/quantized.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from costmodel.formats import BF16, WeightFormat
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.quantizers.module_names import EMBEDDING, HEAD
from search.inputs.models.quantizers.patterns import Rule
from search.inputs.models.quantizers.plain import fp8, int8, mxfp4, mxfp8, w4afp8
from search.inputs.models.quantizers.schemes import (
    FP8,
    INT4,
    INT8,
    MXFP4,
    MXFP8,
    NVFP4,
    Scheme,
    exclusions,
    integers,
    weight_only,
)


def gptq_awq(fields: Fields) -> Scheme:
    """A bf16 scale a group, and a zero point of as many bits where they are not symmetric. GPTQ's ``dynamic`` leaves
    modules out (``-:``) or changes their bits and groups (``+:`` or nothing), by regular expression."""
    bits = fields.integer("bits", "w_bit")
    group = fields.get("group_size", "q_group_size", default=128)[1]
    symmetric = fields.flag("sym", default=False) and not fields.flag("zero_point", default=False)
    stored = integers(fields, bits, group, zero=not symmetric)
    rules = list(exclusions(fields))
    dynamic = fields.object("dynamic")
    for pattern in [] if dynamic is None else dynamic.config:
        text = str(pattern)
        if text.startswith("-:"):
            rules.append(Rule(text[2:], BF16, regex=True))
            continue
        entry = dynamic.object(text) if dynamic is not None else None
        changed = stored
        if entry is not None:
            zero = not entry.flag("sym", default=symmetric)
            changed = integers(
                entry, entry.integer("bits", default=bits), entry.get("group_size", default=group)[1], zero=zero
            )
        rules.append(Rule(text.removeprefix("+:"), changed, regex=True))
    listed = fields.items("modules_in_block_to_quantize", default=None)
    linear = stored
    if listed:
        inside = [name for part in listed for name in (part if isinstance(part, list) else [part])]
        rules += [Rule(name if isinstance(name, str) else shown(name), stored) for name in inside]
        linear = BF16
    head = stored if fields.flag("lm_head", default=False) else None
    return Scheme(linear, tuple(rules), head=head, key=fields.key("dynamic" if dynamic else "modules_to_not_convert"))


def auto_round(fields: Fields) -> Scheme:
    """Intel's auto-round: ``extra_config`` says bits and group by module; 16 bits are none."""
    rules = []
    extra = fields.object("extra_config")
    base = {name: fields.get(name, default=value)[1] for name, value in _AUTO_ROUND.items()}
    for module in [] if extra is None else extra.config:
        entry = extra.object(str(module)) if extra is not None else None
        if entry is not None:
            own = Fields({**base, **{k: v for k, v in entry.config.items() if v is not None}}, entry.where)
            text = str(module)
            plain = set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")
            rules.append(Rule(text, _auto_round(own), regex=not plain))
    blocks = fields.get("block_name_to_quantize", "to_quant_block_names", default=None)[1]
    if blocks is not None and "layers" not in str(blocks):
        raise ConfigError(f"{fields.key('block_name_to_quantize')} = {shown(blocks)} does not name the layers")
    return Scheme(_auto_round(Fields(base, fields.where)), tuple(rules), head=BF16, key=fields.key("extra_config"))


_AUTO_ROUND: dict[str, Any] = {"bits": None, "group_size": 128, "sym": True, "data_type": "int", "act_bits": 16}


def _auto_round(fields: Fields) -> WeightFormat:
    bits = fields.integer("bits", "weight_bits")
    if bits >= 16:
        return BF16
    kind = fields.text("data_type")
    group = fields.get("group_size")[1]
    inputs = fields.integer("act_bits")
    if kind.startswith(("nv_fp", "fp4_v2")):
        return NVFP4 if inputs < 16 else weight_only(NVFP4)
    if kind.startswith("mx_fp"):
        stored = MXFP4 if bits == 4 else MXFP8
        return stored if inputs < 16 else weight_only(stored)
    if kind.startswith("fp") and bits == 8:
        return FP8 if inputs < 16 else weight_only(FP8)
    if not kind.startswith("int"):
        raise ConfigError(f"{fields.key('data_type')} = {shown(kind)} must be int, fp, mx_fp or nv_fp")
    return integers(fields, bits, group, zero=not fields.flag("sym"))


def bitsandbytes(fields: Fields) -> Scheme:
    """Four bits: an fp32 scale for 64 values, with double quantisation an 8-bit one and an fp32 one for 256 of them
    (Dettmers et al., arXiv:2305.14314, section 3). Eight bits: a scale a row (arXiv:2208.07339)."""
    eight = fields.flag("load_in_8bit", default=False) or fields.flag("_load_in_8bit", default=False)
    four = fields.flag("load_in_4bit", default=False) or fields.flag("_load_in_4bit", default=False)
    if eight:
        stored = INT8.grouped(0, 1)
    elif four:
        kind = fields.text("bnb_4bit_quant_type", default="fp4")
        double = fields.flag("bnb_4bit_use_double_quant", default=False)
        scale = 1 / 64 + 4 / (64 * 256) if double else 4 / 64
        stored = replace(weight_only(INT4), name=kind if kind in ("nf4", "fp4") else "int4").grouped(scale, 1)
    else:
        raise ConfigError(f"{fields.key('load_in_4bit')} or load_in_8bit must be true; they name the weights' format")
    return Scheme(stored, exclusions(fields), key=fields.key("llm_int8_skip_modules"))


def hqq(fields: Fields) -> Scheme:
    """Half-quadratic quantisation: a bf16 scale and zero point a group; 3 bits are stored ten to 32."""
    said = fields.object("quant_config")
    if said is None:
        raise ConfigError(f"{fields.key('quant_config')} is missing; it names the weights' format")
    skipped = exclusions(fields)
    if said.has("weight_quant_params"):
        return Scheme(_hqq(said), skipped, key=fields.key("skip_modules"))
    named = []
    for module in said.config:
        entry = said.object(str(module))
        if entry is not None:
            named.append(Rule(str(module), _hqq(entry)))
    return Scheme(BF16, (*skipped, *named), key=fields.key("quant_config"))


def _hqq(fields: Fields) -> WeightFormat:
    weights = fields.object("weight_quant_params") or fields
    bits = weights.integer("nbits")
    stored = integers(weights, bits, weights.get("group_size", default=None)[1], scale_bytes=4.0)
    return replace(stored, bits=3.2) if bits == 3 else stored


# torchao's configurations: the format, and the default of ``group_size`` where they have one. A scale and a zero point
# a group, both bf16.
_TORCHAO: Mapping[str, tuple[WeightFormat, int | None]] = {
    "int4_weight_only": (weight_only(INT4), 128),
    "int8_weight_only": (weight_only(INT8), None),
    "int8_dynamic_activation_int8_weight": (INT8, None),
    "int8_dynamic_activation_int4_weight": (replace(INT4, compute="int8"), 32),
    "float8_dynamic_activation_int4_weight": (replace(INT4, compute="fp8"), 128),
    "float8_weight_only": (weight_only(FP8), None),
    "float8_dynamic_activation_float8_weight": (FP8, None),
}


def torchao(fields: Fields) -> Scheme:
    """PyTorch's torchao: one configuration, or one by name (``FqnToConfig``)."""
    kind = fields.get("quant_type")[1]
    if isinstance(kind, Mapping):
        whole = fields.object("quant_type")
        kind = whole.get("default")[1] if whole is not None else kind
    rules = list(exclusions(fields))
    if isinstance(kind, str):
        options = fields.object("quant_type_kwargs")
        return Scheme(_torchao(fields, kind, {} if options is None else options.config), tuple(rules))
    linear = BF16
    for name, config in _by_name(fields, kind).items():
        stored = BF16 if config is None else _torchao(fields, *_typed(fields, config))
        if name == "_default":
            linear = stored
        else:
            rules.append(Rule(name, stored))
    return Scheme(linear, tuple(rules), head=BF16, key=fields.key("quant_type"))


def _by_name(fields: Fields, config: Any) -> dict[str, Any]:
    """The configurations by module; one that is for all modules is their default."""
    name, data = _typed(fields, config)
    if name not in ("fqn_to", "module_fqn_to"):
        return {"_default": config}
    named = next((v for k, v in data.items() if k in ("fqn_to_config", "module_fqn_to_config")), None)
    if not isinstance(named, Mapping):
        raise ConfigError(f"{fields.key('quant_type')} = {shown(config)} must hold fqn_to_config")
    return {str(key): value for key, value in named.items()}


def _typed(fields: Fields, config: Any) -> tuple[str, Mapping[str, Any]]:
    """``{"_type": "Int4WeightOnlyConfig", "_data": {...}}`` as ``int4_weight_only`` and its data."""
    if not isinstance(config, Mapping) or not isinstance(config.get("_type"), str):
        raise ConfigError(f"{fields.key('quant_type')} = {shown(config)} must have _type and _data")
    name = config["_type"].removesuffix("Config")
    data = config.get("_data")
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    return snake, data if isinstance(data, Mapping) else {}


def _torchao(fields: Fields, name: str, data: Mapping[str, Any]) -> WeightFormat:
    if name not in _TORCHAO:
        raise ConfigError(f"{fields.key('quant_type')} = {shown(name)} must be one of {', '.join(_TORCHAO)}")
    stored, group = _TORCHAO[name]
    given = data.get("group_size", group)
    if group is None or given is None:
        return stored.grouped(0, 1)
    return stored.grouped(4, fields.whole("group_size", given))


def mlx(fields: Fields) -> Scheme:
    """Apple's MLX: linear layers, experts and embeddings, a scale and a bias a group; other settings, or none, by name
    of a module. Engines for data centres do not load it; its bytes are read all the same."""
    stored = _mlx(fields)
    rules = []
    for module, value in fields.config.items():
        if isinstance(value, bool) and ("." in str(module) or module in (*HEAD, *EMBEDDING)):
            rules.append(Rule(str(module), stored if value else BF16))
        elif isinstance(value, Mapping):
            rules.append(Rule(str(module), _mlx(Fields({**fields.config, **value}, f"{fields.where}{module}."))))
    note = "the quantisation is MLX's, which vLLM, SGLang and TensorRT-LLM do not load"
    return Scheme(
        stored, tuple(rules), head=stored, embedding=stored, key=fields.key("bits")[: -len(".bits")], notes=(note,)
    )


def _mlx(fields: Fields) -> WeightFormat:
    bits, group = fields.integer("bits"), fields.get("group_size", default=64)[1]
    mode = fields.text("mode", default="affine")
    if mode != "affine":
        known = {"mxfp4": MXFP4, "nvfp4": NVFP4, "mxfp8": MXFP8}
        if mode not in known:
            raise ConfigError(f"{fields.key('mode')} = {shown(mode)} must be one of affine, {', '.join(known)}")
        return weight_only(known[mode])
    return integers(fields, bits, group, scale_bytes=4.0)


def eetq(fields: Fields) -> Scheme:
    """Eight bits and a scale a column."""
    fields.expect("weights", "int8")
    return Scheme(weight_only(INT8), exclusions(fields), key=fields.key("modules_to_not_convert"))


def quanto(fields: Fields) -> Scheme:
    """Optimum Quanto: eight bits by channel, fewer by 128 with a scale and a shift."""
    weights = fields.choice("weights", ("int8", "int4", "int2", "float8"))
    stored = (
        weight_only(FP8)
        if weights == "float8"
        else integers(fields, int(weights[3:]), None if weights == "int8" else 128, scale_bytes=4.0)
    )
    return Scheme(stored, exclusions(fields), key=fields.key("modules_to_not_convert"))


READERS: Mapping[str, Callable[[Fields], Scheme]] = {
    "fp8": fp8,
    "fbgemm_fp8": fp8,
    "w8a8_fp8": fp8,
    "mxfp4": mxfp4,
    "mxfp8": mxfp8,
    "w8a8_int8": int8,
    "blockwise_int8": int8,
    "w4afp8": w4afp8,
    "gptq": gptq_awq,
    "gptq_marlin": gptq_awq,
    "auto_gptq": gptq_awq,
    "awq": gptq_awq,
    "awq_marlin": gptq_awq,
    "auto_awq": gptq_awq,
    "moe_wna16": gptq_awq,
    "auto-round": auto_round,
    "auto_round": auto_round,
    "intel/auto-round": auto_round,
    "bitsandbytes": bitsandbytes,
    "hqq": hqq,
    "torchao": torchao,
    "mlx": mlx,
    "eetq": eetq,
    "quanto": quanto,
}

# Known by name, and what stands in the way.
REFUSED: Mapping[str, str] = {
    "aqlm": "its codebooks are not modelled",
    "vptq": "its codebooks are not modelled",
    "quip": "its codebooks are not modelled",
    "spqr": "its sparse outliers are not modelled",
    "higgs": "its grids are not modelled",
    "bitnet": "its ternary weights are not modelled",
    "fp_quant": "its online transforms are not modelled",
    "exl2": "its bits differ by module and are not in the config",
    "exl3": "its bits differ by module and are not in the config",
    "gguf": "its formats are in the file and not in the config",
    "qoq": "its two levels of scales are not modelled",
    "sinq": "its two scales a matrix are not modelled",
    "marlin": "it is a kernel's layout; give the checkpoint that it was made from",
    "deepspeedfp": "it is converted while loading; give weights=fp8 and the config without it",
}
