"""What launch scripts of the public benchmark add to its rows."""

import csv
import os
from pathlib import Path

import pytest
from measured_cases import SILICON

from search.evidence.measured.cases import case_of
from search.evidence.measured.recipes import RECIPES, recipe_of
from search.evidence.measured.rows import read_rows
from search.inputs.hardware_catalog import load_engine, load_hardware

MINIMAX = {
    "origin": "inferencex", "model": "MiniMaxAI/MiniMax-M2.5", "system": "b200_sxm", "engine_version": "0.19.0",
    "gpus": "2", "tp": "2", "ep": "1", "moe_tp": "2", "measured_on": "2026-04-03",
}  # fmt: skip
KIMI = {"model": "moonshotai/Kimi-K2.5", "engine_version": "0.17.0", "precision": "fp4"}
LLAMA = {
    "origin": "inferencex", "model": "meta-llama/Llama-3.1-70B", "system": "h200_sxm", "engine": "trtllm",
    "engine_version": "", "gpus": "4", "tp": "4", "ep": "1", "moe_tp": "4",
}  # fmt: skip


def cases(table, *changes):
    return [case_of(row) for row in read_rows(table(SILICON, *changes))]


def test_scripts_name_what_the_catalog_knows():
    for recipe in RECIPES:
        assert load_engine(recipe.engine).name == recipe.engine
        assert all(load_hardware(name).name for name in recipe.hardware)


def test_a_budget_of_two_prompts_and_graphs_for_them(table):
    short, long, other = cases(table, MINIMAX, MINIMAX | {"isl": "8192"}, MINIMAX | {"origin": "peer_own_runs"})
    assert short.scenario.engine.max_batched_tokens == 2048
    assert long.scenario.engine.max_batched_tokens == 16384
    assert short.scenario.engine.captured_tokens == 2048
    assert short.scenario.engine.stream_interval == 20
    assert short.scenario.limits.memory_fraction == 0.9
    default = load_engine("vllm")
    assert other.scenario.engine.max_batched_tokens == default.max_batched_tokens
    assert other.scenario.engine.captured_tokens == default.captured_tokens


def test_a_script_without_data_parallelism_ran_tensor_parallel(table):
    spread = {"tp": "1", "attn_dp": "2", "ep": "2", "moe_tp": "1"}
    split, twin, possible = cases(
        table, MINIMAX | spread, MINIMAX | {"ep": "2", "moe_tp": "1"}, MINIMAX | spread | {"precision": "fp4"}
    )
    assert split.plan.row(0) == twin.plan.row(0)
    assert possible.plan.row(0)["tp"] == 1


def test_all_reduces_of_llama_on_blackwell_do_the_norm(table):
    row = LLAMA | {"engine": "vllm"}
    blackwell, hopper = cases(table, row | {"system": "b200_sxm"}, row)
    assert blackwell.scenario.engine.all_reduce_norm == "fused"
    assert hopper.scenario.engine.all_reduce_norm == "apart"


def test_a_configuration_file_that_vllm_did_not_read(table):
    """On H100 alone: no FP8 cache, so that half as many sequences fit, and no step scheduled ahead."""
    row = LLAMA | {"engine": "vllm", "precision": "fp8"}
    hopper, larger = cases(table, row | {"system": "h100_sxm"}, row)
    assert [c.scenario.model.kv_format.name for c in (hopper, larger)] == ["bf16", "fp8"]
    assert [c.scenario.engine.steps_ahead for c in (hopper, larger)] == [0.0, 1.0]


def test_curated_rows_are_of_the_same_benchmark(table):
    """Lengths drawn, launched by its scripts."""
    row = MINIMAX | KIMI | {"gpus": "4", "tp": "4", "ep": "4", "moe_tp": "1"}
    drawn, curated, own = cases(table, row, row | {"origin": "curated"}, row | {"origin": "peer_own_runs"})
    assert curated.scenario == drawn.scenario != own.scenario


@pytest.mark.skipif("SERVEFRONT_DATA" not in os.environ, reason="SERVEFRONT_DATA is not set")
def test_curated_rows_repeat_those_of_the_benchmark():
    path = Path(os.environ["SERVEFRONT_DATA"]) / "silicon_dev.csv"
    rows = read_rows(path)
    with path.open(newline="") as file:
        origins = {line["row"]: line["origin"] for line in csv.DictReader(file)}

    def figures(origin: str) -> set[tuple[float, float]]:
        kept = [r for r in rows if origins[r.id] == origin]
        return {(round(r.ttft_s * 1e3, 2), round(r.tpot_s * 1e3, 2)) for r in kept if r.ttft_s and r.tpot_s}

    assert len(figures("curated")) == 15
    assert figures("curated") <= figures("inferencex")


