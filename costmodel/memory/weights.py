"""Weights as an engine holds them once they are loaded, which is not always what a checkpoint's files weigh."""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.architecture import Layer, Setting
from costmodel.blocks.decode_context import Dealing, dealt
from costmodel.blocks.mla import LatentAttention
from costmodel.formats import BF16
from costmodel.operations import GroupedGemm
from costmodel.scenario import Scenario
from costmodel.stages import Stages

# Rows to which a rank's share of an expert's inner width is padded where its weights are MXFP4: 2880 of gpt-oss become
# 3072 (vllm/model_executor/layers/quantization/mxfp4.py, create_weights rounds up to 256 for Triton and CUTLASS
# kernels alike, 0.14). 64.38 GiB of gpt-oss-120b as loaded by 0.14 and 13.47 of gpt-oss-20b follow from it.
MXFP4_TILE = 256
# Marlin takes experts of which the model's width is a multiple of 256 and the inner one of 128 (the same function):
# 2880 by 2880 become 3072 by 2944. 65.97 GiB of gpt-oss-120b as loaded by 0.10 follow within 0.2 %.
MARLIN_TILE, MARLIN_WIDTH = 128, 256
# Bytes of scale and zero point an element, of INT4 in groups of 128: those of Marlin's experts are whole tiles anyway,
# or its kernels are not taken. In smaller groups a rank's share is padded to tiles.
GROUPS_OF_128 = 2.5 / 128

ALONE = Dealing()  # each rank has the whole cache of its sequences


def loaded_bytes(scenario: Scenario, setting: Setting, stages: Stages) -> Any:
    """Bytes of weights on the fullest accelerator."""
    constants, card = scenario.engine.memory, scenario.accelerator
    twice = constants.folded_copies
    marlin = scenario.engine.name == "vllm" and not (
        card.blackwell or (card.hopper and constants.mxfp4_kernels == "triton")
    )
    tile = constants.int4_tile * card.nvidia
    how = scenario.dealing
    layers = [
        layer_bytes(kind, setting, marlin, tile, how) + twice * folded_bytes(kind, setting, how)
        for kind in scenario.model.kinds
    ]
    return stages.largest(layers, *end_bytes(scenario, setting, stages))


def layer_bytes(kind: Layer, setting: Setting, marlin: bool = False, int4_tile: int = 0, how: Dealing = ALONE) -> Any:
    """Bytes of one layer on one rank. ``marlin``: its kernels compute experts in MXFP4; ``int4_tile``: rows to which
    they pad those in INT4; ``how`` the cache of decodes is dealt."""
    total: Any = 0.0
    for op in dealt(kind.operations(setting), kind.mixer, how, setting.layout.tp):
        padding: Any = 1.0
        if isinstance(op, GroupedGemm) and op.format.name == "mxfp4":
            padding = _padding(kind, setting, marlin)
        elif isinstance(op, GroupedGemm) and int4_tile and op.format.name == "int4":
            small = op.format.scale_bytes_per_element > GROUPS_OF_128
            padding = _whole_tiles(kind, setting, int4_tile) if small else 1.0
        total = total + op.weight_bytes * padding
    return total


def folded_bytes(kind: Layer, setting: Setting, how: Dealing = ALONE) -> Any:
    """Bytes of the copy in bf16 of an MLA layer's up-projections, which decoding folds into queries and outputs
    (vllm/model_executor/layers/attention/mla_attention.py process_weights_after_loading, 0.33; kv_b_proj is kept)."""
    if not isinstance(kind.mixer, LatentAttention):
        return 0.0
    m = kind.mixer
    keys = m.nope_dim * (how.ranks if how.own_queries else 1)
    return m.heads / setting.layout.tp * (keys + m.v_dim) * m.kv_rank * BF16.bytes_per_element


def _whole_tiles(kind: Layer, setting: Setting, tile: int) -> Any:
    inner = getattr(kind.ffn, "inner", 0) / setting.layout.moe_tp
    return np.ceil(inner / tile) * tile / inner


def _padding(kind: Layer, setting: Setting, marlin: bool) -> Any:
    inner = getattr(kind.ffn, "inner", 0) / setting.layout.moe_tp
    tile = MARLIN_TILE if marlin else MXFP4_TILE
    wide = np.ceil(setting.hidden / MARLIN_WIDTH) * MARLIN_WIDTH / setting.hidden if marlin else 1.0
    return np.ceil(inner / tile) * tile / inner * wide


def end_bytes(scenario: Scenario, setting: Setting, stages: Stages) -> tuple[Any, Any]:
    """Bytes that the first and the last stage hold beside their layers. A tied head is the embedding table itself,
    unless another stage needs its own copy."""
    model = scenario.model
    first = sum(op.weight_bytes for op in model.embedding(setting))
    towers = model.vision_parameters * BF16.bytes_per_element
    whole = model.whole_towers and scenario.engine.name == "vllm"
    vision = towers + 0.0 * setting.layout.tp if whole else towers / setting.layout.tp
    head = {op.name: op.weight_bytes for op in model.head(setting)}
    if model.tied_embeddings:
        head["head"] = head["head"] * (stages.pp > 1)
    return first + vision, sum(head.values())
