"""Draw what a run prints as an SVG: the picture in the README.

    python scripts/picture.py +experiment=deepseek_r1_h200 --out docs/pictures/deepseek_r1_h200.svg

It runs the search and lets ``search.render.terminal`` print to a recording console; nothing is written to ``outputs/``.
"""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path
from unittest.mock import patch

from hydra import compose, initialize_config_dir
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from search.base.paths import conf_dir
from search.inputs.typed import typed
from search.optimizer.outcome import Outcome
from search.optimizer.run import run
from search.render import terminal

WIDTH = 132
FONT = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
FONT_SIZE = 20.26  # a character of the first two fonts is then as wide as rich's grid, for viewers without textLength


def svg_format() -> str:
    """Rich's picture of a terminal with fonts that are already there instead of ones from the network."""
    text = CONSOLE_SVG_FORMAT
    while "@font-face" in text:
        start = text.index("@font-face")
        text = text[:start] + text[text.index("}}", start) + 2 :]
    text = text.replace("Fira Code, monospace", FONT).replace("font-size: {char_height}px", f"font-size: {FONT_SIZE}px")
    return text.replace('<svg class="rich-terminal"', '<svg class="rich-terminal" xml:space="preserve"')


def record(outcome: Outcome, folder: Path) -> Console:
    """A console that holds everything that a run prints."""
    console = Console(record=True, width=WIDTH, highlight=False, file=io.StringIO(), force_terminal=True)
    with patch.object(terminal, "Console", lambda *_, **__: console):
        terminal.print_outcome(outcome, folder)
    console.print()  # the picture ends too close below the last line
    return console


def main() -> None:
    """Search, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("overrides", nargs="+", help="as for servefront")
    arguments = parser.parse_args()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = typed(compose("config", arguments.overrides))
    outcome = run(config)
    console = record(outcome, Path("outputs") / config.name / "<time>")
    title = "servefront " + " ".join(arguments.overrides)
    drawn = console.export_svg(title=title, code_format=svg_format(), unique_id="run")
    drawn = re.sub(r' clip-path="url\(#run-line-\d+\)"', "", drawn)  # rich clips lines so tight that _ is cut off
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(drawn, encoding="utf-8")
    print(f"Written to {arguments.out}")


if __name__ == "__main__":
    main()
