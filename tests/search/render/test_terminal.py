"""What a run prints is plain where nobody watches, whole where the terminal is narrow, and no name can colour it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "search", "+experiment=qwen3_235b", "strategy=exact", "report=none", "hydra.run.dir=run"]
Search = Callable[..., tuple[int, str, str]]  # the fixture of conftest.py


def piped(folder: Path, repo: Path, *arguments: str, **environment: str) -> str:
    """Standard output of a run whose output goes into a pipe."""
    kept = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE")}
    env = kept | {"PYTHONPATH": str(repo)} | environment
    done = subprocess.run([*RUN, *arguments], cwd=folder, env=env, capture_output=True, check=True)
    return done.stdout.decode("utf-8")


def test_a_pipe_gets_plain_ascii(tmp_path: Path, repo: Path) -> None:
    out = piped(tmp_path, repo)
    assert out.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", out)
    table = [line for line in out.splitlines() if line.startswith("| ") and "recommended" not in line.lower()]
    header = next(line for line in table if "tokens/s" in line and "gpus" in line)
    rows = [line for line in table if re.match(r"\|\s+\d+ \|", line)]
    assert len(rows) == int(re.search(r"plans in (\d+) layouts", out)[1])  # type: ignore[index]
    assert {line.count("|") for line in rows} == {header.count("|")}  # a table of markdown
    assert "Recommended plan" in out


def test_an_encoding_without_the_name_s_letters_does_not_end_the_run(tmp_path: Path, repo: Path) -> None:
    out = piped(tmp_path, repo, "model.name='モデル'", PYTHONIOENCODING="ascii")
    assert "??? on Worked case" in out


def test_names_cannot_colour_or_move_the_terminal(search: Search) -> None:
    hostile = "\x1b[31mred\x1b[2J [bold]b[/bold]"
    code, out, err = search("+experiment=qwen3_235b", "strategy=exact", "report=none", f"model.name='{hostile}'")
    assert code == 0, err
    assert "\x1b" not in out
    assert "[bold]b[/bold]" in out


def test_the_panel_says_how_often_the_plan_holds_where_somebody_drew(search: Search) -> None:
    few = ("+experiment=qwen3_235b", "strategy=exact", "report=none", "space.gpus=[8]")
    code, out, err = search(*few, "sensitivity.draws=40", "hydra.run.dir=drawn")
    assert code == 0, err
    said = json.loads(Path("drawn/summary.json").read_text())["sensitivity"]
    shares = f"feasible in {said['feasible']:.0%} of 40 draws over the inputs' ranges, best layout in "
    assert f"| {shares}{said['best_layout']:.0%} " in out
    for i, without in enumerate(("sensitivity.draws=0", "sensitivity=none")):
        code, out, err = search(*few, without, f"hydra.run.dir=without{i}")
        assert code == 0, err
        assert "draws" not in out


@pytest.mark.parametrize("width", [80, 90, 100, 110, 120, 132, 200])
def test_no_number_is_cut_in_a_narrow_terminal(width: int) -> None:
    import io

    from hydra import compose, initialize_config_dir
    from rich.box import HEAVY_HEAD
    from rich.console import Console

    from search.base.paths import conf_dir
    from search.inputs.typed import typed
    from search.optimizer.run import run
    from search.render.front_plot import front_plot
    from search.render.front_table import front_table, lines, three_digits

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = typed(compose("config", ["+experiment=qwen3_235b", "strategy=exact"]))
    outcome = run(config)
    console = Console(width=width, file=io.StringIO(), force_terminal=True)
    console.print(front_table(outcome, HEAVY_HEAD, width))
    printed = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    text = "\n".join(re.sub(r"\x1b\[[\d;]*m", "", line) for line in printed)
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    assert outcome.choice is not None
    best = outcome.choice.recommended
    assert f"{outcome.scores.output_tokens_per_s[best]:,.0f}" in text
    assert three_digits(outcome.scores.requests_per_s[best]) in text
    assert "burst s" in text  # the limit is that of a burst
    assert ("engines" in text) == (width >= 150)
    # A row a layout: replicas and batches of it are one.
    found = lines(outcome)
    plans = [outcome.plans.row(line.row) for line in found]
    layouts = {(p["gpus"] // p["dp"], *(p[a] for a in ("pp", "sp", "tp", "ep"))) for p in plans}
    assert len(layouts) == len(found) < len(outcome.front)
    assert any(line.replicas for line in found)
    drawn = front_plot(outcome, width)
    assert max(map(len, drawn)) <= width
    assert sum(line.count("*") for line in drawn[:-1]) == 1
    assert any("@" in line for line in drawn)  # 8 and 16 GPUs of one layout coincide


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (560.4, "560"), (5604.0, "5,604"), (0.2513, "0.251"), (29.44, "29.4"), (0.0, "0"), (9.995, "9.99"),
        (99.96, "100"), (1e9, "1,000,000,000"), (float("inf"), "unstable"), (0.00001234, "0.000012"),
    ],
)  # fmt: skip
def test_figures_have_three_digits_and_no_exponent(value: float, shown: str) -> None:
    from search.render.front_table import three_digits

    assert three_digits(value) == shown


def test_what_misses_by_far_reads_as_a_factor() -> None:
    from search.render.document.formats import by, signed_percent
    from search.render.front_table import change

    assert [by(v) for v in (0.018, 12.3, 1.2e8, float("inf"))] == [
        "by 1.8 %", "by a factor of 13", "by a factor of 1,000,000 or more", "without end",
    ]  # fmt: skip
    assert [change(v) for v in (0.064, -0.5, 122.0)] == ["+6.4%", "-50.0%", "123 times"]
    assert [signed_percent(v) for v in (-0.0001, 1.5, 122939501.2)] == ["0.0 %", "+150.0 %", "×122,939,502"]
