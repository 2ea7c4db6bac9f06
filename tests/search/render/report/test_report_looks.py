"""The page at three widths, in the dark, on paper: nothing is cut or hidden, and axe-core finds no serious fault."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from browser import browser, complaints, load
from selenium.webdriver.common.by import By

AXE = "SERVEFRONT_AXE"  # a file axe.min.js, where npm's own folder has none
WIDE = """return [...document.querySelectorAll('main *')].filter(
    e => !e.closest('.scroll, svg, dl, details, pre') && e.getBoundingClientRect().right > innerWidth + 1
).map(e => e.tagName + '.' + e.className)"""
CUT = """return [...document.querySelectorAll('.picture .gtitle, .picture .xtitle, .picture .ytitle')].filter(t => {
    const box = t.getBoundingClientRect(), place = t.closest('.picture').getBoundingClientRect();
    return box.left < place.left - 1 || box.right > place.right + 1 || box.top < place.top - 1;
}).map(t => t.textContent)"""
DARK = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
INK = "return [getComputedStyle(document.body).backgroundColor, document.querySelector('#scatter .xtitle').style.fill]"


def axe() -> str | None:
    """axe-core's script, from the npm package ``axe-core`` wherever npm keeps what it installed; ``None`` without."""
    given = os.environ.get(AXE)
    if given:
        return Path(given).read_text(encoding="utf-8")
    if shutil.which("npm") is None:
        return None
    root = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
    path = Path(root, "axe-core", "axe.min.js")
    return path.read_text(encoding="utf-8") if path.is_file() else None


def faults(driver: Any, script: str) -> list[str]:
    """What axe-core calls serious or critical; the page's policy is set aside for its script."""
    driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": script})
    listed = "v => [v.impact, v.id, v.nodes.slice(0, 3).map(n => n.target.join(' ')).join(', ')]"
    found: list[list[str]] = driver.execute_async_script(
        "const done = arguments[0]; axe.run({exclude: ['.js-plotly-plot']}, {resultTypes: ['violations']})"
        f".then(r => done(r.violations.map({listed})))"
    )
    return [f"{fault}: {where}" for impact, fault, where in found if impact in ("serious", "critical")]


@pytest.fixture(scope="module", params=[(1280, 900), (820, 1100), (390, 844)], ids=["desk", "tablet", "phone"])
def shown(request: pytest.FixtureRequest, written: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with browser(tmp_path_factory.mktemp("looks"), *request.param) as driver:
        load(driver, written)
        yield driver


def test_nothing_is_cut_at_any_width(shown: Any) -> None:
    assert complaints(shown) == []
    assert shown.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert shown.execute_script(WIDE) == []
    assert shown.execute_script(CUT) == []
    broken = """return [...document.querySelectorAll('.ledger th span')].filter(
        s => s.getClientRects().length > 1).map(s => s.textContent)"""
    assert shown.execute_script(broken) == []  # the names of rules stay whole


def test_tables_are_cards_on_a_phone_alone(shown: Any) -> None:
    row = shown.find_element(By.CSS_SELECTOR, "#summary .rows tbody tr")
    phone = shown.execute_script("return innerWidth < 600")
    assert (row.value_of_css_property("display") == "block") == phone
    label = "return getComputedStyle(document.querySelector('#summary .rows td'), '::before').content"
    assert ("recommended plan" in shown.execute_script(label)) == phone


def test_the_dark_is_dark_and_its_pictures_too(shown: Any) -> None:
    light = shown.execute_script(INK)
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", DARK)
    shown.execute_async_script("setTimeout(arguments[0], 400)")
    dark = shown.execute_script(INK)
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [*DARK["features"]], "media": "print"})
    paper = shown.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert light[0] == paper == "rgb(255, 255, 255)"
    assert dark[0] == "rgb(21, 24, 28)"
    assert light[1] != dark[1]
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", DARK | {"media": ""})
    assert complaints(shown) == []


def test_axe_finds_no_serious_fault(shown: Any) -> None:
    """In the dark at a desk, in the light on a phone."""
    script = axe()
    if script is None:
        pytest.skip(f"axe-core is not installed: npm install -g axe-core, or {AXE}=FILE")
    width = shown.execute_script("return innerWidth")
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", DARK if width > 1000 else {"features": []})
    shown.execute_async_script("setTimeout(arguments[0], 400)")
    assert width == 820 or faults(shown, script) == []


def test_headings_stay_with_their_pictures_on_paper(shown: Any) -> None:
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    loose = """return [...document.querySelectorAll('section > h2, section > p, section > .key')].filter(
        e => getComputedStyle(e).breakAfter !== 'avoid').map(e => e.textContent.slice(0, 40))"""
    assert shown.execute_script(loose) == []
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_button_copies_the_command(desk: Any) -> None:
    desk.execute_script(
        "document.execCommand = name => { window.copied = getSelection().toString(); return name === 'copy' }"
    )
    desk.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    button = desk.find_element(By.CSS_SELECTOR, "button[data-copy^='command-launch-']")
    desk.execute_script("arguments[0].click()", button)
    desk.execute_async_script("setTimeout(arguments[0], 100)")
    assert button.text == "Copied"
    said = desk.execute_script(
        "return [window.copied, document.getElementById(arguments[0].dataset.copy).textContent]", button
    )
    assert said[0] == said[1]
    assert "serve" in said[0] or "launch_server" in said[0]


def test_any_two_plans_stand_side_by_side(desk: Any) -> None:
    from browser import choose, column

    cells = """return [...document.querySelectorAll('#compare-table tbody tr')].map(
        r => [...r.cells].map(c => c.textContent))"""
    assert len(desk.execute_script(cells)) > 20
    choose(desk, "compare-a", "2")
    choose(desk, "compare-b", "4")
    rows = {first: rest for first, *rest in desk.execute_script(cells)}
    batches = column(desk, "batch")
    assert rows["batch"][:2] == [batches[2], batches[4]]
    speeds = [float(rows["output tokens/s"][n].split(" ")[0].replace(",", "")) for n in (0, 1)]
    change, _, verdict = rows["output tokens/s"][2].partition(" % ")
    assert float(change) == pytest.approx(100 * (speeds[1] / speeds[0] - 1), abs=0.1)
    assert verdict == ("(better)" if speeds[1] > speeds[0] else "(worse)")


def test_gpus_are_told_by_shape_and_misses_by_name(desk: Any) -> None:
    from browser import choose

    choose(desk, "colour", "tp")
    traces = desk.execute_script("return document.getElementById('scatter').data.map(t => [t.name, t.marker.symbol])")
    front = {symbol for name, symbols in traces if name.startswith("front") for symbol in symbols}
    assert len(front) == 2  # 8 and 16 GPUs, whatever the colour
    assert {name for name, _ in traces} >= {"8 GPUs", "16 GPUs"}
    assert any(name.startswith("infeasible: misses the ") for name, _ in traces)
