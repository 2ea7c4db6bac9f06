"""The table at the end of a sweep: one row a job, the recommended plan of each."""

from __future__ import annotations

import csv

from search.render.front_table import three_digits

FEW = ("strategy=exact", "space.gpus=[4,8]", "space.tp=[4]", "space.batch=[16,32]")


def test_a_row_a_job_with_its_recommended_plan(search, tmp_path):
    code, out, err = search("-m", *FEW, "hardware=h100_sxm,mi300x", "limits.tpot_s=1,1e-9,-1", "hydra.sweep.dir=s")
    assert code == 2, err
    lines = out[out.index("Recommended plans") :].splitlines()
    head = lines[1].split()
    assert head[:3] == ["job", "hardware", "limits.tpot_s"]
    rows = [line.split() for line in lines[2:8]]
    assert [row[0] for row in rows] == list("012345")
    with (tmp_path / "s" / "sweep.csv").open(newline="") as file:
        best = {r["job"]: r for r in csv.DictReader(file) if r["recommended"] == "true"}
    assert sorted(best) == ["0", "3"]
    for row in (rows[0], rows[3]):
        plan = best[row[0]]
        at = head.index("gpus")  # an engine stands before it, where jobs recommend several
        assert row[at : at + 7] == [plan[a] for a in ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")]
        assert row[at + 7] == three_digits(float(plan["output_tokens_per_s"]))
        assert row[at + 9] == three_digits(float(plan["requests_per_s"]))
        cost = plan["usd_per_million_output_tokens"]
        assert row[-1] == (three_digits(float(cost)) if cost else "-")
    assert rows[1][3:] == ["no", "feasible", "plan"]
    assert rows[2][3:] == ["error"]


def test_a_sweep_without_any_plan_still_says_so(search):
    code, out, _ = search("-m", *FEW, "limits.tpot_s=-1,-2", "hydra.sweep.dir=s")
    assert code == 2
    lines = out[out.index("Recommended plans") :].splitlines()
    assert [line.split() for line in lines[2:4]] == [["0", "-1", "error"], ["1", "-2", "error"]]


def test_figures_that_limits_bound_are_columns(search):
    few = ("strategy=exact", "report=none", "space.gpus=[4]", "space.tp=[4]", "space.batch=[16,32]")
    code, out, err = search("-m", *few, "limits.ttft_s=20,30", "limits.ttft_statistic=burst", "hydra.sweep.dir=s")
    assert code == 0, err
    head = out[out.index("Recommended plans") :].splitlines()[1]
    assert "burst s" in head
    assert out.rstrip().endswith("sweep.csv")  # report=none spares the page too
