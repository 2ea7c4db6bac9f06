"""The sensitivity of a run: its files, and that its figures are those of a run with the changed input."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from sensitivity_cases import WORKED, config, only, outcome, rows, run_folder

from costmodel.plans import AXES
from search.inputs.saved_run import named_plan, read_run
from search.optimizer.outcome import Outcome
from search.optimizer.run import run
from search.optimizer.sensitivity.draws import factors
from search.optimizer.sensitivity.inputs import INPUTS, read_ranges
from search.optimizer.sensitivity.records import FIGURES, Range
from search.optimizer.sensitivity.table import HEADER, csv_text
from search.render.document import render_plan
from search.render.svg import Picture
from search.render.tornado import tornado

ZERO = [
    f"sensitivity.ranges.{name}.{end}=1"
    for name in ("compute", "bandwidth", "alpha", "beta", "imbalance", "isl", "osl")
    for end in ("low", "high")
]
TIERS = (
    "[{name: node, size: 8, latency_s: 5.0e-6, bytes_per_s: %r, efficiency: 0.8},"
    " {name: fabric, size: 64, latency_s: 1.0e-5, bytes_per_s: %r, efficiency: 0.8}]"
)
# The same input changed by hand in the configuration, for each end of a range and each unit.
BY_HAND = {
    ("range", "compute", 0.85): "hardware.efficiency.mfu=0.51",
    ("range", "compute", 1.15): "hardware.efficiency.mfu=0.69",
    ("range", "bandwidth", 0.85): "hardware.memory_bytes_per_s=1.53e12",
    ("range", "bandwidth", 1.1): "hardware.efficiency.bandwidth=0.88",
    ("range", "beta", 0.75): f"cluster.tiers={TIERS % (3.0e11, 3.75e10)}",
    ("range", "imbalance", 1.4): "engine.expert_imbalance=1.68",
    ("range", "isl", 0.8): "workload.isl=1638",
    ("range", "isl", 1.25): "workload.isl=2560",
    ("range", "osl", 1.25): "workload.osl=2560",
    ("resource", "memory", 65e9): "hardware.memory_bytes=65e9",
    ("resource", "bandwidth", 1.98e12): "hardware.memory_bytes_per_s=1.98e12",
    ("limit", "memory", 0.91): "limits.memory_fraction=0.91",
}


def row_of(table: list[dict[str, str]], kind: str, name: str, after: float) -> dict[str, str]:
    (found,) = [
        r for r in table if (r["kind"], r["input"]) == (kind, name) and float(r["after"]) == pytest.approx(after)
    ]
    return found


def test_a_run_has_its_files_and_says_so(worked_run: Path) -> None:
    assert {"sensitivity.csv", "sensitivity.svg"} <= {p.name for p in worked_run.iterdir()}
    summary = json.loads((worked_run / "summary.json").read_text())
    said = summary["sensitivity"]
    assert said["draws"] == 100
    assert 0 <= said["best"] <= min(said["best_layout"], said["feasible"]) <= 1
    assert said["ranked"] == 500 < said["scored"] == summary["scored"]
    assert "sensitivity" in summary["seconds"]
    text = (worked_run / "plan.md").read_text()
    assert "(sensitivity.svg)" in text
    assert f"feasible in **{said['feasible'] * 100:.1f} %**" in text


def test_the_first_row_is_the_recommended_plan(worked_run: Path) -> None:
    saved = read_run(worked_run)
    first, front = rows(worked_run / "sensitivity.csv")[0], saved.front[0]
    assert [first[f] for f in FIGURES] == [front[f] for f in FIGURES]
    plan, _ = named_plan(saved, first["best_plan"])
    assert plan.row(0) == saved.recommended


@pytest.mark.parametrize("what", sorted(BY_HAND))
def test_effects_are_those_of_the_changed_configuration(worked_run: Path, tmp_path: Path, what: tuple) -> None:
    """Against the main job itself, with the input changed on its command line and only this plan in the space."""
    found = row_of(rows(worked_run / "sensitivity.csv"), *what)
    plan = read_run(worked_run).recommended
    assert plan is not None
    folder = run_folder(tmp_path / "run", *only(plan), BY_HAND[what])
    (by_hand,) = rows(folder / "pareto.csv")
    for figure in FIGURES:
        assert float(found[figure]) == pytest.approx(float(by_hand[figure]), rel=1e-9), figure


@pytest.mark.parametrize(
    ("what", "override"),
    [
        (("resource", "bandwidth", 1.98e12), "hardware.memory_bytes_per_s=1.98e12"),
        (("resource", "memory", 65e9), "hardware.memory_bytes=65e9"),
        (("limit", "ttft", 33.0), "limits.ttft_s=33"),
        (("range", "compute", 0.85), "hardware.efficiency.mfu=0.51"),
        (("range", "isl", 1.25), "workload.isl=2560"),
    ],
)
def test_the_plan_recommended_there_is_the_one_of_a_whole_search(
    worked_run: Path, tmp_path: Path, what: tuple, override: str
) -> None:
    found = row_of(rows(worked_run / "sensitivity.csv"), *what)
    other = read_run(run_folder(tmp_path / "run", override, "sensitivity=none"))
    plan = other.recommended
    assert plan is not None
    assert found["best_plan"] == ",".join(f"{a}={plan[a]}" for a in AXES)
    before, after = read_run(worked_run).front[0], other.front[0]
    name = "output_tokens_per_s_per_gpu"
    assert float(found["best_gain"]) == pytest.approx(float(after[name]) / float(before[name]) - 1)


def test_a_node_more_is_the_best_plan_on_as_many_gpus(worked_run: Path, tmp_path: Path) -> None:
    found = row_of(rows(worked_run / "sensitivity.csv"), "resource", "node", 16)
    other = read_run(run_folder(tmp_path / "run", "space.gpus=[16]", "sensitivity=none"))
    plan = other.recommended
    assert plan is not None
    assert found["best_plan"] == ",".join(f"{a}={plan[a]}" for a in AXES)
    assert found["output_tokens_per_s"] == ""


def test_ranges_without_width_have_no_effect_and_the_plan_stays_best() -> None:
    found = outcome(*ZERO).sensitivity
    assert found is not None
    for s in found.situations:
        if s.kind == "range":
            assert s.figures == found.figures
            assert s.best is not None
            assert s.best.same
            assert s.best.gain == 0.0
    d = found.draws
    assert d is not None
    assert (d.feasible, d.best, d.layout, d.shortfall) == (1.0, 1.0, 1.0, (0.0, 0.0))
    assert not d.rivals
    assert d.robust is not None
    assert (d.robust[0], d.robust[2]) == (found.plan, 0.0)
    for figure, spread in d.quantiles.items():
        assert set(spread) == {found.figures[figure]}


def test_the_same_seed_gives_the_same_files(worked_run: Path, worked_outcome: Outcome, tmp_path: Path) -> None:
    again = run_folder(tmp_path / "run")
    for name in ("sensitivity.csv", "sensitivity.svg", "plan.md"):
        assert (again / name).read_bytes() == (worked_run / name).read_bytes()
    assert worked_outcome.sensitivity is not None
    assert csv_text(worked_outcome.sensitivity) == (worked_run / "sensitivity.csv").read_text()
    other = outcome("sensitivity.seed=1").sensitivity
    assert other is not None
    assert other.draws != worked_outcome.sensitivity.draws
    assert other.situations == worked_outcome.sensitivity.situations


def test_draws_lie_in_their_ranges_half_on_each_side() -> None:
    ranges = (Range("compute", 0.5, 1.5, ""), Range("alpha", 1.0, 4.0, ""), Range("beta", 1.0, 1.0, ""))
    drawn = factors(ranges, 4000, 3)
    assert drawn.shape == (4000, 3)
    assert drawn[:, 0].min() >= 0.5
    assert drawn[:, 0].max() <= 1.5
    assert (drawn[:, 0] < 1).mean() == pytest.approx(0.5, abs=0.03)
    assert (drawn[:, 1] == 1).mean() == pytest.approx(0.5, abs=0.03)
    assert (drawn[:, 1] > 2).mean() == pytest.approx(0.25, abs=0.03)  # log-uniform to 4
    assert (drawn[:, 2] == 1).all()


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("limits=interactive", "objective=throughput"),
        ("limits.tpot_s=0.04", "hardware=h100_sxm", "cluster=hgx8_400g", "space.batch=['16:512:48']"),
    ],
)
def test_ranking_the_contenders_is_ranking_all_plans(overrides: tuple[str, ...]) -> None:
    few = outcome(*overrides, "sensitivity.draws=40").sensitivity
    every = outcome(*overrides, "sensitivity.draws=40", "sensitivity.most_ranked=1000000").sensitivity
    assert few is not None
    assert every is not None
    assert few.ranked <= 500 < few.scored
    assert every.ranked == every.scored
    assert few.situations == every.situations
    assert few.draws == every.draws


def test_the_page_of_formats_names_every_column(repo: Path) -> None:
    page = (repo / "docs" / "formats.md").read_text()
    assert not [column for column in HEADER if f"`{column}`" not in page]


def test_the_page_has_the_ranges_of_the_default(repo: Path) -> None:
    page = (repo / "docs" / "sensitivity.md").read_text()
    for name, given in config(*WORKED).sensitivity.ranges.items():
        (row,) = [line for line in page.splitlines() if line.startswith("| `") and f"`{name}`" in line.split("|")[1]]
        assert row.endswith(f"| {given.low:g} to {given.high:g} |")


def test_it_can_be_left_out(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", "sensitivity=none")
    assert not [p.name for p in folder.iterdir() if "sensitivity" in p.name]
    assert json.loads((folder / "summary.json").read_text())["sensitivity"] is None
    assert "made without it" in (folder / "plan.md").read_text()


def test_draws_alone_can_be_left_out() -> None:
    found = outcome("sensitivity.draws=0")
    assert found.sensitivity is not None
    assert found.sensitivity.draws is None
    assert "draws over all inputs" not in render_plan(found)
    assert "draws" not in tornado(found)


def test_without_a_feasible_plan_there_is_none() -> None:
    assert outcome("limits.ttft_s=0.001").sensitivity is None


def test_a_full_cluster_has_no_node_more() -> None:
    full = ("strategy=exact", "model=qwen3_0_6b", "hardware=h100_sxm", "cluster=single8", "objective=throughput")
    found = run(config(*full, "space.gpus=[1,8]")).sensitivity
    assert found is not None
    assert found.plan["gpus"] == 8
    assert not [s for s in found.situations if s.name == "node"]


def test_one_accelerator_sends_no_messages() -> None:
    one = ("strategy=exact", "model=qwen3_0_6b", "hardware=h100_sxm", "space.gpus=[1]")
    found = run(config(*one)).sensitivity
    assert found is not None
    links = [s for s in found.situations if s.name in ("alpha", "beta")]
    assert len(links) == 6
    assert all(s.figures == found.figures for s in links)


def test_the_picture_is_whole_and_says_what_it_shows(worked_run: Path) -> None:
    text = (worked_run / "sensitivity.svg").read_text()
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.attrib["role"] == "img"
    title, description = root.find(f"{space}title"), root.find(f"{space}desc")
    assert title is not None
    assert "Sensitivity of the recommended plan" in str(title.text)
    assert description is not None
    table = rows(worked_run / "sensitivity.csv")
    figures = {"output_tokens_per_s": "output tokens/s", "burst_ttft_s": "TTFT, end of a burst", "tpot_s": "TPOT"}
    ranges = [r for r in table if r["kind"] == "range"]
    assert len(ranges) == 14
    for low, high in zip(ranges[::2], ranges[1::2], strict=True):
        for figure, head in figures.items():
            first, second = (
                f"{float(r[f'{figure}_change']) * 100:+.1f} % at ×{float(r['after']):.3g}" for r in (low, high)
            )
            assert f"{INPUTS[low['input']].label}, {head}: {first}, {second}." in str(description.text)
    words = [str(t.text) for t in root.iter(f"{space}text")]
    assert {"expert imbalance", "prompt length", "TTFT, end of a burst"} <= set(words)
    assert not re.search(r"nan|inf\b", text)
    width = float(root.attrib["width"])
    for bar in root.iter(f"{space}rect"):
        left = float(bar.get("x", "0"))
        assert 0 <= left <= left + float(bar.attrib["width"]) <= width


def test_hostile_names_stay_names(worked_outcome: Outcome) -> None:
    hostile = '</text><script>alert(1)</script>" & \x1b[31m\x00\u202e'
    scenario = worked_outcome.scenario
    bad = replace(worked_outcome, scenario=replace(scenario, model=replace(scenario.model, name=hostile)))
    text = tornado(bad)
    root = ElementTree.fromstring(text)
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert worked_outcome.sensitivity is not None
    first = replace(worked_outcome.sensitivity.situations[0], source="=cmd()|'x'!A1\n+1")
    table = csv_text(replace(worked_outcome.sensitivity, situations=(first,)))
    assert ",'=cmd()|'x'!A1 +1\n" in table


def test_a_picture_of_shapes() -> None:
    picture = Picture(100, 50)
    picture.rect(0, 0, -3, 5.04, "#000")
    picture.text(1, 2, "a < b & c", weight="bold")
    text = picture.render("t", "d")
    assert '<rect x="0" y="0" width="0" height="5" fill="#000"/>' in text
    assert "a &lt; b &amp; c" in text
    ElementTree.fromstring(text)


def test_units_alone_when_no_range_is_given(tmp_path: Path) -> None:
    found = replace(config(*WORKED))
    found.sensitivity.ranges.clear()
    result = run(found)
    assert read_ranges(found.sensitivity, result.scenario) == ()
    assert result.sensitivity is not None
    assert {s.kind for s in result.sensitivity.situations} == {"resource", "limit"}
    ElementTree.fromstring(tornado(result))
    assert "One unit more" in render_plan(result)
