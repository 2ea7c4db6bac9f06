"""Recurrent, compressed and block-sparse mixers: cache and state by hand, what tp splits, what the work is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from costmodel.architecture import Quantization, Setting
from costmodel.blocks import (
    AttentionResiduals,
    BlockSelector,
    CompressedAttention,
    CompressedIndexer,
    GroupedQueryAttention,
    HyperConnections,
    Indexer,
    KimiDeltaAttention,
    LatentAttention,
    LightningAttention,
    Mamba1,
    Mamba2,
    MoeFfn,
    ParallelMixers,
    ShortConvolution,
)
from costmodel.blocks.parallel import parts
from costmodel.formats import BF16
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths

HIDDEN = 4096
JAMBA = Mamba1(inner=8192, state=16, step_rank=256, kernel=4)
MINIMAX = LightningAttention(heads=64, head_dim=128)
KIMI = KimiDeltaAttention(heads=32, head_dim=128, kernel=4)
LFM2 = ShortConvolution(width=2048, kernel=3)
M3 = GroupedQueryAttention(64, 4, 128, qk_norm="head", selector=BlockSelector(heads=4, dim=128, block=128, blocks=16))
MIMO = GroupedQueryAttention(64, 8, 192, v_dim=128, sinks=True, window=128)
MAMBA2 = Mamba2(heads=32, head_dim=64, state=128, groups=1, kernel=4, chunk=256)
FALCON = ParallelMixers(GroupedQueryAttention(8, 2, 128), MAMBA2)
INDEX = CompressedIndexer(heads=64, dim=128, top_k=512)
V4: dict[str, Any] = {
    "heads": 64, "head_dim": 512, "rope_dim": 64, "q_rank": 1024, "window": 128, "out_groups": 8, "out_rank": 1024,
}  # fmt: skip
SPARSE, HEAVY = CompressedAttention(**V4, rate=4, indexer=INDEX), CompressedAttention(**V4, rate=128)
LOCAL = CompressedAttention(**V4, rate=0)
ALL = [JAMBA, MINIMAX, KIMI, LFM2, M3, MIMO, FALCON, SPARSE, HEAVY, LOCAL]


def setting(tp: Any = 1.0, lengths: FixedLengths = FixedLengths(4000, 2000)) -> Setting:
    width = np.atleast_1d(np.asarray(tp, dtype=float))
    one = np.ones_like(width)
    layout = Layout(width, one, one, one, width, one, width, width)
    return Setting(HIDDEN, layout, Quantization(), BF16.bytes_per_element, "bf16", lengths)


def cached(mixer: Any, tokens: float, tp: float = 1.0) -> float:
    return float(np.ravel(mixer.cache_bytes(setting(tp), tokens))[0])


def state(mixer: Any, tp: float = 1.0) -> float:
    return float(np.ravel(mixer.state_bytes(setting(tp)))[0])


def operation(mixer: Any, name: str, of: Setting) -> Any:
    (found,) = [op for op in mixer.operations(of) if op.name == name]
    return found


def test_cache_of_a_token_by_hand() -> None:
    assert cached(JAMBA, 1000) == cached(MINIMAX, 1000) == cached(KIMI, 1000) == cached(LFM2, 1000) == 0
    # Keys and values of four heads in bf16, and one index key of 128.
    assert cached(M3, 1000) == 1000 * (2 * 4 * 128 * 2 + 128 * 2)
    # Eight keys of 192 and eight values of 128, of the window alone.
    assert cached(MIMO, 1000) == 128 * 8 * (192 + 128) * 2
    assert cached(FALCON, 1000) == 1000 * 2 * 2 * 128 * 2
    # An entry is 448 fp8 + 64 bf16 + 7 scales + 1 of padding; an index key 128 fp8 and an fp32 scale.
    assert SPARSE.entry_bytes == 448 + 128 + 7 + 1 == 584
    assert cached(SPARSE, 1000) == 250 * (584 + 132)
    assert cached(HEAVY, 1280) == 10 * 584
    assert cached(LOCAL, 1000) == 0


def test_states_by_hand() -> None:
    assert state(JAMBA) == 8192 * (16 * 4 + 3 * 2)
    assert state(MINIMAX) == 64 * 128 * 128 * 4
    assert state(KIMI) == 32 * (128 * 128 * 4 + 3 * 3 * 128 * 2)
    assert state(LFM2) == 2 * 2048 * 2
    assert state(FALCON) == state(MAMBA2) == 32 * 64 * 128 * 4 + 3 * (2048 + 2 * 128) * 2
    assert state(M3) == state(MIMO) == 0
    # The window, and what waits: one series of values and weights over 128 tokens; two of each over eight, in fp32.
    assert state(HEAVY) == 128 * 584 + 128 * 2 * 512 * 4
    assert state(SPARSE) == 128 * 584 + 8 * 2 * 2 * (512 + 128) * 4
    assert state(LOCAL) == 128 * 584


@pytest.mark.parametrize("mixer", ALL, ids=lambda m: type(m).__name__)
def test_layouts_are_vectorised(mixer: Any) -> None:
    together = setting([1.0, 2.0, 8.0])
    for i, tp in enumerate((1.0, 2.0, 8.0)):
        for many, one in zip(mixer.operations(together), mixer.operations(setting(tp)), strict=True):
            assert np.broadcast_to(many.weight_bytes, 3)[i] == pytest.approx(np.ravel(one.weight_bytes)[0])
        assert np.broadcast_to(mixer.cache_bytes(together, 4096.0), 3)[i] == pytest.approx(cached(mixer, 4096.0, tp))
        assert np.broadcast_to(mixer.state_bytes(together), 3)[i] == pytest.approx(state(mixer, tp))


@pytest.mark.parametrize("mixer", [JAMBA, MINIMAX, KIMI, LFM2])
def test_recurrent_states_are_split(mixer: Any) -> None:
    assert state(mixer, 8.0) == pytest.approx(state(mixer) / 8)


@pytest.mark.parametrize("mixer", [SPARSE, HEAVY, LOCAL])
def test_what_all_heads_share_is_not_split(mixer: Any) -> None:
    assert cached(mixer, 4096.0, 8.0) == cached(mixer, 4096.0)
    assert state(mixer, 8.0) == state(mixer)


def test_no_tp_no_messages() -> None:
    for mixer in ALL:
        for op in mixer.operations(setting()):
            assert getattr(op, "size", 1) == 1


def test_work_is_bounded_by_what_a_token_sees() -> None:
    """Twice the context: full attention does twice the work, bounded ones as much as before."""
    short, long = setting(lengths=FixedLengths(40_000, 2)), setting(lengths=FixedLengths(80_000, 2))

    def grows(mixer: Any, name: str = "attention.decode") -> float:
        first, second = (operation(mixer, name, of).flops_per_decode for of in (short, long))
        return float(np.ravel(second / first)[0])

    assert grows(M3) == pytest.approx(1.0)
    assert grows(M3, "attention.indexer.decode") == pytest.approx(2.0, rel=1e-3)
    assert grows(MIMO) == pytest.approx(1.0)
    assert grows(SPARSE) == pytest.approx(1.0)
    assert grows(LOCAL) == pytest.approx(1.0)
    # 128 of the window and one entry in 128.
    assert grows(HEAVY) == pytest.approx((128 + 80_001 / 128) / (128 + 40_001 / 128), rel=1e-3)
    assert grows(SPARSE, "attention.indexer.decode") == pytest.approx(2.0, rel=1e-3)


def test_a_block_selector_sees_at_most_its_blocks() -> None:
    of = setting(lengths=FixedLengths(40_000, 2))
    decode = operation(M3, "attention.decode", of)
    assert decode.flops_per_decode == 4 * 64 * 128 * 2048
    assert decode.cache_read_per_decode == 2048 * 2 * 4 * 128 * 2


def test_a_shared_indexer_costs_nothing_but_bounds() -> None:
    own = Indexer(heads=32, dim=128, top_k=2048)
    shared = Indexer(heads=32, dim=128, top_k=2048, shared=True)
    sizes: dict[str, Any] = {
        "heads": 64, "q_rank": 2048, "kv_rank": 512, "nope_dim": 192, "rope_dim": 64, "v_dim": 256,
    }  # fmt: skip
    first, second, none = (LatentAttention(**sizes, indexer=i) for i in (own, shared, None))
    assert cached(first, 1.0) == 576 * 2 + 132
    assert cached(second, 1.0) == cached(none, 1.0) == 576 * 2
    of = setting(lengths=FixedLengths(40_000, 2))
    bounded = operation(second, "attention.decode", of).flops_per_decode
    assert bounded == operation(first, "attention.decode", of).flops_per_decode
    assert bounded < operation(none, "attention.decode", of).flops_per_decode
    assert not [op for op in second.operations(of) if "indexer" in op.name]


def test_zero_experts_take_their_share_of_tokens() -> None:
    """LongCat-Flash chooses 12 of 768, 512 of them real: 8 on average (arXiv:2509.01322, section 2.1)."""
    ffn = MoeFfn(512, 12, 2048, zero_experts=256)
    assert ffn.chosen == 8.0
    assert operation(ffn, "router", setting()).n == 768
    assert operation(ffn, "experts.up", setting()).top_k == 8.0
    assert MoeFfn(512, 12, 2048).chosen == 12


def test_what_joins_layers() -> None:
    hyper = sum(op.weights for op in HyperConnections(4).operations(setting()))
    assert hyper == 2 * (24 * 4 * HIDDEN + 24 + 3)
    assert HyperConnections(4).head_parameters(HIDDEN) == 4 * 4 * HIDDEN + 4 + 1
    residual = AttentionResiduals(block=12, layers=93)
    assert sum(op.weights for op in residual.operations(setting())) == 2 * 2 * HIDDEN
    assert residual.head_parameters(HIDDEN) == 2 * HIDDEN


def test_parts_of_parallel_mixers() -> None:
    assert parts(FALCON) == (FALCON.first, FALCON.second)
    assert parts(KIMI) == (KIMI,)
    assert set(FALCON.split_heads) == {8, 32}
