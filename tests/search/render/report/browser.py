"""A headless Chromium for the tests of the page (Debian's packages ``chromium`` and ``chromium-driver``)."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--force-prefers-reduced-motion", "--force-device-scale-factor=1",
)  # fmt: skip


def missing() -> str:
    """Why there is no browser to test with; empty where there is one."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    try:
        import selenium  # noqa: F401
    except ImportError:
        lacking.append("selenium")
    return f"{', '.join(lacking)} not installed" if lacking else ""


@contextmanager
def browser(profile: Path, width: int = 1280, height: int = 900, *more: str) -> Iterator[Any]:
    """A driver with an empty profile, whose page is ``width`` wide; it remembers console messages and requests."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", *more):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        # A window cannot be as narrow as a phone; the page can.
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get("about:blank")  # else the browser's own first page may still be loading when requests are counted
        yield driver
    finally:
        driver.quit()


def load(driver: Any, page: Path) -> None:
    """Open a page of the disk and wait until it says that it is drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(page.as_uri())
    WebDriverWait(driver, 30).until(lambda d: d.execute_script("return document.documentElement.dataset.ready"))


def screenshot(driver: Any, path: Path, *, whole: bool = True) -> None:
    """The page as PNG, from top to bottom or what the window shows."""
    clip: dict[str, Any] = {"captureBeyondViewport": whole}
    if whole:
        size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", **clip})
    path.write_bytes(base64.b64decode(taken["data"]))


def print_pdf(driver: Any, path: Path) -> None:
    """The page as it is printed."""
    printed = driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True})
    path.write_bytes(base64.b64decode(printed["data"]))


# What the page shows, as scripts for ``execute_script``.
HEADS = "return [...document.querySelectorAll('#front-table thead th')].map(c => c.textContent.trim())"
CELLS = (
    """return [...document.querySelectorAll('#front-table tbody tr')].map(r => [...r.cells].map(c => c.textContent))"""
)
TRACES = "return document.getElementById('scatter').data.map(t => [t.name, t.x.length, t.marker.symbol])"


def complaints(driver: Any) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def requests(driver: Any) -> list[str]:
    """Addresses that the page asked for."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def choose(driver: Any, identity: str, value: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(driver.find_element("id", identity)).select_by_value(value)


def column(driver: Any, title: str) -> list[str]:
    at = driver.execute_script(HEADS).index(title)
    return [row[at] for row in driver.execute_script(CELLS)]


def number(shown: str) -> float:
    return float(shown.replace(",", ""))
