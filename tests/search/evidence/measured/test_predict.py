"""Every row is predicted or has a reason, and no row stops another."""

import math
from dataclasses import replace

import numpy as np
import pytest
from measured_cases import PUBLISHED, SILICON

from costmodel.evaluate import evaluate
from search.evidence.measured.cases import case_of
from search.evidence.measured.grouped import read_cases
from search.evidence.measured.predict import most_sequences, predict
from search.evidence.measured.rows import read_rows
from search.inputs.efficiency_laws import read_law
from search.inputs.hardware_catalog import find_hardware, load_hardware

BAD = [
    ({"model": "nobody/nothing-7b"}, "model"),
    ({"system": "abacus"}, "abacus"),
    ({"engine": "llama.cpp"}, "engine"),
    ({"precision": "fp3"}, "precision"),
    ({"mode": "disagg"}, "disaggregated"),
    ({"concurrency": ""}, "concurrency"),
    ({"concurrency": "1e300"}, "concurrency"),
    ({"isl": ""}, "lengths"),
    ({"isl": "1e300"}, "length"),
    ({"osl": "1e12"}, "length"),
    ({"gpus": "99999999999"}, "degree"),
    ({"tp": "1e300"}, "degree"),
    ({"pp": "-5"}, "degree"),
    ({"tp": "3", "ep": "3"}, "does not fill"),
]


def test_bad_rows_have_reasons_and_stop_nobody(table):
    changes = [{"row": "first"}, *({**change, "row": f"b{i}"} for i, (change, _) in enumerate(BAD)), {"row": "last"}]
    found = predict(read_rows(table(SILICON, *changes)))
    assert [p.measurement.id for p in found] == [change["row"] for change in changes]
    assert found[0].skipped is None
    assert found[0].tpot_s == found[-1].tpot_s
    for (_, word), p in zip(BAD, found[1:-1], strict=True):
        assert p.skipped is not None
        assert word in p.skipped
        assert math.isnan(p.tpot_s.value)


def test_a_fit_leaves_out_what_is_not_predicted_for_the_same_reason(table):
    rows = read_rows(table(SILICON, {}, *(change for change, _ in BAD)))
    read = read_cases(rows)
    assert list(read.cases) == [0]
    assert [read.skipped[i] for i in range(1, len(rows))] == [p.skipped for p in predict(rows)[1:]]


def test_a_row_cut_short_has_a_reason(table):
    path = table(SILICON, {})
    path.write_text(path.read_text() + "s2,peer_own_runs\n")
    assert [p.skipped for p in predict(read_rows(path))] == [None, "the row is cut short"]


