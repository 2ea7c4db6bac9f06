"""``sweep.html``: what its picture, table and costs say is what ``sweep.csv`` says, and nothing complains."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import browser, choose, complaints, load, missing, requests

from search.render.report.view import short
from search.render.sweep_page import render
from search.render.sweeps import Job, Sweep

FEW = (
    "strategy=exact", "sensitivity=none", "space.gpus=[4,8]", "space.tp=[4]", "space.batch=[16,32]", "model=qwen3_32b",
    "engine=vllm", "report.max_points=20",
)  # fmt: skip
Search = Callable[..., tuple[int, str, str]]  # the fixture of conftest.py
COSTS = "return [...document.querySelectorAll('#cost-table tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
TRACES = "return document.getElementById('scatter').data.map(t => [t.name, t.x.length])"


@pytest.mark.skipif(bool(missing()), reason=f"no browser to look at the page with: {missing()}")
def test_fronts_filter_and_costs(search: Search, tmp_path: Path) -> None:
    code, out, err = search("-m", *FEW, "hardware=h100_sxm,h200_sxm", "limits.tpot_s=0.05,1e-9", "hydra.sweep.dir=s")
    assert code == 1, err  # nothing is as fast as that
    page = tmp_path / "s" / "sweep.html"
    assert out.rstrip().endswith("s/sweep.csv and s/sweep.html")
    assert len(page.read_bytes()) < 2_500_000
    with (tmp_path / "s" / "sweep.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["recommended"]]
    with browser(tmp_path / "profile") as desk:
        desk.get_log("performance")
        load(desk, page)
        assert complaints(desk) == []
        assert requests(desk) == [page.as_uri()]
        plans = {job: [r for r in rows if r["job"] == job] for job in ("0", "2")}
        traces = dict(desk.execute_script(TRACES))
        assert traces["hardware h100_sxm"] == len(plans["0"])
        assert traces["hardware h200_sxm"] == len(plans["2"])
        assert desk.find_element("css selector", "#jobs tr[data-job='1']").text.endswith("no feasible plan")

        desk.execute_script(
            "const i = document.getElementById('rate'); i.value = 100; i.dispatchEvent(new Event('input'))"
        )
        shown = {line[0].removeprefix("job "): line for line in desk.execute_script(COSTS)}
        assert sorted(shown) == sorted(plans)
        for job, own in plans.items():
            (best,) = [r for r in own if r["recommended"] == "true"]
            copies = math.ceil(100 / float(f"{float(best['requests_per_s']):.5g}"))
            worse = math.ceil(100 / float(f"{float(best['requests_per_s_low']):.5g}"))
            price = {"0": 6.88, "2": 7.912}[job]  # of conf/hardware
            keys = 2
            assert shown[job][1 + keys] == f"{short(copies)} [{short(worse)}]"
            assert shown[job][2 + keys] == short(copies * int(best["gpus"]))
            usd = float(shown[job][3 + keys].replace(",", ""))
            assert usd == pytest.approx(copies * int(best["gpus"]) * price, rel=5e-3)
            fewest = min(math.ceil(100 / float(f"{float(r['requests_per_s']):.5g}")) * int(r["gpus"]) for r in own)
            assert shown[job][6 + keys] == short(fewest)  # one price: the cheapest has the fewest GPUs

        choose(desk, "filter-0", "h200_sxm")
        assert [line[0] for line in desk.execute_script(COSTS)] == ["job 2"]
        assert "hardware h100_sxm" not in dict(desk.execute_script(TRACES))
        assert not desk.find_element("css selector", "#jobs tr[data-job='0']").is_displayed()
        choose(desk, "colour", "engine")
        choose(desk, "axis-x", "requests_per_s")
        desk.find_element("id", "log-y").click()
        assert complaints(desk) == []
    with browser(tmp_path / "profile2", 390, 844) as phone:
        load(phone, page)
        assert phone.execute_script("return document.documentElement.scrollWidth") == 390


def test_a_hostile_key_stays_text() -> None:
    hostile = "</script><script>alert(1)</script><img src=x>"
    plan = dict.fromkeys(("gpus", "dp", "pp", "sp", "tp", "ep", "batch"), "1") | {
        "engine": hostile, "tpot_s": "0.02", "output_tokens_per_s": "inf", "output_tokens_per_s_per_gpu": "5.0",
        "recommended": "true",
    }  # fmt: skip
    job = Job("0", "ok", {hostile: hostile}, [plan], 0)
    page = render(Sweep((job, Job("1", hostile, {hostile: hostile})), (hostile,), tuple(plan)), hostile)
    assert "<script>alert" not in page
    assert "<img" not in page


def test_a_sweep_without_any_plan_has_a_page_too() -> None:
    page = render(Sweep((Job("0", "error", {"a": "1"}),), ("a",), ()), "servefront -m a=1,2")
    assert "1 job, 0 with a plan" in page
    assert "| error" not in page
    assert ">error<" in page
