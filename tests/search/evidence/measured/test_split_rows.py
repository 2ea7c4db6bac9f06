"""Disaggregated rows: counted, inferred or left out with a reason."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from measured_cases import SILICON

from search.evidence.measured.predict import predict
from search.evidence.measured.rows import read_rows
from search.evidence.measured.split_cases import split_case_of
from search.evidence.measured.versions import version_of

POOLS = {
    f"{pool}_{name}": value
    for pool in ("prefill", "decode")
    for name, value in (("tp", "8"), ("pp", "1"), ("attn_dp", "1"), ("moe_tp", "1"), ("ep", "8"), ("batch_size", "4"))
}
BASE = SILICON | {
    "mode": "disagg", "origin": "inferencex", "model": "deepseek-ai/DeepSeek-V3", "engine": "trtllm",
    "engine_version": "0.8.1.post1", "concurrency": "36", "ttft_ms": "620", "tpot_ms": "13.4", **POOLS,
    "prefill_workers": "1", "decode_workers": "9",
}  # fmt: skip
UNCOUNTED = {"prefill_workers": "", "decode_workers": "", "gpus": ""}


def test_a_counted_row_is_predicted_on_all_its_gpus(table):
    (row,) = read_rows(table(BASE, {}))
    assert row.pools.gpus == row.gpus == 80
    (found,) = predict([row])
    assert found.skipped is None
    assert found.coverage == "split"
    assert found.tpot_s.low < found.tpot_s.value < found.tpot_s.high
    life = found.ttft_s.value + (row.osl - 1) * found.tpot_s.value
    assert found.tokens_per_s_per_gpu.value == pytest.approx(36 * row.osl / life / 80, rel=1e-2)


def test_a_row_without_counts_takes_those_of_the_same_run_and_says_so(table):
    twin = {"row": "s2", "model": "deepseek-ai/DeepSeek-R1", **UNCOUNTED}
    repeat = twin | {"row": "s3", "ttft_ms": "700", "tpot_ms": "13.5"}
    drafts = twin | {"row": "s4", "tpot_ms": "7.1"}
    rows = read_rows(table(BASE, {}, twin, repeat, drafts))
    first, second, third, fourth = predict(rows)
    assert "row s1, which lists the same run" in rows[1].note
    assert "row s1, of which it is a repeat" in rows[2].note
    assert second.tpot_s == third.tpot_s == first.tpot_s
    assert rows[1].note in second.assumptions
    assert fourth.skipped is not None
    assert "not exactly one launch script" in fourth.skipped


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"concurrency": ""}, "concurrency"),
        ({"prefill_tp": ""}, "no layout of its pools"),
        ({"decode_ep": "5"}, "does not fill"),
        ({"model": "nobody/nothing-7b"}, "model"),
    ],
)
def test_what_cannot_be_predicted_has_a_reason(table, change, word):
    first, other = predict(read_rows(table(BASE, {}, change)))
    assert first.skipped is None
    assert word in other.skipped
    assert math.isnan(other.tpot_s.value)


def test_dynamos_number_names_the_engine_inside(table):
    (row,) = read_rows(table(BASE, {}))
    assert version_of(row) == (1, 2)


def test_attention_groups_share_the_budget_of_sglangs_scripts(table):
    grouped = {"prefill_tp": "1", "prefill_attn_dp": "8", "decode_tp": "1", "decode_attn_dp": "8"}
    rows = read_rows(table(BASE | {"engine": "sglang", "engine_version": "0.5.8"}, {}, grouped))
    budgets = [split_case_of(row).prefill.scenario.engine.max_batched_tokens for row in rows]
    assert budgets == [32768, 4096]


@pytest.mark.skipif("SERVEFRONT_DATA" not in os.environ, reason="SERVEFRONT_DATA is not set")
def test_open_rows_keep_their_goals():
    rows = read_rows(Path(os.environ["SERVEFRONT_DATA"]) / "silicon_dev.csv")
    counted = [m for m in rows if m.regime == "disaggregated" and m.pools and m.pools.counted and m.concurrency]
    assert len(counted) == 350
    found = predict(counted[::8])  # for speed: docs/split.md has the whole
    tpot = [abs(p.tpot_s.value / p.measurement.tpot_s - 1) for p in found]
    assert float(np.mean(tpot)) < 0.15
    for name in ("ttft_s", "tpot_s", "tokens_per_s_per_gpu"):
        pairs = [(getattr(p, name), getattr(p.measurement, name)) for p in found]
        assert 0.75 < np.mean([f.low <= value <= f.high for f, value in pairs]) < 0.98  # none left out
