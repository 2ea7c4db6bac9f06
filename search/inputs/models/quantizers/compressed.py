"""llm-compressor: groups of modules and their schemes (``quant_method: compressed-tensors``).

Read as vLLM reads them (``model_executor/layers/quantization/compressed_tensors/``, main of July 2026).
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.formats import BF16, WeightFormat
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.quantizers.patterns import Rule
from search.inputs.models.quantizers.schemes import (
    FP8,
    FP8_BLOCK,
    INT8,
    MXFP4,
    MXFP8,
    NVFP4,
    Scheme,
    block_of,
    exclusions,
    integers,
    weight_only,
)


def compressed(fields: Fields) -> Scheme:
    """llm-compressor. A group's targets are names, patterns or classes; names come before classes
    (find_matched_target), and what no group names is left alone."""
    _no_more_than_formats(fields)
    groups = fields.object("config_groups")
    if groups is None or not groups.config:
        raise ConfigError(f"{fields.key('config_groups')} is missing; it names the weights' format")
    left = exclusions(fields)
    named: list[Rule] = []
    classes: dict[str, WeightFormat] = {}
    for key in groups.config:
        group = groups.object(str(key))
        if group is None or group.object("weights") is None:
            raise ConfigError(f"{groups.key(str(key))}.weights is missing; it names the weights' format")
        stored = _scheme(group)
        for target in group.items("targets", default=["Linear"]):
            if target in ("Linear", "Embedding") or (isinstance(target, str) and target.endswith("Experts")):
                kind = "Experts" if target.endswith("Experts") else target
                if classes.setdefault(kind, stored) != stored:
                    raise ConfigError(f"{group.key('targets')}: two groups have {target} and other formats")
            elif isinstance(target, str) and (target[:3] == "re:" or "." in target or target.islower()):
                named.append(Rule(target, stored))
            else:
                raise ConfigError(
                    f"{group.key('targets')} = {shown(target)} is not understood; allowed: Linear, Embedding, "
                    "names of modules and re: patterns"
                )
    linear = classes.get("Linear", BF16)
    return Scheme(
        linear,
        (*left, *named),
        cache_scheme(fields),
        experts=classes.get("Experts"),
        head=linear,
        embedding=classes.get("Embedding", BF16),
        key=fields.key("config_groups"),
    )


def _no_more_than_formats(fields: Fields) -> None:
    sparsity = fields.object("sparsity_config")
    if sparsity is not None:
        sparsity.expect("format", "dense")
    transforms = fields.object("transform_config")
    if transforms is not None and transforms.config.get("config_groups"):
        raise ConfigError(f"{fields.key('transform_config')}: online transforms are not modelled")


def _scheme(group: Fields) -> WeightFormat:
    """Bits and type to a format; scales by group or block are counted, by channel or tensor they are neglected. What
    the inputs are quantised to decides what is multiplied."""
    weights = group.object("weights")
    assert weights is not None
    bits = weights.integer("num_bits")
    kind = weights.choice("type", ("int", "float"), default="int")
    if (kind, bits) not in {("int", b) for b in (2, 3, 4, 5, 6, 8)} | {("float", 8), ("float", 4)}:
        raise ConfigError(f"{weights.key('num_bits')} = {bits} of type {kind} must be int 2 to 8, or float 4 or 8")
    size = weights.integer("group_size", default=None, low=-1)
    block = block_of(weights, "block_structure")
    inputs = group.object("input_activations")
    if kind == "int":
        zero = not weights.flag("symmetric", default=True)
        stored = integers(weights, bits, block if block is not None else size, zero=zero)
    elif bits == 4:
        if size not in (None, 16, 32):
            raise ConfigError(f"{weights.key('group_size')} = {size} must be 16 (NVFP4) or 32 (MXFP4)")
        stored = MXFP4 if size == 32 else NVFP4
    elif block is not None:
        stored = FP8_BLOCK.grouped(4, block)
    else:
        stored = MXFP8 if size == 32 else FP8.grouped(0, 1) if size is None or size <= 0 else FP8.grouped(2, size)
    if inputs is None:
        return weight_only(stored)
    multiplied = {("float", 8): "fp8", ("float", 4): "fp4", ("int", 8): "int8", ("int", 4): "int8"}
    what = inputs.choice("type", ("int", "float"), default="int"), inputs.integer("num_bits")
    if what not in multiplied:
        raise ConfigError(f"{inputs.key('num_bits')} = {what[1]} of type {what[0]} must be float 8 or 4, or int 8 or 4")
    return stored if stored.compute == multiplied[what] else replace(stored, compute=multiplied[what], fusable=False)


def cache_scheme(fields: Fields) -> WeightFormat:
    scheme = fields.object("kv_cache_scheme")
    if scheme is None:
        return BF16
    kind = scheme.choice("type", ("float", "int"), default="float")
    bits = scheme.integer("num_bits")
    known = {("float", 8): FP8, ("int", 8): INT8, ("float", 4): NVFP4}
    if (kind, bits) not in known:
        raise ConfigError(f"{scheme.key('num_bits')} = {bits} of type {kind} must be float 8 or 4, or int 8")
    return known[kind, bits]
