"""Which launch script made a disaggregated row, and what it says."""

import itertools

import pytest
from measured_cases import SILICON

from search.evidence.measured.predict import predict
from search.evidence.measured.rows import read_rows
from search.evidence.measured.split_cases import split_case_of
from search.evidence.measured.split_launches import launches

# As the benchmark lists its runs on H100: the width of an instance, and nothing of how many there are.
ROW = SILICON | {
    "mode": "disagg", "origin": "inferencex", "model": "deepseek-ai/DeepSeek-R1", "system": "h100_sxm",
    "engine": "trtllm", "engine_version": "0.8.1.post3", "concurrency": "6", "gpus": "", "ttft_ms": "12000",
    "tpot_ms": "14", **{f"{pool}_{name}": "16" for pool in ("prefill", "decode") for name in ("tp", "ep")},
    "prefill_workers": "", "decode_workers": "", "prefill_attn_dp": "1", "decode_attn_dp": "1",
}  # fmt: skip
DRAFTED = {"row": "s2", "tpot_ms": "7.7", "ttft_ms": "6900"}


def test_scripts_are_read_whole_and_none_twice():
    found = launches()
    assert len({repr(script) for script in found}) == len(found) > 400
    for script in found:
        pools = script.pools
        assert pools.counted
        assert pools.gpus == pools.prefill.workers * pools.prefill.gpus + pools.decode.workers * pools.decode.gpus
        assert pools.seats is None or pools.seats % pools.decode.attn_dp == 0
        assert all(pool.gpus % pool.ep == 0 for pool in (pools.prefill, pools.decode))


def test_as_many_rows_as_scripts_go_by_the_time_of_a_token_in_any_order(table):
    for order in itertools.permutations(({}, DRAFTED)):
        by_id = {row.id: row.pools for row in read_rows(table(ROW, *order))}
        assert (by_id["s1"].drafts, by_id["s2"].drafts) == (0, 3)
        for pools in by_id.values():
            assert (pools.prefill.workers, pools.prefill.attn_dp) == (1, 16)
            assert (pools.decode.workers, pools.decode.tp, pools.seats, pools.gpus) == (3, 16, 1, 64)


def test_drafts_and_budgets_reach_the_pools_that_have_them(table):
    cases = [split_case_of(row) for row in read_rows(table(ROW, {}, DRAFTED))]
    assert [case.decode.scenario.engine.drafts for case in cases] == [0, 3]
    assert [case.prefill.scenario.engine.drafts for case in cases] == [0, 0]
    assert {case.prefill.scenario.engine.max_batched_tokens for case in cases} == {2048}


@pytest.mark.parametrize("change", [{}, {"concurrency": "7"}, {"decode_tp": "8"}, {"measured_on": "x", "tpot_ms": ""}])
def test_a_row_that_several_scripts_fit_or_none_is_left_out_with_the_reason(table, change):
    (found,) = predict(read_rows(table(ROW, change)))
    assert "not exactly one launch script" in found.skipped


def test_the_first_token_waits_for_a_seat(table):
    """Six in flight and three seats: each waits as long as another one decodes, less what its prefill took; but the
    first three of sixty."""
    found, _ = predict(read_rows(table(ROW, {}, DRAFTED)))
    decodes = (found.measurement.osl - 1) * found.tpot_s.value
    assert found.ttft_s.value == pytest.approx(0.95 * decodes, rel=0.02)
    assert "launch script" in " ".join(found.assumptions)
