"""Decode pools of disaggregated runs: which rows state one, and what is predicted for it."""

import numpy as np
import pytest
from measured_cases import SILICON

from costmodel.evaluate import serve
from search.evidence.measured.fidelity_tables import show_pools
from search.evidence.measured.grouped import read_cases
from search.evidence.measured.pools import as_pool, decode_pools
from search.evidence.measured.rows import read_rows

POOLS = {
    **SILICON, "model": "deepseek-ai/DeepSeek-V3", "system": "h100_sxm", "engine": "trtllm", "engine_version": "1.1.0",
    "mode": "disagg", "concurrency": "6", "tpot_ms": "14", "decode_workers": "3", "decode_tp": "16", "decode_pp": "1",
    "decode_attn_dp": "1", "decode_moe_tp": "1", "decode_ep": "16",
}  # fmt: skip


@pytest.fixture
def rows(table):
    changes = ({}, {"decode_workers": ""}, {"decode_ep": "0"}, {"mode": "agg"})
    return read_rows(table(POOLS, *({"row": str(n), **change} for n, change in enumerate(changes))))


def test_a_pool_is_one_worker_with_its_share(rows):
    found = as_pool(rows[0])
    assert found is not None
    assert (found.concurrency, found.gpus, found.tp, found.ep) == (2.0, 16, 16, 16)
    assert [as_pool(row) for row in rows[1:]] == [None, None, None]


def test_its_step_is_the_decode_step_of_that_layout(rows):
    (pool,) = decode_pools(rows)
    time = serve(pool.case.scenario, pool.case.plan).time
    assert pool.step_s == pytest.approx(float(time.latency_s[0][0]))
    assert pool.low_s < pool.step_s < pool.high_s
    # Nothing else is predicted of such a row.
    assert set(read_cases(rows).skipped) == {0, 1, 2}


def test_pools_are_shown_by_engine_accelerator_and_nodes(rows, capsys):
    (pool,) = decode_pools(rows)
    show_pools([pool])
    assert "trtllm on h100_sxm, 2 nodes: 1 rows" in capsys.readouterr().out


def test_open_pools_of_two_nodes_are_met(data):
    """docs/collectives.md: eight rows of 16 H100, within 6 % up to ten sequences a pool."""
    rows = [row for row in read_rows(data / "silicon_dev.csv") if row.decode_pool and row.system == "h100_sxm"]
    few = [p for p in decode_pools(rows) if p.row.concurrency <= 10 and p.row.gpus == 16]
    ratios = [p.row.tpot_s / p.step_s for p in few]
    assert len(ratios) == 6
    assert np.all(np.abs(np.array(ratios) - 1.0) < 0.06)