def test_flags_that_came_with_a_date(table):
    before, after = cases(
        table, MINIMAX | KIMI | {"measured_on": "2026-03-27"}, MINIMAX | KIMI | {"measured_on": "2026-04-20"}
    )
    assert before.scenario.engine.max_batched_tokens == 8192
    assert after.scenario.engine.max_batched_tokens == 2048


def test_prompts_are_held_below_a_tp_of_8_for_short_answers(table):
    four, eight, long = cases(table, LLAMA, LLAMA | {"gpus": "8", "tp": "8", "moe_tp": "8"}, LLAMA | {"osl": "8192"})
    assert [c.scenario.engine.hold_steps for c in (four, eight, long)] == [20, 0, 0]
    assert four.scenario.model.kv_format.name == "fp8"


def test_sglang_looks_for_requests_every_so_many_steps(table):
    deepseek = MINIMAX | {
        "model": "deepseek-ai/DeepSeek-V3", "engine": "sglang", "engine_version": "0.5.9", "gpus": "8", "tp": "8",
        "moe_tp": "8",
    }  # fmt: skip
    few, many, four = cases(
        table,
        deepseek | {"concurrency": "8"},
        deepseek,
        deepseek | {"gpus": "4", "tp": "4", "moe_tp": "4"},
    )
    assert [c.scenario.engine.hold_steps for c in (few, many, four)] == [5, 15, 15]
    assert [c.scenario.engine.max_batched_tokens for c in (few, many, four)] == [32768, 32768, 8192]


DEEPSEEK = MINIMAX | {
    "model": "deepseek-ai/DeepSeek-R1", "engine": "trtllm", "engine_version": "1.2.0", "gpus": "8", "tp": "8",
    "moe_tp": "8", "concurrency": "64",
}  # fmt: skip


def test_piecewise_graphs_of_tensorrt_llm(table):
    """In FP8 from 64 in flight with answers of 1024, in FP4 with the experts in eight parts; up to the largest pass."""
    few, long = {"concurrency": "32"}, {"osl": "8192"}
    spread = DEEPSEEK | {"precision": "fp4", "ep": "8", "moe_tp": "1"}
    in_fp8, in_fp4 = (
        (DEEPSEEK, DEEPSEEK | few, DEEPSEEK | long),
        (spread | {"ep": "1"}, spread, spread | {"isl": "8192"}),
    )
    engines = [case.scenario.engine for case in cases(table, *in_fp8, *in_fp4)]
    assert [engine.captured_tokens > 0 for engine in engines] == [True, False, False, False, True, False]
    assert all(e.captured_tokens in (0, e.max_batched_tokens) and e.prefill_graphs == "counted" for e in engines)


def test_expert_kernels_of_tensorrt_llm(table):
    """Its generated ones on Blackwell, but CUTLASS in FP4 with attention data parallelism, and on Hopper."""
    groups = {"tp": "1", "attn_dp": "8", "ep": "8", "moe_tp": "1"}
    four_bits = DEEPSEEK | {"precision": "fp4"}
    rows = (four_bits, four_bits | groups, DEEPSEEK | groups, DEEPSEEK | {"system": "h200_sxm"})
    kernels = [case.scenario.engine.expert_kernels for case in cases(table, *rows)]
    assert kernels == ["generated", "cutlass", "generated", "cutlass"]
    slow, fast = (case.scenario.law.experts.kernels.fp4 for case in cases(table, four_bits | groups, four_bits))
    assert slow > fast == 1.0


@pytest.mark.parametrize(
    ("version", "rules"),
    [("0.5.9", "counted"), ("0.5.10", "piecewise"), ("0.5.13.post1", "piecewise"), ("0.5.14", "breakable"),
     ("0.4.6", "counted"), ("", "counted")],
)  # fmt: skip
def test_sglang_captures_passes_with_prompts_since_0_5_10(table, version, rules):
    row = DEEPSEEK | {"engine": "sglang", "system": "h200_sxm", "engine_version": version}
    (case,) = cases(table, row)
    assert case.scenario.engine.prefill_graphs == rules
    assert case.scenario.engine.captured_tokens == 0


