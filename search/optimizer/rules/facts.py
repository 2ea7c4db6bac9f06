"""What the rules need to know of a model and a cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.architecture import Setting
from costmodel.blocks import DenseFfn, GroupedQueryAttention, MoeFfn
from costmodel.blocks.parallel import mixers_of
from costmodel.operations import Gemm
from costmodel.scenario import Scenario


@dataclass(frozen=True)
class Facts:
    """``heads`` all head counts that tensor parallelism splits; ``kv_heads`` those of grouped-query attention;
    ``experts`` and ``expert_inner`` of the MoE layers; ``dense_inner`` widths of dense FFNs; ``weight_block`` the
    block size of block-quantised expert weights, 0 without. Widths that parallelism cuts and that hold whole blocks
    of block-quantised weights: ``block_dense`` into down projections of dense FFNs and shared experts, which
    ``dense_split`` cuts (``tp`` or ``stage``), ``block_tp`` into attention's and recurrent layers' output projections
    and out of single column-parallel ones, which tp cuts.

    Of a start: ``total_tokens`` of the longest request, ``positions`` of the model (0 unknown), the format of the
    ``cache``, ``hold_steps``, and whether the accelerator may be NVIDIA's."""

    layers: int
    heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    grouped_query: bool
    experts: tuple[int, ...]
    expert_inner: tuple[int, ...]
    dense_inner: tuple[int, ...]
    weight_block: int
    max_gpus: int
    node_size: int
    max_batched_tokens: int
    dense_split: str = "tp"
    block_dense: tuple[int, ...] = ()
    block_tp: tuple[int, ...] = ()
    total_tokens: int = 0
    positions: int = 0
    cache: str = "bf16"
    hold_steps: float = 0.0
    nvidia: bool = True

    @property
    def moe(self) -> bool:
        return bool(self.experts)


def facts_of(scenario: Scenario) -> Facts:
    """Collect them from the architecture's layers."""
    kinds = scenario.model.kinds
    mixers = mixers_of(scenario.model)
    moe = [k.ffn for k in kinds if isinstance(k.ffn, MoeFfn)]
    dense = {k.ffn.inner for k in kinds if isinstance(k.ffn, DenseFfn)} | {m.shared_inner for m in moe}
    gqa = [m for m in mixers if isinstance(m, GroupedQueryAttention)]
    block = 128 if scenario.model.quantization.of("experts.up").name == "fp8_block" else 0
    return Facts(
        layers=scenario.model.layer_count,
        heads=tuple(sorted({n for m in mixers for n in m.split_heads})),
        kv_heads=tuple(sorted({m.kv_heads for m in gqa})),
        grouped_query=bool(gqa),
        experts=tuple(sorted({m.experts for m in moe})),
        expert_inner=tuple(sorted({m.inner for m in moe})),
        dense_inner=tuple(sorted(dense - {0})),
        weight_block=block,
        max_gpus=scenario.cluster.max_gpus,
        node_size=scenario.cluster.node_size,
        max_batched_tokens=scenario.engine.max_batched_tokens,
        dense_split=scenario.engine.dense_split,
        block_dense=_block_dense(scenario),
        block_tp=_block_tp(scenario),
        total_tokens=int(scenario.lengths.total),
        positions=scenario.model.max_position,
        cache=scenario.model.kv_format.name,
        hold_steps=scenario.engine.hold_steps,
        nvidia=scenario.accelerator.nvidia,
    )


def _blocked(scenario: Scenario, name: str) -> bool:
    return scenario.model.quantization.of(name).name == "fp8_block"


def _block_dense(scenario: Scenario) -> tuple[int, ...]:
    """Widths of down projections in blocks of FP8."""
    ffns = [k.ffn for k in scenario.model.kinds]
    found = {f.inner for f in ffns if isinstance(f, DenseFfn)} if _blocked(scenario, "dense.down") else set()
    if _blocked(scenario, "shared.down"):
        found |= {f.shared_inner for f in ffns if isinstance(f, MoeFfn)}
    return tuple(sorted(found - {0}))


def _block_tp(scenario: Scenario) -> tuple[int, ...]:
    """Widths of the other matrices that tp cuts along blocks of FP8: what the operations read on one rank."""
    wanted = {"attention.output": "k", "linear_attention.output": "k", "mamba.output": "k", "attention.q_up": "n"}
    setting = Setting.single(scenario.model)
    found = set()
    for kind in scenario.model.kinds:
        for op in kind.operations(setting):
            if isinstance(op, Gemm) and op.name in wanted and _blocked(scenario, op.name):
                found.add(int(np.ravel(getattr(op, wanted[op.name]))[0]))
    return tuple(sorted(found))
