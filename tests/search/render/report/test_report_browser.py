"""The page in a real browser: it loads in silence, asks for nothing, runs nothing of others, fits a phone and paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import CELLS, browser, complaints, load, print_pdf, requests
from report_cases import few_points, hostile_case, infeasible_case

from search.render.report import collect, render


def test_it_loads_in_silence_and_asks_for_nothing_else(desk: Any, written: Path) -> None:
    assert complaints(desk) == []
    assert requests(desk) == [written.as_uri()]
    pictures = desk.execute_script(
        "return [...document.querySelectorAll('.picture')].map(p => p.querySelectorAll('svg.main-svg').length)"
    )
    assert len(pictures) >= 8
    assert all(pictures)


def test_the_policy_holds(desk: Any) -> None:
    """What somebody managed to put into the page neither runs nor calls home."""
    script = """
    const inline = document.createElement('script'); inline.textContent = 'window.broken = 1';
    document.body.append(inline);
    const image = document.createElement('img'); image.src = 'https://example.invalid/x.png';
    document.body.append(image);
    const button = document.createElement('button'); button.setAttribute('onclick', 'window.broken = 1');
    document.body.append(button); button.click();
    return window.broken === undefined
    """
    assert desk.execute_script(script)
    assert len([c for c in complaints(desk) if "Content Security Policy" in c]) >= 3


def test_a_phone_scrolls_down_and_not_sideways(window: Any, written: Path, tmp_path: Path) -> None:
    with browser(tmp_path / "profile", 390, 844) as phone:
        load(phone, written)
        assert complaints(phone) == []
        assert phone.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]") == [390, 390]
        wide = """return [...document.querySelectorAll('main *')].filter(
                  e => !e.closest('.scroll, svg, .static, dl, details') &&
                  e.getBoundingClientRect().right > 391).map(e => e.tagName + '.' + e.className)"""
        assert phone.execute_script(wide) == []
        for opened in phone.find_elements("css selector", "details"):
            phone.execute_script("arguments[0].open = true", opened)
        assert phone.execute_script("return document.documentElement.scrollWidth") == 390


def test_printing_shows_the_still_picture_and_no_controls(desk: Any, tmp_path: Path) -> None:
    shown = """return Object.fromEntries(['.static', '#controls', '#scatter', 'nav', '#time', '#ledger'].map(
               s => [s, getComputedStyle(document.querySelector(s)).display !== 'none']))"""
    desk.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    paper = desk.execute_script(shown)
    desk.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    screen = desk.execute_script(shown)
    assert paper == {
        ".static": True,
        "#controls": False,
        "#scatter": False,
        "nav": False,
        "#time": True,
        "#ledger": True,
    }
    assert screen == {
        ".static": False,
        "#controls": True,
        "#scatter": True,
        "nav": True,
        "#time": True,
        "#ledger": True,
    }
    print_pdf(desk, tmp_path / "page.pdf")
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert 3 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page/") <= 14
    widths = (
        "return [...document.querySelectorAll('.pictures .picture')].map(p => p._fullLayout.width <= p.clientWidth + 1)"
    )
    assert all(desk.execute_script(widths))  # drawn for the screen again


def test_a_reader_who_wants_no_motion_gets_none(desk: Any) -> None:
    scrolling = "return getComputedStyle(document.documentElement).scrollBehavior"
    moving = {"features": [{"name": "prefers-reduced-motion", "value": "no-preference"}]}
    assert desk.execute_script(scrolling) == "auto"  # browser.py asks for reduced motion
    desk.execute_cdp_cmd("Emulation.setEmulatedMedia", moving)
    assert desk.execute_script(scrolling) == "smooth"
    desk.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_hostile_name_is_shown_and_does_nothing(window: Any, tmp_path: Path) -> None:
    from selenium.common.exceptions import NoAlertPresentException

    page = tmp_path / "hostile.html"
    page.write_text(render(collect(few_points(hostile_case()))), encoding="utf-8")
    window.get_log("browser")
    window.get_log("performance")
    load(window, page)
    with pytest.raises(NoAlertPresentException):
        _ = window.switch_to.alert.text
    assert complaints(window) == []
    assert requests(window) == [page.as_uri()]
    assert (
        "</script><script>alert(1)</script><img src=x onerror=alert(2)>" in window.find_element("tag name", "h1").text
    )
    assert window.execute_script("return document.querySelectorAll('main img, main b b, main script').length") == 0
    # Plotly's own markup does not take the name for tags either.
    legend = window.execute_script(
        "return [...document.querySelectorAll('#scatter .legendtext')].map(t => t.textContent).join(' ')"
    )
    assert "<script>alert(1)" in legend
    assert (
        window.execute_script("return document.querySelectorAll('#scatter a, #scatter tspan[style*=bold]').length") == 0
    )


def test_a_page_without_a_feasible_plan_loads_too(window: Any, tmp_path: Path) -> None:
    page = tmp_path / "nothing.html"
    page.write_text(render(collect(few_points(infeasible_case()))), encoding="utf-8")
    window.get_log("browser")
    load(window, page)
    assert complaints(window) == []
    assert "No plan keeps every limit" in window.find_element("id", "summary").text
    assert window.execute_script(CELLS) == []


def test_without_scripts_the_still_picture_and_the_tables_are_there(written: Path, tmp_path: Path) -> None:
    with browser(tmp_path / "profile", 1280, 900, "--blink-settings=scriptEnabled=false") as still:
        still.get(written.as_uri())
        assert still.find_element("css selector", ".static svg").is_displayed()
        assert still.find_element("css selector", "#ledger table").is_displayed()
        assert "Skip to the plan" in still.page_source
