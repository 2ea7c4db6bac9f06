"""Blocks beside grouped-query attention: what is split over tp, what is replicated, what the work is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from costmodel.architecture import Quantization, Setting
from costmodel.blocks import GatedDeltaNet, GroupedQueryAttention, Indexer, LatentAttention, Mamba2
from costmodel.formats import BF16
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.operations import Collective
from costmodel.step import Step

HIDDEN = 7168
DEEPSEEK = LatentAttention(heads=128, q_rank=1536, kv_rank=512, nope_dim=128, rope_dim=64, v_dim=128)
SPARSE = replace(DEEPSEEK, indexer=Indexer(heads=64, dim=128, top_k=2048))
DELTA = GatedDeltaNet(key_heads=16, value_heads=64, key_dim=128, value_dim=128, kernel=4)
MAMBA = Mamba2(heads=64, head_dim=64, state=128, groups=8, kernel=4, chunk=128)
LENGTHS = FixedLengths(4000, 2000)


def setting(tp: Any = 1.0, lengths: FixedLengths = LENGTHS) -> Setting:
    width = np.atleast_1d(np.asarray(tp, dtype=float))
    one = np.ones_like(width)
    layout = Layout(width, one, one, one, width, one, width, width)
    return Setting(HIDDEN, layout, Quantization(), BF16.bytes_per_element, "bf16", lengths)


def step(decodes: float, prompts: float, of: Setting) -> Step:
    d, p = np.array([decodes]), np.array([prompts])
    return Step(d, p, d, p, d + p, of.lengths, of.layout)


def total(block: Any, of: Setting) -> Any:
    return sum(op.weights for op in block.operations(of))


def work(block: Any, name: str, decodes: float, prompts: float, of: Setting) -> Any:
    (op,) = [op for op in block.operations(of) if op.name == name]
    return op.work(step(decodes, prompts, of))


@pytest.mark.parametrize("block", [DEEPSEEK, SPARSE, DELTA, MAMBA])
def test_layouts_are_vectorised(block: Any) -> None:
    together = setting([1.0, 2.0, 8.0])
    for i, tp in enumerate((1.0, 2.0, 8.0)):
        alone = setting(tp)
        for many, one in zip(block.operations(together), block.operations(alone), strict=True):
            assert np.broadcast_to(many.weight_bytes, 3)[i] == pytest.approx(np.ravel(one.weight_bytes)[0])
        for figure in ("cache_bytes", "state_bytes"):
            arguments = (4096.0,) if figure == "cache_bytes" else ()
            many = np.broadcast_to(getattr(block, figure)(together, *arguments), 3)[i]
            assert many == pytest.approx(np.ravel(getattr(block, figure)(alone, *arguments))[0])


@pytest.mark.parametrize("block", [DEEPSEEK, SPARSE, DELTA, MAMBA])
def test_no_traffic_on_one_accelerator(block: Any) -> None:
    for op in block.operations(setting()):
        assert isinstance(op, Collective) is hasattr(op, "message")
        if isinstance(op, Collective):
            assert np.all(op.size == 1)


def test_a_norm_over_all_heads_sends_two_numbers_a_token() -> None:
    """MiniMax-M2: the sums of squares of q and of k in one message, added up by a kernel of their own where tp splits
    the heads: 2048 and 512 wide at a tp of 4, in bf16."""
    block = GroupedQueryAttention(64, 16, 128, qk_norm="full")
    of = setting([1.0, 4.0])
    (sums,) = [op for op in block.operations(of) if op.name == "attention.qk_sums"]
    (message,) = [op for op in block.operations(of) if op.name == "attention.qk_norm"]
    assert isinstance(message, Collective) and message.kind == "all_reduce"
    assert np.all(message.message(step(3.0, 0.0, of)).bytes == 3 * 2 * 4)
    found = sums.work(step(3.0, 0.0, of))  # type: ignore[union-attr]
    assert found.bytes.tolist() == [0.0, 3 * (2048 + 512) * 2] and found.m.tolist() == [0.0, 3.0]
    per_head = replace(block, qk_norm="head")
    assert not [op for op in per_head.operations(of) if op.name.startswith("attention.qk_")]


def test_latent_weights_by_hand() -> None:
    # q_a, kv_a, their norms, q_b, kv_b, o: transformers' DeepseekV3Attention.
    expected = 7168 * 1536 + 7168 * 576 + 1536 + 512 + 1536 * 128 * 192 + 512 * 128 * 256 + 128 * 128 * 7168
    assert total(DEEPSEEK, setting()) == expected
    # wq_b, wk, weights_proj and a LayerNorm of 128.
    indexer = 1536 * 64 * 128 + 7168 * 128 + 7168 * 64 + 256
    assert total(SPARSE, setting()) == expected + indexer


def test_latent_cache_is_on_every_rank() -> None:
    assert np.all(DEEPSEEK.cache_bytes(setting([1.0, 8.0]), 100.0) == 100 * 576 * 2)


def test_folding_is_read_by_decodes_alone() -> None:
    here = setting()
    assert work(DEEPSEEK, "attention.absorb_k", 0, 1, here).weight_bytes == 0
    assert work(DEEPSEEK, "attention.kv_up", 8, 0, here).weight_bytes == 0
    folded = sum(work(DEEPSEEK, f"attention.absorb_{x}", 8, 0, here).weight_bytes for x in "kv")
    assert folded == work(DEEPSEEK, "attention.kv_up", 0, 1, here).weight_bytes == 512 * 128 * 256 * 2


def test_latent_decode_by_hand() -> None:
    # Context 4000 + 1000; each of 128 heads takes 576 products for the score and 512 for the sum, a token's latent
    # of 576 is read once for all heads and one written.
    decode = work(DEEPSEEK, "attention.decode", 3, 0, setting())
    assert decode.flops == 3 * 2 * 128 * (576 + 512) * 5000
    assert decode.kv_bytes == 3 * 576 * 2 * (5000 + 1)
    assert decode.kind == "mla_decode"


def test_latent_prefill_by_hand() -> None:
    prefill = work(DEEPSEEK, "attention.prefill", 0, 1, setting())
    assert prefill.flops == 2 * 128 * (192 + 128) * 4000 * 4001 / 2


def test_sparse_attention_is_bounded() -> None:
    here = setting()
    decode = work(SPARSE, "attention.decode", 1, 0, here)
    assert decode.flops == 2 * 128 * (576 + 512) * 2048
    # The indexer still looks at everything: 64 heads of 128, keys of 132 bytes.
    scores = work(SPARSE, "attention.indexer.decode", 1, 0, here)
    assert scores.flops == 2 * 64 * 128 * 5000
    assert scores.kv_bytes == 132 * 5001
    longer = setting(lengths=FixedLengths(40_000, 2000))
    assert work(SPARSE, "attention.decode", 1, 0, longer).flops == decode.flops


def test_states_do_not_grow_and_are_split() -> None:
    for block in (DELTA, MAMBA):
        assert np.all(block.cache_bytes(setting(), 1e6) == 0)
    assert DELTA.state_bytes(setting(8.0)) == pytest.approx(DELTA.state_bytes(setting()) / 8)
    # Beyond 8 ranks each holds one group's B and C; the state proper is split on.
    sixteen = MAMBA.state_bytes(setting(16.0))
    assert sixteen == pytest.approx(64 * 64 * 128 * 4 / 16 + 3 * (4096 / 16 + 2 * 128) * 2)


def test_scan_reads_and_writes_the_state() -> None:
    scan = work(DELTA, "linear_attention.scan", 5, 0, setting())
    assert scan.kv_bytes == 5 * 2 * 64 * 128 * 128 * 4
    assert scan.flops == 5 * 6 * 64 * 128 * 128


def test_linear_weights_by_hand() -> None:
    # in_proj of q, k (16 x 128 each), v and z (64 x 128 each), b and a (64 each); convolution of 4 over q, k, v;
    # dt_bias and A_log of 64, a norm of 128; out_proj.
    mixed = 2 * 16 * 128 + 64 * 128
    expected = 7168 * (mixed + 64 * 128 + 128) + 4 * mixed + 2 * 64 + 128 + 64 * 128 * 7168
    assert total(DELTA, setting()) == expected
    # in_proj of z, x, B, C and dt; convolution with bias; A_log, D, dt_bias; norm; out_proj.
    expected = 7168 * (2 * 4096 + 2 * 1024 + 64) + 5 * (4096 + 2048) + 3 * 64 + 4096 + 4096 * 7168
    assert total(MAMBA, setting()) == expected