def test_a_row_is_predicted_the_same_alone_and_in_company(table):
    changes = [{"row": str(c), "concurrency": str(c), "tp": str(tp), "attn_dp": str(8 // tp)}
               for c in (1, 16, 200) for tp in (8, 4)]  # fmt: skip
    rows = read_rows(table(SILICON, *changes, {"row": "other", "isl": "2048"}))
    together = predict(rows)
    alone = [predict([row])[0] for row in rows]
    for a, b in zip(together, alone, strict=True):
        assert a.skipped is None
        assert a.tpot_s.value == pytest.approx(b.tpot_s.value, rel=1e-12)
        assert a.ttft_s.value == pytest.approx(b.ttft_s.value, rel=1e-12)


def test_the_closed_loop_is_what_the_search_scores(table):
    row = read_rows(table(SILICON, {}))[0]
    case = case_of(row)
    scores = evaluate(case.scenario, case.plan)
    found = predict([row])[0]
    assert found.ttft_s.value == scores.ttft_s[0]
    assert found.tpot_s.value == scores.tpot_s[0]
    assert found.tokens_per_s_per_gpu.value == scores.output_tokens_per_s_per_gpu[0]


REGIMES = {
    "closed_loop_fixed_conc": (True, True, True),
    "latency_bs1": (True, True, True),
    "static_batch_offline": (True, True, True),
    "burst_all_at_once": (True, True, True),
    "max_throughput_offline": (False, True, True),
    "prefill_only_bs1": (True, False, False),
    "prefill_only": (True, False, False),
    "decode_only": (False, True, True),
}


@pytest.mark.parametrize("regime", REGIMES)
def test_each_regime_predicts_its_figures(table, regime):
    concurrency = "" if regime == "max_throughput_offline" else "1" if "bs1" in regime else "64"
    path = table(PUBLISHED, {"regime": regime, "concurrency": concurrency})
    (p,) = predict(read_rows(path))
    assert p.skipped is None
    figures = (p.ttft_s.value, p.tpot_s.value, p.tokens_per_s_per_gpu.value)
    assert tuple(math.isfinite(f) for f in figures) == REGIMES[regime]
    assert all(f > 0 for f in figures if math.isfinite(f))


def test_a_batch_in_process_waits_for_no_server(table):
    """Its first token comes after the prefill alone; a server adds what a request costs it."""
    changes = [
        {"regime": r, "concurrency": "1"} for r in ("prefill_only_bs1", "static_batch_offline", "burst_all_at_once")
    ]
    rows = read_rows(table(PUBLISHED, *changes))
    alone, batch, server = (p.ttft_s.value for p in predict(rows))
    scenario = case_of(rows[0]).scenario
    overhead = scenario.engine.request_s(scenario.lengths.isl)
    assert alone == batch
    assert server == pytest.approx(alone + overhead)


def test_an_unknown_regime_is_a_reason(table):
    (p,) = predict(read_rows(table(PUBLISHED, {"regime": "vibes"})))
    assert "vibes" in (p.skipped or "")


def test_a_queue_without_end_is_faster_than_a_small_batch(table):
    rows = read_rows(table(PUBLISHED, {}, {"regime": "max_throughput_offline", "concurrency": ""}))
    batch, queue = predict(rows)
    assert queue.tokens_per_s_per_gpu.value > batch.tokens_per_s_per_gpu.value


def test_a_default_precision_is_that_of_the_checkpoint(table):
    """A launch line without a flag for the weights serves what is published: MiniMax-M2.5 in FP8."""
    row = {"model": "MiniMaxAI/MiniMax-M2.5", "n_gpus": "8", "tp": "8", "engine": "SGLang"}
    rows = read_rows(table(PUBLISHED, row | {"weight_dtype": "bf16(default)"}, row | {"weight_dtype": "bf16"}))
    default, cast = (case_of(r).scenario.model.quantization for r in rows)
    assert default.of("experts.up").name == "fp8_block"
    assert cast.of("experts.up").name == "bf16"


@pytest.mark.parametrize(
    ("engine", "version", "model", "serial"),
    [
        ("SGLang", "0.5.6", "Qwen/Qwen3-Next-80B-A3B-Instruct", True),
        ("SGLang", "0.5.13", "Qwen/Qwen3-Next-80B-A3B-Instruct", True),
        ("SGLang", "0.5.14", "Qwen/Qwen3-Next-80B-A3B-Instruct", False),
        ("SGLang", "0.5.5", "Qwen/Qwen3-Next-80B-A3B-Instruct", False),
        ("SGLang", "0.5.8", "Qwen/Qwen3-32B", False),
        ("vLLM", "0.15.1", "Qwen/Qwen3-Next-80B-A3B-Instruct", False),
    ],
)
def test_recurrent_layers_kept_sglang_from_scheduling_ahead(table, engine, version, model, serial):
    change = {"engine": engine, "engine_version": version, "model": model, "weight_dtype": "bf16"}
    (row,) = read_rows(table(PUBLISHED, change))
    found = case_of(row).scenario.engine
    assert (found.steps_ahead == 0.0, found.step_overhead_s > 0.0) == (serial, serial)
    assert case_of(replace(row, printed=False)).scenario.engine.steps_ahead == 1.0


@pytest.mark.parametrize(
    ("version", "model", "hw", "factor"),
    [
        ("0.5.9", "Qwen/Qwen3-32B", "B200", 1.6),
        ("0.4.6.post1", "Qwen/Qwen3-32B", "H20-96GB", 1.6),
        ("0.5.12", "Qwen/Qwen3-32B", "H200", 1.6),
        ("0.5.6", "deepseek-ai/DeepSeek-V3", "B200", 1.6),
        ("0.5.9", "deepseek-ai/DeepSeek-V3", "H200", 1.0),
        ("0.5.9", "Qwen/Qwen3-32B", "MI355X", 1.0),
    ],
)
def test_what_sglang_leaves_of_fixed_costs(table, version, model, hw, factor):
    change = {"engine": "SGLang", "engine_version": version, "model": model, "hw": hw, "weight_dtype": "fp8"}
    (row,) = read_rows(table(PUBLISHED, change))
    scenario = case_of(row).scenario
    own = read_law(load_hardware(find_hardware(hw)).efficiency)
    assert scenario.law.gemm.launch_s == pytest.approx(own.gemm.launch_s * scenario.engine.launch_share * factor)


@pytest.mark.parametrize(
    ("engine", "version", "model", "kernel", "norms"),
    [
        ("vLLM", "0.16.0", "Qwen/Qwen3-32B", "custom", "apart"),
        ("vLLM", "0.17.0", "Qwen/Qwen3-32B", "custom", "fused"),
        ("vLLM", "", "Qwen/Qwen3-32B", "custom", "apart"),
        ("SGLang", "0.5.4", "deepseek-ai/DeepSeek-V3", "custom", "apart"),
        ("SGLang", "0.5.9", "deepseek-ai/DeepSeek-V3", "custom", "fused"),
        ("SGLang", "0.5.9", "openai/gpt-oss-120b", "custom", "fused"),
        ("SGLang", "0.5.9", "Qwen/Qwen3-32B", "custom", "apart"),
        ("SGLang", "0.5.14", "Qwen/Qwen3-32B", "sglang", "experts"),
        ("SGLang", "", "Qwen/Qwen3-32B", "sglang", "experts"),
        ("TensorRT-LLM", "0.20", "Qwen/Qwen3-32B", "custom", "apart"),
        ("TensorRT-LLM", "1.0", "Qwen/Qwen3-32B", "trtllm", "fused"),
    ],
)
def test_what_versions_reduce_with(table, engine, version, model, kernel, norms):
    change = {"engine": engine, "engine_version": version, "model": model, "weight_dtype": "fp8"}
    (row,) = read_rows(table(PUBLISHED, change))
    found = case_of(row).scenario.engine
    assert (found.all_reduce, found.all_reduce_norm) == (kernel, norms)


@pytest.mark.parametrize(("version", "norms"), [("0.19.0", "apart"), ("0.21.0", "fused")])
def test_all_reduces_did_no_norms_beside_data_parallelism_at_first(table, version, norms):
    change = {"engine_version": version, "tp": "4", "attn_dp": "2", "ep": "8"}
    (row,) = read_rows(table(SILICON, change))
    assert case_of(row).scenario.engine.all_reduce_norm == norms


def test_engine_defaults_of_the_largest_batch(table):
    rows = read_rows(table(PUBLISHED, {"engine": "vLLM"}, {"engine": "vLLM", "hw": "A100-80GB"}, {"engine": "SGLang"}))
    assert [most_sequences(case_of(row)) for row in rows] == [1024, 256, 2048]


def test_models_of_a_folder_go_first(table, tmp_path, repo):
    import json

    (tmp_path / "configs").mkdir()
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512, "intermediate_size": 1024,
        "num_attention_heads": 8, "num_key_value_heads": 8, "num_hidden_layers": 2, "vocab_size": 1000,
        "torch_dtype": "bfloat16",
    }  # fmt: skip
    (tmp_path / "configs" / "tiny-secret.json").write_text(json.dumps(config))
    rows = read_rows(table(SILICON, {"model": "me/tiny-secret", "precision": "bf16", "moe_tp": "8", "ep": "1"}))
    assert predict(rows)[0].skipped is not None
    found = predict(rows, tmp_path / "configs")[0]
    assert found.skipped is None
    assert np.isfinite(found.tpot_s.value)
