"""Hydra's first composition is left out only where it could find nothing."""

from argparse import Namespace

import pytest

from search.base.paths import conf_dir
from search.commands.one_composition import undecided


def given(*overrides, **flags):
    return Namespace(**{"config_dir": None, "config_path": None, "config_name": None, "overrides": overrides, **flags})


@pytest.mark.parametrize(
    "command", [given(), given("+experiment=qwen3_235b", "hydra.run.dir=x"), given("hardware=a,b", "~x")]
)
def test_nothing_says_how_to_run(command):
    assert undecided(command)


@pytest.mark.parametrize(
    "command",
    [
        given("hydra.mode=MULTIRUN"),
        given("++hydra.mode=MULTIRUN"),
        given("hydra={mode: MULTIRUN}"),
        given("hydra.searchpath=[file://x]"),
        given("hydra/launcher=joblib"),
        given(config_dir="x"),
        given(config_name="x"),
    ],
)
def test_something_may(command):
    assert not undecided(command)


def test_no_file_of_the_program_sets_the_mode():
    for path in conf_dir().rglob("*.yaml"):
        assert not any(line.strip().startswith("mode:") for line in path.read_text().splitlines()), path
