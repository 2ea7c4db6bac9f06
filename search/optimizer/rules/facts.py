"""What the rules need to know of a model and a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.blocks import DenseFfn, GroupedQueryAttention, MoeFfn
from costmodel.blocks.parallel import parts
from costmodel.scenario import Scenario


@dataclass(frozen=True)
class Facts:
    """``heads`` all head counts that tensor parallelism splits; ``kv_heads`` those of grouped-query attention;
    ``experts`` and ``expert_inner`` of the MoE layers; ``dense_inner`` widths of dense FFNs; ``weight_block`` the
    block size of block-quantised expert weights, 0 without."""

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

    @property
    def moe(self) -> bool:
        return bool(self.experts)


def facts_of(scenario: Scenario) -> Facts:
    """Collect them from the architecture's layers."""
    kinds = scenario.model.kinds
    mixers = [part for k in kinds if k.mixer is not None for part in parts(k.mixer)]
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
    )
