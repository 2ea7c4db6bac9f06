"""Decode pools of disaggregated runs: which rows give one, and what is predicted for it."""

import numpy as np
import pytest
from measured_cases import SILICON

from costmodel.evaluate import serve
from search.evidence.measured.fidelity_tables import show_pools
from search.evidence.measured.grouped import read_cases
from search.evidence.measured.pools import decode_pools
from search.evidence.measured.rows import read_rows

POOLS = {
    **SILICON, "model": "deepseek-ai/DeepSeek-V3", "system": "h100_sxm", "engine": "trtllm", "engine_version": "0.8.1",
    "mode": "disagg", "concurrency": "6", "tpot_ms": "14", "decode_workers": "3", "decode_tp": "16", "decode_pp": "1",
    "decode_attn_dp": "1", "decode_ep": "16", "prefill_workers": "1", "prefill_tp": "1", "prefill_attn_dp": "16",
    "prefill_ep": "16",
}  # fmt: skip


@pytest.fixture
def rows(table):
    changes = ({}, {"decode_workers": ""}, {"decode_ep": "5"}, {"mode": "agg"}, {"model": "deepseek-ai/DeepSeek-R1"})
    rows = read_rows(table(POOLS, *({"row": str(n), **change} for n, change in enumerate(changes))))
    return [rows[0], *rows[2:4], read_rows(table(POOLS, {"decode_workers": ""}))[0]]


def test_a_pool_is_one_instance_with_its_share(rows):
    (pool,) = decode_pools(rows)
    assert (pool.row.concurrency, pool.row.gpus, int(pool.case.plan.batch[0])) == (2.0, 16, 2)
    # Nothing else is predicted of such a row.
    assert set(read_cases(rows).skipped) == {0, 1, 3}


def test_a_row_that_copies_another_gives_none(table):
    copy = {"row": "s2", "model": "deepseek-ai/DeepSeek-R1", "decode_workers": "", "prefill_workers": ""}
    rows = read_rows(table(POOLS, {}, copy))
    assert rows[1].pools.counted
    assert [pool.row.id for pool in decode_pools(rows)] == ["s1"]


def test_its_seats_are_those_of_the_script(table):
    (pool,) = decode_pools(read_rows(table(POOLS | {"origin": "inferencex"}, {})))
    assert pool.row.concurrency == 1.0


def test_its_token_is_the_decode_step_of_that_layout(rows):
    (pool,) = decode_pools(rows)
    time = serve(pool.case.scenario, pool.case.plan).time
    assert pool.token_s == pytest.approx(float(time.latency_s[0][0]), rel=0.01)  # and sending it
    assert pool.low_s < pool.token_s < pool.high_s


def test_pools_are_shown_by_engine_accelerator_and_nodes(rows, capsys):
    show_pools(decode_pools(rows))
    assert "trtllm on h100_sxm, 2 nodes: 1 rows" in capsys.readouterr().out


def test_open_pools_of_two_nodes_are_met(data):
    """docs/collectives.md: six runs of 16 H100 with few sequences lie where pools of one node (H200) do."""
    rows = [row for row in read_rows(data / "silicon_dev.csv") if row.pools and row.system == "h100_sxm"]
    few = [p for p in decode_pools(rows) if p.row.concurrency <= 8 and p.row.gpus == 16]
    ratios = np.array([p.row.tpot_s / p.token_s for p in few])
    assert len(ratios) == 6
    assert ((ratios > 1.05) & (ratios < 1.15)).all()
