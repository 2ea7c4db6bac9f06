"""The terms of an engine's memory by hand, and what holds whatever they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worked_case import worked_case

from costmodel.architecture import Architecture, Layer, LayerRun, Quantization
from costmodel.blocks import DenseFfn, GatedDeltaNet, GroupedQueryAttention, LatentAttention, MoeFfn
from costmodel.engine import Engine
from costmodel.formats import BF16, FORMATS
from costmodel.hardware import Accelerator
from costmodel.lengths import FixedLengths
from costmodel.memory import Server, WorkingMemory, starting
from costmodel.memory.cache import request
from costmodel.memory.device import usable_bytes
from costmodel.memory.server import graph_sizes
from costmodel.plans import Plans
from costmodel.scenario import Limits, Scenario
from costmodel.stages import Stages

GIB = 2**30
MIB = 2**20
H100 = Accelerator("H100", 81559 * MIB, 3.35e12, {"bf16": 989e12, "fp8": 1979e12}, 450e9, vendor="NVIDIA")


def dense(hidden: int, inner: int, layers: int, heads: int, kv_heads: int, vocabulary: int) -> Architecture:
    layer = Layer(GroupedQueryAttention(heads, kv_heads, hidden // heads), DenseFfn(inner))
    return Architecture("dense", hidden, vocabulary, (LayerRun(layer, layers),), False)


def scenario(model: Architecture, card: Accelerator = H100, **memory: Any) -> Scenario:
    return worked_case(
        model=model,
        accelerator=card,
        engine=Engine("vllm", output_reserved=0.0, memory=WorkingMemory(**memory)),
        lengths=FixedLengths(8191, 1),
        limits=Limits(memory_fraction=0.9),
    )


def gib(value: Any) -> float:
    return float(np.asarray(value).ravel()[0]) / GIB


@pytest.mark.parametrize(
    ("mib", "total"),
    [
        (81559, 79.19),
        (143771, 139.81),
        (183359, 178.35),
        (97887, 94.97),
        (32607, 31.36),
        (23034, 22.04),
        (81920, 79.25),
    ],
)
def test_what_cuda_reports_is_less_than_nvidia_smi(mib: int, total: float) -> None:
    card = replace(H100, memory_bytes=mib * MIB)
    assert gib(usable_bytes(card)) == pytest.approx(total, abs=0.2)
    assert usable_bytes(replace(card, vendor="AMD")) == card.memory_bytes


def test_the_samplers_tensors_are_logits_times_a_count() -> None:
    """A vocabulary of 128,256 and 1024 sequences: 4 bytes each, 9.47 times, and two streams of 8192 rows."""
    model = dense(4096, 14336, 32, 32, 8, 128256)
    server = Server(0.9, sequences=1024.0, tokens=8192.0)
    start = starting(scenario(model, logits_copies=9.47), Plans.of(gpus=1), server)
    assert gib(start.terms.activations) == pytest.approx(
        (9.47 * 4 * 1024 * 128256 + 2 * 8192 * 4096 * 2) / GIB, rel=1e-9
    )
    # What vLLM 0.11 printed for this model on H100.
    assert gib(start.terms.activations) == pytest.approx(4.76, abs=0.02)


def test_few_sequences_leave_the_pass_as_the_peak() -> None:
    model = dense(4096, 14336, 32, 32, 8, 128256)
    start = starting(scenario(model, logits_copies=3.6), Plans.of(gpus=1), Server(0.9, sequences=1.0, tokens=8192.0))
    rows = 8192 * (4096 + 2 * 14336) * 2  # in and out of gate and up
    assert gib(start.terms.activations) == pytest.approx((rows + 2 * 8192 * 4096 * 2) / GIB)


def test_an_encoder_counts_as_far_as_it_is_more_than_the_pass() -> None:
    model = replace(dense(4096, 14336, 32, 32, 8, 128256), vision_parameters=10**8)
    case = scenario(model, encoder_bytes=3e9)
    start = starting(case, Plans.of(gpus=1), Server(0.9, sequences=1.0))
    assert float((start.terms.activations + start.terms.encoder)[0]) == pytest.approx(3e9)
    assert float(starting(case, Plans.of(gpus=1), Server(0.9, vision=False)).terms.encoder[0]) == 0.0


def test_buffers_of_all_reduces_are_for_several_ranks() -> None:
    model = dense(4096, 14336, 32, 32, 8, 128256)
    case = scenario(model, libraries_bytes=1e8, parallel_bytes=2e9, plain_parallel_bytes=4e8)
    plans = Plans.of(gpus=[1, 2], tp=[1, 2])
    assert starting(case, plans, Server(0.9)).terms.libraries.tolist() == [1e8, 2.1e9]
    older = replace(case, accelerator=replace(H100, peak_flops={"bf16": 312e12}, dependent_launch=False))
    assert starting(older, plans, Server(0.9)).terms.libraries.tolist() == [1e8, 5e8]


@pytest.mark.parametrize(("captured", "sizes"), [(0, 0), (1, 1), (2, 2), (4, 3), (8, 4), (16, 5), (256, 35), (512, 51)])
def test_sizes_of_graphs(captured: int, sizes: int) -> None:
    assert graph_sizes(Server(0.9, captured=captured)) == sizes


def test_graphs_count_only_where_the_engine_counts_them() -> None:
    model = dense(4096, 14336, 32, 32, 8, 128256)
    counted, uncounted = (
        starting(scenario(model, graph_bytes=1e9, graphs_counted=c), Plans.of(gpus=1), Server(0.9)) for c in (1.0, 0.0)
    )
    assert float((uncounted.available_kv_bytes - counted.available_kv_bytes)[0]) == pytest.approx(1e9)
    eager = starting(scenario(model, graph_bytes=1e9), Plans.of(gpus=1), Server(0.9, eager=True))
    assert float(eager.available_kv_bytes[0]) == float(uncounted.available_kv_bytes[0])


def test_mxfp4_experts_are_padded_to_256_rows() -> None:
    """gpt-oss-20b: 13.47 GiB as vLLM 0.11 loaded it, 12.8 in its files."""
    attention = GroupedQueryAttention(64, 8, 64, qkv_bias=True, output_bias=True, sinks=True)
    layer = Layer(attention, MoeFfn(32, 4, 2880, router_bias=True, expert_bias=True))
    kept = dict.fromkeys(("attention", "router", "norm", "embedding", "head"), BF16)
    model = Architecture(
        "gpt-oss-20b", 2880, 201088, (LayerRun(layer, 24),), False, Quantization(FORMATS["mxfp4"], kept)
    )
    start = starting(scenario(model), Plans.of(gpus=1), Server(0.9))
    assert gib(start.weights_bytes) == pytest.approx(13.47, rel=0.01)


@pytest.mark.parametrize(
    ("group", "tp", "padding"), [(32, 2, 384 / 352), (128, 2, 1.0), (32, 1, 1.0), (64, 4, 192 / 176)]
)
def test_experts_in_int4_are_padded_to_whole_tiles(group: int, tp: int, padding: float) -> None:
    """Experts of Gemma 4 26B, 704 rows: halves are 5.5 tiles of 64, which Marlin makes 6, quarters 2.75."""
    experts = {"experts": FORMATS["int4"].grouped(2.0, group)}
    layer = Layer(GroupedQueryAttention(16, 8, 256), MoeFfn(128, 8, 704))
    model = Architecture("moe", 2816, 1000, (LayerRun(layer, 30),), True, Quantization(BF16, experts))
    plans = Plans.of(gpus=tp, tp=tp)
    bare, tiled = (starting(scenario(model, int4_tile=t), plans, Server(0.9)).weights_bytes for t in (0, 64))
    stored = 30 * 128 * 3 * 2816 * 704 * (0.5 + 2 / group) / tp
    assert float((tiled - bare)[0]) == pytest.approx((padding - 1.0) * stored)
    amd = replace(H100, vendor="AMD")  # has no Marlin
    assert float(starting(scenario(model, amd, int4_tile=64), plans, Server(0.9)).weights_bytes[0]) == float(bare[0])


def test_towers_that_every_rank_has_whole() -> None:
    model = replace(dense(4096, 14336, 32, 32, 8, 128256), vision_parameters=1_000_000)
    for tp in (1, 2, 4):
        cut, whole = (
            starting(scenario(replace(model, whole_towers=w)), Plans.of(gpus=tp, tp=tp), Server(0.9)).weights_bytes
            for w in (False, True)
        )
        assert float((whole - cut)[0]) == pytest.approx(2e6 * (1.0 - 1.0 / tp))
        other = scenario(replace(model, whole_towers=True))
        other = replace(other, engine=replace(other.engine, name="sglang"))  # cuts them
        assert float(starting(other, Plans.of(gpus=tp, tp=tp), Server(0.9)).weights_bytes[0]) == float(cut[0])


def test_up_projections_of_mla_are_kept_twice() -> None:
    layer = Layer(LatentAttention(16, None, 512, 128, 64, 128), DenseFfn(1024))
    model = Architecture("mla", 2048, 1000, (LayerRun(layer, 27),), False)
    once, twice = (starting(scenario(model, folded_copies=c), Plans.of(gpus=2, tp=2), Server(0.9)) for c in (0, 1))
    assert float((twice.weights_bytes - once.weights_bytes)[0]) == 27 * 8 * (128 + 128) * 512 * 2


def cache_of(model: Architecture, tokens: float, pending: float, drafted: int = 0, **memory: Any) -> Any:
    case = scenario(model, paging="unified", **memory)
    plans = Plans.of(gpus=1)
    setting = case.setting(case.layout(plans))
    return request(case, setting, Stages.of(model, plans.pp), tokens, pending, drafted)


def test_windows_and_full_attention_share_blocks() -> None:
    """gpt-oss-20b on a card with 13.27 GiB for cache logged 8.56 requests of 65,536 tokens."""
    full, window = (Layer(GroupedQueryAttention(64, 8, 64, window=w), DenseFfn(64)) for w in (None, 128))
    runs = tuple(LayerRun(layer, 1) for _ in range(12) for layer in (window, full))
    one = cache_of(Architecture("w", 2880, 1000, runs, False), 65536.0, 2048.0)
    page = 16 * 2 * 8 * 64 * 2
    assert one.block_bytes == 12 * page
    assert one.bytes == 12 * page * (4096 + 136 + 1)  # ceil((127 + 2048) / 16) = 136
    assert 13.27 * GIB // one.block_bytes / (one.bytes / one.block_bytes) == pytest.approx(8.56, abs=0.005)


def test_a_recurrent_state_is_a_block() -> None:
    """Qwen3.8-27B with an FP8 cache: vLLM 0.27 made blocks of 1568 tokens and logged 1.63 requests of 32,768 tokens in
    2.12 GiB: 44 blocks, 27 a request."""
    recurrent = Layer(GatedDeltaNet(16, 48, 128, 128, 4), DenseFfn(64))
    full = Layer(GroupedQueryAttention(24, 4, 256), DenseFfn(64))
    runs = tuple(run for _ in range(16) for run in (LayerRun(recurrent, 3), LayerRun(full, 1)))
    model = Architecture("h", 5120, 1000, runs, False, kv_format=FORMATS["fp8"])
    one = cache_of(model, 32768.0, 2048.0, state_blocks=2)
    assert one.block_bytes == 16 * 1568 * 2 * 4 * 256
    assert one.bytes / one.block_bytes == 21 + 3 * 2
    assert (2.12 * GIB // one.block_bytes) / 27 == pytest.approx(1.63, abs=0.005)
    assert cache_of(model, 32768.0, 2048.0, 2, state_blocks=2).bytes / one.block_bytes == 21 + 3 * 4


def test_windows_are_kept_whole_where_blocks_cannot_be_equal() -> None:
    full, window = (Layer(GroupedQueryAttention(64, 8, 64, window=w), DenseFfn(64)) for w in (None, 128))
    model = Architecture("w", 2880, 1000, (LayerRun(window, 12), LayerRun(full, 12)), False)
    case = scenario(model, paging="whole")
    plans = Plans.of(gpus=1)
    found = request(case, case.setting(case.layout(plans)), Stages.of(model, plans.pp), 4096.0)
    assert found.bytes == 24 * 4096 * 2 * 8 * 64 * 2


@given(
    st.floats(0.3, 1.0), st.integers(1, 4), st.floats(1e3, 2e5), st.sampled_from(("all", "static", "free")),
    st.floats(20e9, 200e9),
)  # fmt: skip
def test_the_sum_is_never_more_than_the_share(
    fraction: float, doubled: int, length: float, share: Any, memory_bytes: float
) -> None:
    """And more of a share, or a shorter longest request, never makes a start less likely."""
    model = dense(4096, 14336, 32, 32, 8, 128256)
    tp = 2 ** (doubled - 1)
    case = scenario(
        model, replace(H100, memory_bytes=memory_bytes), context_bytes=5e8, libraries_bytes=3e8, parallel_bytes=2e9,
        logits_copies=3.6, graph_bytes=1e8, graph_each_bytes=1e7,
    )  # fmt: skip
    plans, server = Plans.of(gpus=tp, tp=tp), Server(fraction, share, length=length)
    found = starting(case, plans, server)
    working = found.terms.activations + found.terms.encoder + found.terms.libraries + found.terms.graphs
    if share == "all":
        total = found.weights_bytes + working + np.maximum(found.available_kv_bytes, 0.0)
        assert np.all(
            (total <= fraction * usable_bytes(case.accelerator) * (1 + 1e-9)) | (found.available_kv_bytes <= 0)
        )
    assert np.all(found.low <= found.available_kv_bytes) and np.all(found.available_kv_bytes <= found.high)
    assert np.all((found.starts_probability >= 0) & (found.starts_probability <= 1))
    shorter = starting(case, plans, replace(server, length=length / 2))
    assert np.all(shorter.starts_probability >= found.starts_probability)
    if share != "all":  # a larger share of vLLM's leaves less for what comes after
        wider = starting(case, plans, replace(server, fraction=min(fraction * 1.2, 1.0)))
        assert np.all(wider.starts_probability >= found.starts_probability - 1e-12)


def test_flags_that_set_the_cache() -> None:
    model = dense(4096, 14336, 32, 32, 8, 128256)
    case, plans = scenario(model), Plans.of(gpus=1)
    token = 32 * 2 * 8 * 128 * 2
    given = starting(case, plans, Server(0.9, cache_bytes=4.0 * GIB, length=4096.0))
    assert float(given.kv_tokens[0]) == 4 * GIB // (16 * token) * 16
    blocks = starting(case, plans, Server(0.9, cache_blocks=1000, length=4096.0))
    assert float(blocks.kv_tokens[0]) == 16000
    spread = starting(case, plans, Server(0.9, cache_bytes=4.0 * GIB, length=4096.0, cache_ranks=4))
    assert float(spread.kv_tokens[0]) == 4 * float(given.kv_tokens[0])


def test_a_server_that_shortens_its_context_starts_with_any_cache() -> None:
    model, plans = dense(4096, 14336, 32, 32, 8, 128256), Plans.of(gpus=1)
    server = Server(0.5, length=10e6)
    assert not starting(scenario(model), plans, server).starts[0]
    assert starting(scenario(model), plans, replace(server, shortens=True)).starts[0]
