"""The still picture is well-formed, says what it shows, and shows its values."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_cases import few_points, hostile_case

from search.optimizer.outcome import Outcome
from search.render.palette import mark_of
from search.render.report import collect, pareto_svg
from search.render.report.chart import Scale, tick_step

SVG = "{http://www.w3.org/2000/svg}"


def read(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def test_it_is_one_picture_with_a_title_and_a_description(any_reported: Outcome) -> None:
    root = read(pareto_svg(collect(any_reported)))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[1].tag == f"{SVG}desc"
    assert any_reported.scenario.model.name in (root[0].text or "")
    assert "Marked: " in (root[1].text or "")


def test_every_point_of_the_front_and_every_mark_is_drawn(reported: Outcome) -> None:
    values = collect(reported)
    root = read(pareto_svg(values))
    width, height = (float(root.get(k) or 0) for k in ("width", "height"))
    groups = [g for g in root.findall(f"{SVG}g") if g.get("stroke") == "#ffffff"]
    assert sum(len(g) for g in groups) == len(reported.front)
    roles = ["recommended", "runner-up", "baseline", "baseline"]
    for i, role in enumerate(roles):
        colour = mark_of(role, i).colour
        bars = [p for p in root.findall(f"{SVG}path") if p.get("stroke") == colour]
        assert len(bars) == roles.count(role)
        # Both of its figures have an interval: two bars with two ends each.
        assert all((b.get("d") or "").count("M") == 6 for b in bars)
    for x, y in re.findall(r'c?x="([\d.]+)" c?y="([\d.]+)"', pareto_svg(values)):
        assert 0 <= float(x) <= width
        assert 0 <= float(y) <= height


def test_bars_reach_as_far_as_the_interval(reported: Outcome) -> None:
    values = collect(reported)
    wide = {**values, "mark.0.output_tokens_per_s_per_gpu_high": 5000.0}
    assert "5,000" in pareto_svg(wide)
    assert "5,000" not in pareto_svg(values)


def test_columns_without_an_interval_have_no_bar(reported: Outcome) -> None:
    values = {**collect(reported), "axes.x": "memory_utilization", "axes.y": "decode_mfu"}
    root = read(pareto_svg(values))
    assert not [p for p in root.findall(f"{SVG}path") if p.get("stroke") == mark_of("recommended").colour]


def test_names_cannot_break_it() -> None:
    text = pareto_svg(collect(few_points(hostile_case())))
    root = read(text)
    assert not [e for e in root.iter() if e.tag in (f"{SVG}script", f"{SVG}img", f"{SVG}b")]
    assert "<script" not in text


def test_same_values_same_bytes(reported: Outcome) -> None:
    assert pareto_svg(collect(reported)) == pareto_svg(collect(reported))


@given(st.lists(st.floats(0, 1e15), min_size=1, max_size=5))
def test_scales_hold_their_values_between_few_ticks(values: list[float]) -> None:
    scale = Scale.around(values, 0.0, 100.0)
    assert all(scale.holds(v) for v in values)
    ticks = scale.ticks()
    assert 3 <= len(ticks) <= 14
    assert all(-1e-6 <= scale.at(t) <= 100.0 + 1e-6 for t in ticks)
    assert scale.at(scale.high) == pytest.approx(100.0)


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_steps_are_round(low: float, size: float) -> None:
    step = tick_step(low, low + size) if low + size > low else 1.0
    mantissa = step / 10.0 ** math.floor(math.log10(step) + 1e-9)
    assert any(mantissa == pytest.approx(m) for m in (1, 2, 5, 10))
