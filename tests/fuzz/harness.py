"""Run a command of this process on spoilt input, and hold its contract.

A new command joins in five lines: a ``Target`` in ``targets.py`` with a name and a function that takes a seeded
``random.Random`` and an empty folder, puts spoilt files there and returns the words of a command line:

    def check(rng: random.Random, folder: Path) -> list[str]:
        (folder / "result.json").write_text(mutations.as_json(mutations.tree(rng, GOOD)), errors="replace")
        return ["check", str(whole_run(folder)), str(folder / "result.json")]

    Target("check", check)

What is spoilt goes through ``mutations`` (``text``, ``tree``, ``document``, ...) and is accepted as it was: a test
holds that. ``of_a_run("explain")`` is a command on a run one of whose files is spoilt. A command that does not end by
itself gives ``run``, which does its work up to there.
"""

from __future__ import annotations

import io
import os
import random
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from omegaconf import DictConfig

from search import cli
from search.inputs import compose

CODES = (0, 1, 2)
LONGEST_LINE = 1_500  # characters of an error
NAN = re.compile(r"(?<![\w./=-])(nan|inf|-inf)(?![\w./=-])")
COUNT = int(os.environ.get("SERVEFRONT_FUZZ", "3"))  # inputs a target; 100 take some ten minutes


@dataclass(frozen=True)
class Target:
    """``arguments`` spoils some input in a folder and says how the command is called on it. ``echoes``: what it prints
    may repeat the input, so that ``nan`` in it is no figure. ``run``: the program's door, or what stands for it."""

    name: str
    arguments: Callable[[random.Random, Path], list[str]]
    echoes: bool = False
    run: Callable[[list[str]], int] = cli.main


_compose = compose.compose


@lru_cache(maxsize=100)
def _composed(config: str, overrides: tuple[str, ...], hydra: bool) -> DictConfig:
    return _compose(config, list(overrides), return_hydra_config=hydra)


def remembered(config: str, overrides: Sequence[str], return_hydra_config: bool) -> DictConfig:
    """What Hydra composed for the same words before, which is most of an input's seconds."""
    if any("searchpath" in word for word in overrides):
        return _compose(config, list(overrides), return_hydra_config=return_hydra_config)
    return deepcopy(_composed(config, tuple(overrides), return_hydra_config))


compose.compose = remembered


def check(target: Target, seed: int, folder: Path) -> int:
    """One input; returns the exit code. ``AssertionError`` names target and seed."""
    with redirect_stdout(io.StringIO()):  # of a run that is spoilt
        words = target.arguments(random.Random(f"{target.name} {seed}"), folder)
    said = f"{target.name}, seed {seed}: {words}"
    printed, told = io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(told):
        try:
            code = target.run(words)
        except SystemExit as ended:  # argparse
            code = int(ended.code or 0)
    out, err = printed.getvalue(), told.getvalue()
    assert code in CODES, f"{said}: exit {code}"
    assert "Traceback" not in out + err, said
    assert not re.search(r"^error: unexpected \w+:", err, re.MULTILINE), f"{said}: {err}"
    lines = [line for line in err.splitlines() if not line.startswith(("warning: ", "#"))]
    if code == 2:
        assert len(lines) == 1, f"{said}: {err}"
        assert lines[0].startswith("error: "), f"{said}: {err}"
        assert len(lines[0]) <= LONGEST_LINE, f"{said}: {len(lines[0])} characters"
    if code == 0 and not target.echoes:
        assert not NAN.search(out), f"{said}: {NAN.search(out)}"
    assert not list(folder.rglob(".partial-*")), said
    return code
