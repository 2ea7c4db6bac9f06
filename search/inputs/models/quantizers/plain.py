"""One format for all linear layers or experts and a list of what is left alone: FP8, MXFP4, MXFP8, INT8.

Read as vLLM and SGLang read them (``vllm/model_executor/layers/quantization/{fp8,mxfp4}.py``, main of July 2026;
``sglang/srt/layers/quantization/{w8a8_int8,blockwise_int8,w4afp8}.py``, 0.5.14).
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.formats import BF16
from search.inputs.models.fields import Fields
from search.inputs.models.quantizers.schemes import (
    FP8,
    FP8_BLOCK,
    INT4,
    INT8,
    MXFP4,
    MXFP8,
    Scheme,
    block_of,
    exclusions,
)


def fp8(fields: Fields) -> Scheme:
    """One scale a tensor or channel, or an fp32 one a block."""
    block = block_of(fields, "weight_block_size")
    stored = FP8 if block is None else FP8_BLOCK.grouped(4, block)
    return Scheme(stored, exclusions(fields), key=fields.key("modules_to_not_convert"))


def mxfp4(fields: Fields) -> Scheme:
    """gpt-oss: experts alone are converted (Mxfp4Config.get_quant_method)."""
    return Scheme(BF16, exclusions(fields), experts=MXFP4, key=fields.key("modules_to_not_convert"))


def mxfp8(fields: Fields) -> Scheme:
    return Scheme(MXFP8, exclusions(fields), key=fields.key("modules_to_not_convert"))


def int8(fields: Fields) -> Scheme:
    """SGLang's w8a8_int8 and blockwise_int8."""
    block = block_of(fields, "weight_block_size")
    return Scheme(INT8 if block is None else INT8.grouped(4, block), exclusions(fields), key=fields.key("ignore"))


def w4afp8(fields: Fields) -> Scheme:
    """SGLang's: experts in four bits by group, all else in FP8 by block (sglang/srt/layers/quantization/w4afp8.py)."""
    block = block_of(fields, "weight_block_size")
    experts = replace(INT4, compute="fp8").grouped(2, fields.integer("group_size", default=128))
    linear = FP8 if block is None else FP8_BLOCK.grouped(4, block)
    return Scheme(linear, exclusions(fields), experts=experts, key=fields.key("ignored_layers"))
