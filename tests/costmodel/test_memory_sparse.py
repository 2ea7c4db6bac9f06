"""Workspaces of sparse attention that vLLM reserves, and SGLang's pools, against sums by hand and public logs."""

from dataclasses import replace

import numpy as np
import pytest

from costmodel.blocks.compressed import CompressedAttention
from costmodel.memory import Server, starting
from costmodel.memory.compressed import token_bytes
from costmodel.memory.working import sparse_workspace
from costmodel.plans import Plans
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario

SCENARIOS: dict[tuple[str, str], object] = {}


def scenario(model: str, engine: str):
    key = model, engine
    if key not in SCENARIOS:
        config = composed([f"model={model}", f"engine={engine}", "hardware=b200_sxm"])
        SCENARIOS[key] = read_scenario(config, read_model(config.model).architecture)
    return SCENARIOS[key]


def server(length: float, **told) -> Server:
    return Server(fraction=0.9, share="all", sequences=64.0, tokens=8192.0, length=length, **told)


def test_index_keys_of_forty_longest_requests() -> None:
    """The comment of get_max_prefill_buffer_size: 40 x 163,840 x 132 bytes are 865,075,200."""
    reserved, scores = sparse_workspace(scenario("deepseek_v3_2", "vllm"), server(163_840))
    assert (reserved, scores) == (865_075_200.0, 5.37e8)
    assert sparse_workspace(scenario("deepseek_v3", "vllm"), server(163_840)) == (0.0, 0.0)
    assert sparse_workspace(scenario("deepseek_v3_2", "sglang"), server(163_840)) == (0.0, 0.0)


def test_compressed_entries_are_gathered_or_indexed() -> None:
    """DeepSeek-V4: four requests of a quarter of the tokens, the window and a pass, 512 elements in bf16; or index keys
    of a quarter of forty requests. At a million tokens the keys are more."""
    one = scenario("deepseek_v4_flash", "vllm")
    window = next(k.mixer.window for k in one.model.kinds if isinstance(k.mixer, CompressedAttention))
    assert sparse_workspace(one, server(4096))[0] == 4 * (1024 + window + 8192) * 512 * 2
    assert sparse_workspace(one, server(1_048_576))[0] == 40 * 1_048_576 / 4 * 132


def test_a_longer_context_leaves_less_cache() -> None:
    one = scenario("deepseek_v3_2", "vllm")
    plan = Plans.of(gpus=8, tp=8, batch=64)
    short, long = (starting(one, plan, server(n)) for n in (32_768, 163_840))
    less = 40 * (163_840 - 32_768) * 132
    assert short.terms.activations[0] < long.terms.activations[0] <= short.terms.activations[0] + less
    assert long.available_kv_bytes[0] < short.available_kv_bytes[0]


@pytest.mark.parametrize(("drafted", "printed"), [(False, 7705.45), (True, 9259.90)])
def test_bytes_a_token_of_deepseek_v4_flash_in_sglang(drafted: bool, printed: float) -> None:
    """By hand: 43 windows of 584 bytes for a tenth of the tokens; 21 layers of rate 4 (entry and key of 132 bytes, a
    ring of 8 states of 8192 and 2048 bytes a window of 128 tokens), 20 of rate 128; with a drafter rings of 16, and 44
    layers for 43. A log of August 2026 prints 9259.90."""
    one = scenario("deepseek_v4_flash", "sglang")
    plan = Plans.of(gpus=8, tp=8, batch=8)
    told = server(65_536, draft_layers=int(drafted))
    assert starting(one, plan, told).needed_bytes[0] / 65_536 == pytest.approx(printed, abs=0.01)
    rings = 16 if drafted else 8
    by_hand = 0.1 * 43 * 584 + 21 * (584 + 132) / 4 + 20 * 584 / 128 + 21 * 0.1 * rings / 128 * (8192 + 2048)
    assert by_hand * (44 / 43 if drafted else 1) == pytest.approx(printed, abs=0.01)


def test_rings_by_token_take_as_much_as_all_else() -> None:
    one = scenario("deepseek_v4_flash", "sglang")
    constants = one.engine.memory
    older = replace(constants, coarse_rings="tokens")
    mixers = [k.mixer for k in one.model.kinds if isinstance(k.mixer, CompressedAttention)]
    more = [token_bytes(m, older, False) - token_bytes(m, constants, False) for m in mixers]
    # 128 rows of values and weights, 512 elements in fp32, for each page of 128 tokens of a tenth of all.
    expected = [0.1 * 2 * 512 * 4 if m.rate == 128 and m.indexer is None else 0.0 for m in mixers]
    assert more == pytest.approx(expected)


def test_windows_of_sglang_have_a_fixed_share_of_the_tokens() -> None:
    """gpt-oss: half of the layers look back 128 tokens, and have room for 0.8 of what the others keep."""
    one = scenario("gpt_oss_120b", "sglang")
    plan = Plans.of(gpus=8, tp=8, batch=8)
    token = 2 * 64 * 2  # keys and values of one KV head of 64 elements in bf16 on each rank of tp 8
    full = sum(
        one.model.sequence.count(i) for i, k in enumerate(one.model.kinds) if not getattr(k.mixer, "window", None)
    )
    rest = one.model.layer_count - full
    assert starting(one, plan, server(8192)).needed_bytes[0] == pytest.approx(8192 * token * (full + 0.8 * rest))
    short = starting(one, plan, server(64)).needed_bytes[0]  # the window's pool runs out first
    assert short == pytest.approx(64 / 0.8 * token * (full + 0.8 * rest))
    plain = replace(one, engine=replace(one.engine, memory=replace(one.engine.memory, window_share=0.0)))
    assert np.all(starting(plain, plan, server(8192)).needed_bytes < starting(one, plan, server(8192)).needed_bytes)


def test_recurrent_layers_have_no_window() -> None:
    """Mamba's chunk is of its scan: its state is one, and no pool of SGLang's is sized by it."""
    one = scenario("nemotron_3_nano_30b", "sglang")
    plain = replace(one, engine=replace(one.engine, memory=replace(one.engine.memory, window_share=0.0)))
    plan = Plans.of(gpus=2, tp=2, batch=8)
    assert starting(one, plan, server(8192)).needed_bytes == starting(plain, plan, server(8192)).needed_bytes
