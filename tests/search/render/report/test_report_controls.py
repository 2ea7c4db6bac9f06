"""The page answers to mouse and keyboard, in a real browser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from browser import CELLS, HEADS, TRACES, choose, column, complaints, load, number
from report_cases import few_points

from search.optimizer.outcome import Outcome
from search.render.report import collect, render
from search.render.report.sections.front import FRONT_DIGITS
from search.render.report.view import rounded, short
from search.render.tables import front_rows


def test_table_says_what_pareto_csv_says(desk: Any, reported: Outcome) -> None:
    rows = front_rows(reported)
    speed = rounded(reported.scores.output_tokens_per_s[rows], FRONT_DIGITS)  # as the page's data hold it
    assert column(desk, "output tokens/s") == [short(math.floor(x + 0.5)) for x in speed]  # a half goes up in browsers
    assert [number(x) for x in column(desk, "batch")] == reported.plans.batch[rows].tolist()
    tpot = [float(x) * 1e3 for x in reported.scores.tpot_s[rows]]
    assert [number(x) for x in column(desk, "TPOT (ms)")] == pytest.approx(tpot, rel=5.1e-3)


def test_pointing_at_a_plan_shows_it(desk: Any, reported: Outcome) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    desk.execute_script("document.getElementById('scatter').scrollIntoView({block: 'center', behavior: 'instant'})")
    star = desk.execute_script("""return [...document.querySelectorAll('#scatter .scatterlayer .trace')].find(
        t => t.__data__[0].trace.name === 'recommended plan').querySelector('.points path')""")
    ActionChains(desk).move_to_element(star).perform()
    said = desk.execute_script("return document.querySelector('#scatter .hoverlayer').textContent")
    assert reported.choice is not None
    plan = reported.plans.row(reported.choice.recommended)
    assert "recommended plan" in said
    assert " ".join(f"{a} {plan[a]}" for a in ("gpus", "dp", "pp", "sp", "tp", "ep", "batch")) in said
    assert f"TPOT: {short(reported.scores.tpot_s[reported.choice.recommended] * 1e3)} ms [" in said


def test_marked_plans_have_bars(desk: Any) -> None:
    bars = desk.execute_script("return document.querySelectorAll('#scatter .errorbars .errorbar path').length")
    assert bars == 2 * 4  # both figures of the recommended plan, the runner-up and two baselines


def test_axes_and_colour_change_the_picture(desk: Any, reported: Outcome) -> None:
    def scatter(what: str) -> Any:
        return desk.execute_script(f"const s = document.getElementById('scatter'); return {what}")

    assert scatter("s.layout.xaxis.title.text") == "TPOT (ms)"
    before = desk.execute_script(TRACES)
    choose(desk, "axis-x", "ttft_s")
    choose(desk, "axis-y", "memory_utilization")
    assert scatter("[s.layout.xaxis.title.text, s.layout.yaxis.title.text]") == ["TTFT (s)", "memory used (%)"]
    shown = scatter("s.data.filter(t => t.name.startsWith('front')).flatMap(t => t.y)")
    expected = reported.scores.memory_utilization[front_rows(reported)] * 100
    assert sorted(shown) == pytest.approx(sorted(expected.tolist()), rel=1e-4)
    choose(desk, "colour", "tp")
    assert desk.execute_script(TRACES) != before
    assert any(name.startswith("front, tp") for name, *_ in desk.execute_script(TRACES))
    choose(desk, "colour", "batch")  # more values than kinds: a scale of colours
    assert scatter("s.data.some(t => t.marker && t.marker.colorscale)")
    desk.find_element("id", "log-y").click()
    assert scatter("s.layout.yaxis.type") == "log"
    desk.find_element("id", "cloud").click()
    assert not [name for name, *_ in desk.execute_script(TRACES) if name in ("misses a limit", "not on the front")]
    assert complaints(desk) == []


def test_filters_hold_for_picture_and_table(desk: Any, reported: Outcome) -> None:
    rows = front_rows(reported)
    tp = reported.plans.tp[rows]
    choose(desk, "filter-tp", "8")
    assert set(column(desk, "tp")) == {"8"}
    assert len(column(desk, "tp")) == int((tp == 8).sum())
    drawn = sum(n for name, n, _ in desk.execute_script(TRACES) if name.startswith("front"))
    assert drawn == int((tp == 8).sum())
    assert desk.find_element("id", "count").text.startswith(f"{drawn} of {len(rows)} plans of the front")
    choose(desk, "filter-engines", "trtllm")
    assert all("trtllm" in engines for engines in column(desk, "engines"))
    choose(desk, "range-column", "tpot_s")
    desk.find_element("id", "range-high").send_keys("40")
    shown = [number(x) for x in column(desk, "TPOT (ms)")]
    assert shown
    assert max(shown) <= 40
    desk.find_element("id", "reset").click()
    assert len(column(desk, "tp")) == len(rows)


def test_a_heading_sorts_both_ways(desk: Any) -> None:
    head = "#front-table thead button[data-column='tpot_s']"
    desk.find_element("css selector", head).click()
    rising = [number(x) for x in column(desk, "TPOT (ms) ▲")]
    assert rising == sorted(rising)
    sorts = """return [...document.querySelectorAll('#front-table thead th[aria-sort]')].map(
               h => h.getAttribute('aria-sort'))"""
    assert desk.execute_script(sorts).count("ascending") == 1
    desk.find_element("css selector", head).click()
    falling = [number(x) for x in column(desk, "TPOT (ms) ▼")]
    assert falling == rising[::-1]
    assert desk.execute_script(sorts).count("descending") == 1
    desk.find_element("css selector", "#front-table thead button[data-column='output_tokens_per_s']").click()
    best_first = [number(x) for x in column(desk, "output tokens/s ▼")]
    assert best_first == sorted(best_first, reverse=True)


def test_columns_can_be_chosen(desk: Any) -> None:
    assert "weights per GPU (GB)" not in desk.execute_script(HEADS)
    desk.execute_script("document.getElementById('columns').parentElement.open = true")
    desk.find_element("id", "show-weights_bytes_per_gpu").click()
    assert "weights per GPU (GB)" in desk.execute_script(HEADS)
    desk.find_element("id", "show-tp").click()
    assert "tp" not in desk.execute_script(HEADS)


def test_the_keyboard_alone_reaches_and_works_every_control(desk: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> None:
        ActionChains(desk).send_keys(*keys).perform()

    def focused() -> str:
        return str(
            desk.execute_script(
                "const a = document.activeElement; return a.id || a.dataset.column || a.dataset.row || a.textContent"
            )
        )

    reached = []
    for _ in range(90):
        press(Keys.TAB)
        reached.append(focused())
        if reached[-1] == "0":  # the first plan of the table
            break
    assert reached[0] == "Skip to the plan"
    assert {"axis-x", "axis-y", "colour", "log-x", "cloud", "filter-tp", "range-low", "reset", "tpot_s", "0"} <= set(
        reached
    )
    assert len(set(reached)) > 30
    visible = "return getComputedStyle(document.activeElement).outlineStyle"
    assert desk.execute_script(visible) == "solid"
    press(Keys.ENTER)  # look at the plan
    assert desk.find_element("css selector", "#plan h3").text.startswith("Row 1: gpus 8")
    assert focused() == "0"  # drawing the table again does not lose the place
    assert desk.execute_script("return document.activeElement.getAttribute('aria-pressed')") == "true"
    desk.find_element("css selector", "#front-table thead button[data-column='tpot_s']").send_keys(Keys.SPACE)
    assert focused() == "tpot_s"
    rising = [number(x) for x in column(desk, "TPOT (ms) ▲")]
    assert rising == sorted(rising)
    desk.find_element("id", "axis-x").send_keys(Keys.HOME)
    assert desk.execute_script("return document.getElementById('scatter').layout.xaxis.title.text") == "GPUs"


def test_a_plan_that_is_looked_at_is_marked_in_the_picture(desk: Any) -> None:
    desk.find_element("css selector", "#front-table tbody button[data-row='3']").click()
    assert ["looked at", 1, "circle-open"] in desk.execute_script(TRACES)
    card = desk.find_element("id", "plan").text
    assert "Row 4" in card
    assert "memory per GPU" in card
    desk.find_element("css selector", "#front-table tbody button[data-row='3']").click()
    assert desk.find_element("id", "plan").text.startswith("Point at a plan")


def test_inputs_can_be_narrowed_to_assumptions(desk: Any) -> None:
    visible = (
        "return [...document.querySelectorAll('#input-rows tr')].filter(r => !r.hidden).map(r => r.dataset.standing)"
    )
    assert len(set(desk.execute_script(visible))) > 1
    choose(desk, "standing", "assumption")
    assert set(desk.execute_script(visible)) == {"assumption"}


def test_every_figure_of_the_table_changes_with_its_value(
    window: Any, written: Path, reported: Outcome, tmp_path: Path
) -> None:
    """All numbers scaled, drawn again: no figure in the browser stays as it was."""
    values = collect(few_points(reported))
    scaled = {
        k: tuple(x if isinstance(x, str) else x * 3 for x in v) if isinstance(v, tuple) and k != "plans.row" else v
        for k, v in values.items()
    }
    other = tmp_path / "other.html"
    other.write_text(render(scaled), encoding="utf-8")
    found = []
    for page in (written, other):
        load(window, page)
        window.execute_script(
            "for (const box of document.querySelectorAll('#columns input:not(:checked)')) box.click()"
        )
        found.append((window.execute_script(HEADS), window.execute_script(CELLS)))
    (heads, before), (_, after) = found
    numeric = [i for i, head in enumerate(heads) if head not in ("row", "engine", "engines", "coverage")]
    assert len(numeric) > 25
    for old, new in zip(before, after, strict=True):
        for i in numeric:
            assert old[i] != new[i] or number(old[i]) == 0, heads[i]
