"""The one way in: commands by name, everything else to the search; help that leaves no flag unexplained."""

import argparse
import re
import subprocess
import sys

import pytest

from search import __version__, cli
from search.commands import search as search_command
from search.commands import search_help
from search.inputs import schema


@pytest.fixture
def searched(monkeypatch):
    """The arguments that reached the search, which is not run."""
    calls = []
    monkeypatch.setattr(search_command, "main", lambda arguments: calls.append(arguments) or 0)
    return calls


@pytest.mark.parametrize(
    ("words", "reached"),
    [
        ([], []),
        (["search"], []),
        (["+experiment=x"], ["+experiment=x"]),
        (["model=x", "hardware=y"], ["model=x", "hardware=y"]),
        (["-m", "limits.ttft_s=1,2"], ["-m", "limits.ttft_s=1,2"]),
        (["--config-dir", "mine", "+experiment=x"], ["--config-dir", "mine", "+experiment=x"]),
        (["~baselines"], ["~baselines"]),
        (["search", "model=x"], ["model=x"]),
        (["model=x", "--help"], ["model=x", "--help"]),
    ],
)
def test_what_names_no_command_is_the_search(words, reached, searched):
    assert cli.main(words) == 0
    assert searched == [reached]


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"servefront {__version__}\n"


def test_an_unknown_command_is_one_line(capsys):
    assert cli.main(["bogus"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "unknown command 'bogus'" in captured.err
    assert captured.err.count("\n") == 1


def test_help_lists_the_commands(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +\S", out, re.MULTILINE) for name in cli.COMMANDS)


@pytest.mark.parametrize("words", [["--version"], ["inspect", "absent.json"], ["bogus"], ["hardware", "--csv"]])
def test_python_m_search_is_the_same(words, repo, capsys, tmp_path):
    code = cli.main(words)
    here = capsys.readouterr()
    run = [sys.executable, "-m", "search", *words]
    done = subprocess.run(run, capture_output=True, text=True, cwd=repo, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, here.out, here.err)


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "search"])
def test_every_flag_of_a_command_is_explained(command, monkeypatch):
    seen = []
    written = argparse.ArgumentParser.format_help
    monkeypatch.setattr(argparse.ArgumentParser, "format_help", lambda self: seen.append(self) or written(self))
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    (parser,) = seen
    assert parser.description
    assert len(parser._actions) > 1
    assert not [action.dest for action in parser._actions if not action.help]


def test_help_of_the_search(search, repo, tmp_path):
    code, out, err = search("--help")
    assert (code, err) == (0, "")
    for folder in (repo / "conf").iterdir():
        if folder.is_dir() and folder.name != "law":  # laws are named by hardware files
            assert all(path.stem in out for path in folder.glob("*.yaml")), folder
    assert len(out.splitlines()) < 110  # a line for some eight models
    assert "published" not in out.replace("as published", "")  # no composed configuration
    assert not any(tmp_path.iterdir())


def test_help_of_the_search_names_keys_and_groups_that_exist(repo):
    for key in search_help.KEYS:
        value = schema.Config
        for part in key.split("."):
            field = value.__dataclass_fields__[part]
            value = getattr(field, "default_factory", None)
    groups = {path.name for path in (repo / "conf").iterdir() if path.is_dir()} - {"experiment", "fleet", "law"}
    assert set(search_help.GROUPS) == groups


@pytest.mark.parametrize("flag", [["--config-dir", "mine"], ["--config-dir=mine"], ["-cd", "mine"]])
def test_help_of_the_search_lists_options_of_ones_own(flag, search, tmp_path):
    (tmp_path / "mine" / "hardware").mkdir(parents=True)
    (tmp_path / "mine" / "hardware" / "my_chip.yaml").write_text("name: mine\n")
    assert "my_chip" in search(*flag, "-h")[1]
