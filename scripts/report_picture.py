"""Photograph the front in a run's report: the picture of the report in the README.

    servefront +experiment=deepseek_r1_h200 hydra.run.dir=/some/folder
    python scripts/report_picture.py /some/folder --out docs/pictures/report.png

It needs what the tests in a browser need: Debian's chromium and chromium-driver, and the extra ``dev``.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "search" / "render" / "report"))

from browser import browser, load, missing

WIDTH, HEIGHT = 1280, 3600  # as high as the front lies deep: the pointer cannot leave the window
STAR = """return [...document.querySelectorAll('#scatter .scatterlayer .trace')].find(
    t => t.__data__[0].trace.name === 'recommended plan').querySelector('.points path')"""
EXTENT = """const top = document.getElementById('front').getBoundingClientRect().top + scrollY,
    end = document.getElementById('scatter').getBoundingClientRect().bottom + scrollY; return [top, end - top]"""


def photograph(run: Path, out: Path) -> None:
    """The section of the front, with the pointer on the recommended plan."""
    from selenium.webdriver.common.action_chains import ActionChains

    with tempfile.TemporaryDirectory() as profile, browser(Path(profile), WIDTH, HEIGHT) as driver:
        load(driver, run / "report.html")
        driver.execute_script("document.getElementById('filters').open = false")
        ActionChains(driver).move_to_element(driver.execute_script(STAR)).perform()
        time.sleep(0.5)  # the text at the pointer comes with the next frame
        top, height = driver.execute_script(EXTENT)
        clip = {"x": 0, "y": top, "width": WIDTH, "height": height, "scale": 1}
        shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(base64.b64decode(shot["data"]))


def main() -> int:
    """Photograph, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run with a report.html")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if missing() or not (arguments.run / "report.html").is_file():
        reason = missing() or f"RUN: {arguments.run} holds no report.html"
        print(f"error: {reason}", file=sys.stderr)
        return 2
    photograph(arguments.run, arguments.out)
    print(f"Written to {arguments.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