def test_sglangs_chunk_by_memory(table):
    row = DEEPSEEK | {"engine": "sglang", "origin": "peer_own_runs"}
    small, large = cases(table, row | {"system": "h200_sxm"}, row)
    assert [c.scenario.engine.max_batched_tokens for c in (small, large)] == [8192, 16384]


def test_a_script_that_sends_five_waves(table):
    glm = {"model": "zhipuai/GLM-5", "engine": "sglang", "engine_version": "0.5.9", "system": "h200_sxm"}
    (case,) = cases(table, MINIMAX | glm | {"gpus": "8", "tp": "8", "moe_tp": "8"})
    assert case.scenario.waves == 5


@pytest.mark.skipif("SERVEFRONT_DATA" not in os.environ, reason="SERVEFRONT_DATA is not set")
def test_every_row_of_the_benchmark_has_its_script():
    rows = read_rows(Path(os.environ["SERVEFRONT_DATA"]) / "silicon_dev.csv")
    drawn = [row for row in rows if row.drawn and row.regime != "disaggregated"]
    assert len(drawn) > 500
    assert all(recipe_of(row, row.engine, row.system) is not None for row in drawn)


MTP = {
    "origin": "inferencex", "model": "deepseek-ai/DeepSeek-R1", "system": "h200_sxm", "engine": "trtllm",
    "engine_version": "1.1.0rc2.post2", "isl": "1024", "osl": "1024", "concurrency": "256", "tp": "1", "attn_dp": "8",
    "moe_tp": "1", "ep": "8", "measured_on": "2026-01-14",
}  # fmt: skip


def test_sglangs_script_with_drafts(table):
    """DeepSeek-R1 in FP8 on B200 at a tp of 8, from 0.5.8 on: two steps of drafts, none scheduled ahead."""
    base = MTP | {"engine": "sglang", "engine_version": "0.5.9", "system": "b200_sxm", "measured_on": "2026-03-25"}
    split = {"tp": "8", "attn_dp": "1", "moe_tp": "8", "ep": "1"}
    rows = read_rows(table(SILICON, base | split, base | split | {"moe_tp": "1", "ep": "8"}))
    drafting, plain = (case_of(row).scenario.engine for row in rows)
    assert (drafting.drafts, drafting.steps_ahead, drafting.max_batched_tokens) == (2, 0.0, 16384)
    assert (plain.drafts, plain.steps_ahead) == (0, 1.0)


def test_scripts_with_multi_token_prediction(table):
    """One draft with attention data parallelism, three without; a pass holds the longest prompt and a batch's rows."""
    wide = {"tp": "8", "attn_dp": "1", "concurrency": "64"}
    rows = read_rows(table(SILICON, MTP, MTP | wide, MTP | {"measured_on": "2025-12-15"}))
    groups, one, plain = (case_of(row).scenario.engine for row in rows)
    assert (groups.drafts, one.drafts, plain.drafts) == (1, 3, 0)
    assert 0.3 < groups.draft_acceptance < 0.95
    assert (groups.max_batched_tokens, one.max_batched_tokens) == ((2 * 32 + 1843 + 127) // 64 * 64, 2176)
    assert plain.max_batched_tokens == 1344
    assert {engine.balance_steps for engine in (groups, one, plain)} == {60.0}


def test_a_split_that_the_source_counted_twice(table):
    base = {"origin": "inferencex", "model": "openai/gpt-oss-120b", "engine": "trtllm", "precision": "fp4"}
    twice = {"gpus": "4", "tp": "4", "moe_tp": "2", "ep": "2"}
    (row,) = read_rows(table(SILICON, base | twice))
    assert (row.gpus, row.tp, row.moe_tp, row.ep) == (2, 2, 1, 2)
    (other,) = read_rows(table(SILICON, base | twice | {"origin": "peer_own_runs"}))
    assert other.tp == 4


def test_sweeps_begin_together_and_searches_do_not(table):
    fixed = {"isl": "1024", "osl": "128"}
    changes = [fixed | {"concurrency": "64"}, {"isl": "1000", "concurrency": "64"}, fixed | {"concurrency": "40"}]
    rows = read_rows(table(SILICON, *changes, fixed | {"concurrency": "64", "origin": "inferencex"}))
    assert [row.together for row in rows] == [True, False, False, False]


def test_qwens_own_fp8_has_scales_of_blocks(table):
    served = {"model": "Qwen/Qwen3-32B", "moe_tp": "8", "ep": "1"}
    (row,) = read_rows(table(SILICON, served))
    assert case_of(row).scenario.model.quantization.of("ffn.up").name == "fp8_block"
