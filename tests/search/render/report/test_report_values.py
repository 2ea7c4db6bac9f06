"""The report's values are those of the outcome, and every figure on the page comes from them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from report_cases import dense_case, few_points, infeasible_case
from watched import Watched

from costmodel.evaluate import evaluate
from costmodel.plans import AXES
from costmodel.scores import COSTS, FIGURES
from search.optimizer.outcome import Outcome
from search.render.report import collect, pareto_svg
from search.render.report.chosen import batch_grid
from search.render.report.columns import describe
from search.render.report.page import SECTIONS, Section
from search.render.report.sections.front import front_data
from search.render.report.sections.inputs import quantity
from search.render.report.view import PageView, rounded, short
from search.render.tables import columns, front_rows, header

# Texts that choose how something is drawn, or which column is meant, and are not shown themselves.
CHOOSING = re.compile(
    r"axes\.|better\.|(.*\.)?(role|bound|phase|standing|column|figure|sampled|exact|ttft_statistic|direction)$|cloud\.|plans\."
)


def drawn(section: Section, values: Mapping[str, Any]) -> str:
    """All that a section puts on the page."""
    v = PageView(values)
    key = section.key(v) if section.key else ""
    data = json.dumps(front_data(v)) + pareto_svg(values) if section.identity == "front" else ""
    return f"{section.body(v)}{key}{json.dumps(dict(section.pictures(v)))}{data}"


def larger(value: Any) -> list[Any]:
    """Other values in the place of one; of a column, one entry is another."""
    if isinstance(value, tuple):
        return [(*value[:i], new, *value[i + 1 :]) for i in {0, len(value) - 1} if value for new in larger(value[i])]
    if isinstance(value, str):
        return [f"{value} changed"]
    return [value * 2 + 1, value * 1000 + 1] if isinstance(value, int) else [value * 1.5, value * 1e3 + 1e-3]


OF_A_RATE = ("rate", "queue", "regimes")  # parts that only requests at a rate have: test_report_rates.py


@pytest.mark.parametrize("section", [s for s in SECTIONS if s.identity not in OF_A_RATE], ids=lambda s: s.identity)
def test_every_figure_comes_from_its_value(any_reported: Outcome, section: Section) -> None:
    """Change any value that a part of the page reads, and the part changes."""
    values = collect(any_reported)
    watched = Watched(values)
    before = drawn(section, watched)
    # The page's script fills the table of plans from the front's data; without a plan there is no sensitivity.
    assert watched.read or section.identity in ("plans", "sensitivity", "commands")
    # Operations are alike: one in four of them stands for all.
    keys = [k for k in sorted(watched.read) if not re.match(r"part\.\d", k) or int(k.split(".")[1]) % 4 == 0]
    for key in keys:
        value = values[key]
        texts = isinstance(value, str) or (isinstance(value, tuple) and any(isinstance(x, str) for x in value))
        if (texts and CHOOSING.match(key)) or value == ():
            continue
        for new in larger(value):
            if drawn(section, {**values, key: new}) != before:
                break
        else:
            pytest.fail(f"{section.identity}: {key} = {value!r} changed and nothing else did")


def test_every_entry_of_a_column_is_on_the_page(any_reported: Outcome) -> None:
    values = collect(any_reported)
    before = json.dumps(front_data(PageView(values)))
    for key in (k for k in values if k.startswith(("plans.", "cloud."))):
        column = values[key]
        assert isinstance(column, tuple)
        if key.startswith("cloud.") and key.endswith(("_low", "_high")):
            continue  # only plans of the front tell their intervals
        for i in range(0, len(column), 23):
            new = "other" if isinstance(column[i], str) else column[i] * 1.5 + 1
            changed = {**values, key: (*column[:i], new, *column[i + 1 :])}
            assert json.dumps(front_data(PageView(changed))) != before, (key, i)


def test_sections_write_no_figure_of_their_own(reported: Outcome) -> None:
    """With every value the same strange number, no other number is left but those in names."""

    def strange(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(strange(x) for x in value)
        return value if isinstance(value, str) else 777

    values = {key: strange(value) for key, value in collect(few_points(reported)).items()}
    for identity in ("summary", "time", "roofline", "memory", "sweep"):
        (section,) = (s for s in SECTIONS if s.identity == identity)
        text = re.sub(r"<svg.*?</svg>|<[^>]*>", " ", section.body(PageView(values)))
        digits = {d.rstrip(".,") for d in re.findall(r"(?<![\w.])\d[\d,.]*", text)}
        # 777 as a share is 77,700 %, a change 778 times as much; 777 bytes are 7.77e-07 GB; 80 % says which interval.
        assert {d for d in digits if set(d) - set("70,.")} <= {"1", "80", "100", "778"}, identity


@pytest.fixture(scope="module", params=[0, 1, 2, 3])
def priced(request: pytest.FixtureRequest, reported: Outcome) -> Outcome:
    """The worked case on an accelerator with neither price nor power, with one of them, and with both."""
    price, power = (3.0 if request.param & 1 else None), (700.0 if request.param & 2 else None)
    accelerator = replace(reported.scenario.accelerator, price_per_hour=price, power_w=power)
    scenario = replace(reported.scenario, accelerator=accelerator)
    baselines = tuple(replace(b, scores=evaluate(scenario, b.plan)) for b in reported.baselines)
    return replace(reported, scenario=scenario, scores=evaluate(scenario, reported.plans), baselines=baselines)


def test_table_holds_the_front_as_pareto_csv_does(priced: Outcome) -> None:
    """Without the columns that are empty there: costs that the accelerator does not state."""
    values = collect(priced)
    every = dict(zip(header(), map(tuple, columns(priced, front_rows(priced))), strict=True))
    filled = {name: column for name, column in every.items() if set(column) != {""}}
    assert len(every) - len(filled) == 3 * (len(COSTS) - len(priced.scores.costs))
    assert {k: v for k, v in values.items() if k.startswith("plans.")} == {
        "plans.row": tuple(range(1, len(priced.front) + 1)),
        **{f"plans.{name}": column for name, column in filled.items()},
    }


def test_every_column_of_pareto_csv_joins_the_page(priced: Outcome) -> None:
    """Also where the front is empty."""
    unknown = set(COSTS) - set(priced.scores.costs)
    for outcome in (priced, replace(priced, front=priced.front[:0], choice=None)):
        data = front_data(PageView(collect(outcome)))
        names = {c["name"] for c in data["columns"]}
        bounds = {n for n in header() if n.endswith(("_low", "_high"))}
        assert set(header()) - bounds - unknown == names
        assert {f"{c['name']}_low" for c in data["columns"] if c["interval"]} <= set(data["front"])


def test_picture_is_a_seeded_sample_that_says_so(reported: Outcome) -> None:
    few, again = few_points(reported), few_points(reported)
    first = collect(few)
    assert collect(again) == first
    assert len(first["cloud.batch"]) == 12  # type: ignore[arg-type]
    assert first["points.sampled"] == "yes"
    (scatter,) = (s for s in SECTIONS if s.identity == "front")
    said = scatter.body(PageView(first))
    assert f"a sample of the other scored plans, {len(reported.front) + 12} of {len(reported.plans):,} in all" in said
    seeded = replace(few, config=replace(few.config, strategy=replace(few.config.strategy, seed=1)))
    assert collect(seeded)["cloud.batch"] != first["cloud.batch"]


def test_cloud_and_front_have_no_plan_in_common(any_reported: Outcome) -> None:
    values = collect(any_reported)
    front, cloud = (set(zip(*(values[f"{t}.{a}"] for a in AXES), strict=True)) for t in ("plans", "cloud"))  # type: ignore[arg-type]
    assert not front & cloud
    assert len(front) == len(any_reported.front)


def test_the_recommended_plan_is_in_the_table_of_a_very_long_front(reported: Outcome) -> None:
    assert reported.choice is not None
    feasible = np.flatnonzero(reported.scores.feasible)
    order = reported.policy.order(reported.plans.take(feasible), reported.scores.take(feasible))
    last = int(feasible[order[-1]])
    long = replace(reported, front=feasible, choice=replace(reported.choice, recommended=last))
    values = collect(long)
    assert len(values["plans.batch"]) == 1000  # type: ignore[arg-type]
    assert values["points.front"] == len(feasible)
    assert values["plans.row"][-1] == len(feasible)  # type: ignore[index]
    assert values["plans.batch"][-1] == reported.plans.batch[last]  # type: ignore[index]


def test_marks_are_the_plans_that_they_say(reported: Outcome) -> None:
    values, choice = collect(reported), reported.choice
    assert choice is not None and choice.runner_up is not None
    for i, row in enumerate((choice.recommended, choice.runner_up)):
        for name in FIGURES:
            assert values[f"mark.{i}.{name}"] == getattr(reported.scores, name)[row]
    for i, baseline in enumerate(reported.baselines, 2):
        assert values[f"mark.{i}.name"] == f"baseline {baseline.name}"
        for name in FIGURES:
            assert values[f"mark.{i}.{name}"] == getattr(baseline.scores, name)[0]


def test_operations_add_up_to_their_pass(any_reported: Outcome) -> None:
    v = PageView(collect(any_reported))
    for phase in v.children("phase"):
        parts = [p.number("seconds") for p in v.each("part") if p.text("phase") == phase]
        assert sum(parts) == pytest.approx(v.number(f"phase.{phase}.seconds"))


def test_no_operation_is_above_its_roof(any_reported: Outcome) -> None:
    v = PageView(collect(any_reported))
    peak = max(v.number(f"roof.{c}.peak") for c in v.children("roof") if c.isdigit())
    points = [p for p in v.each("part") if "intensity" in p]
    assert points
    for p in points:
        roof = min(peak, p.number("intensity") * v.number("roof.bytes_per_s"))
        assert p.number("flops_per_s") <= roof * (1 + 1e-9), p.text("name")


def test_the_fullest_stage_is_the_plan_s_memory() -> None:
    outcome = dense_case()
    v = PageView(collect(outcome))
    stages = [v.at("stage_memory").at(s) for s in v.children("stage_memory")]
    assert len(stages) == 4
    first = v.at("mark").at("0")
    for part in ("weights", "kv_cache"):
        most = max(s.number(part) for s in stages)
        assert most == pytest.approx(first.number(f"{part}_bytes_per_gpu"))


def test_curves_pass_through_the_plan(any_reported: Outcome) -> None:
    v = PageView(collect(any_reported))
    batch = v.raw("sweep.chosen")
    at = v.column("sweep.batch").index(batch)
    first = v.at("mark").at("0")
    for name in ("output_tokens_per_s", "ttft_s", "tpot_s", "ttft_s_low", "tpot_s_high"):
        assert v.column(f"sweep.{name}")[at] == pytest.approx(first.number(name), rel=1e-12)
    assert v.column("sweep.misses")[at] == first.text("misses")


def test_curves_are_what_evaluate_says(reported: Outcome) -> None:
    from costmodel.plans import Plans

    values = collect(reported)
    layout = {a: values[f"chosen.{a}"] for a in AXES if a != "batch"}
    for batch, speed in list(zip(values["sweep.batch"], values["sweep.output_tokens_per_s"], strict=True))[::6]:  # type: ignore[arg-type]
        scores = evaluate(reported.scenario, Plans.of(**layout, batch=batch))
        assert scores.output_tokens_per_s[0] == pytest.approx(speed, rel=1e-12)


@pytest.mark.parametrize(("batch", "most"), [(1, 1), (7, 8), (400, 1000), (5, 100_000)])
def test_batch_grid_holds_its_ends_and_the_batch(batch: int, most: int) -> None:
    grid = batch_grid(batch, most)
    assert grid == sorted(set(grid))
    assert {1, batch, max(most, 2)} <= set(grid)
    assert len(grid) <= 40


def test_every_input_with_its_source(reported: Outcome) -> None:
    v = PageView(collect(reported))
    rows = {r.text("key"): r for r in v.each("input_row") if r.text("key") != "stated"}
    hardware = reported.config.hardware
    assert rows["hardware.memory_bytes_per_s"].number("value") == hardware.memory_bytes_per_s
    assert rows["hardware.peak_flops.fp8"].text("source") == hardware.sources["peak_flops_fp8"]
    assert rows["cluster.node.latency_s"].text("standing") == "assumption"
    assert rows["model.published.num_hidden_layers"].text("standing") == "source"
    assert rows["limits.ttft_s"].text("standing") == "choice"
    assert rows["sensitivity.ranges.isl.low"].text("standing") == "assumption"
    assert rows["intervals.yaml"].text("standing") == "assumption"
    stated = [r.text("source") for r in v.each("input_row") if r.text("key") == "stated"]
    assert len(stated) == len(reported.assumptions)
    assert sum(v.number(f"standing.{s}") for s in v.children("standing")) == len(v.children("input_row"))


def test_a_number_without_a_source_is_said_to_have_none(reported: Outcome) -> None:
    hardware = replace(reported.config.hardware, sources={})
    outcome = replace(reported, config=replace(reported.config, hardware=hardware))
    v = PageView(collect(outcome))
    standings = {r.text("key"): r.text("standing") for r in v.each("input_row")}
    assert standings["hardware.memory_bytes"] == "no source"
    assert v.number("standing.no source") >= 8


def test_infeasible_report_is_about_the_nearest_plans() -> None:
    v = PageView(collect(infeasible_case()))
    assert [m.text("role") for m in v.each("mark")][:3] == ["nearest"] * 3
    assert "tpot" in v.text("mark.0.misses")
    (summary,) = (s for s in SECTIONS if s.identity == "summary")
    assert "No plan keeps every limit" in summary.body(v)


def test_new_columns_get_a_label_and_a_unit_by_themselves() -> None:
    assert describe("tpot_s").title == "TPOT (ms)"
    assert describe("tpot_s_low").scale == describe("tpot_s").scale == 1e3
    assert describe("queued_requests_mean").title == "queued requests mean"
    assert describe("draft_bytes_per_gpu").title == "draft per GPU (GB)"


def test_sizes_are_shown_where_their_digits_are() -> None:
    assert quantity("engine.reserve_bytes", 524288.0) == "0.524288 MB"
    assert quantity("hardware.memory_bytes", 64e9) == "64.00 GB"


def test_short_numbers() -> None:
    assert [short(x) for x in (6602.4, 825.3, 0.26637, 12, 999.7, 0.0, 1e-5)] == [
        "6,602", "825", "0.266", "12", "1,000", "0", "1e-05",
    ]  # fmt: skip
    assert rounded([123456.0, 0.00123456, 0.0, -7.0, 1e12], 4) == [123500, 0.001235, 0, -7, 1_000_000_000_000]
