"""The documentation says what is so: its commands run, its links lead somewhere, its tables are complete."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search import schema
from search.cli import main as servefront
from search.models.catalog import load_entry
from search.rules import ENGINES, engine_rules, general_rules
from search.tables import header

REPO = Path(__file__).parents[1]
PAGES = sorted([REPO / "README.md", REPO / "CHANGELOG.md", *(REPO / "docs").rglob("*.md")])
FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
TRIALS = "strategy.n_trials=20"
Search = Callable[..., tuple[int, str, str]]  # the fixture of conftest.py


def commands() -> list[str]:
    """Each line of a block marked ``sh``, once."""
    lines = [line for page in PAGES for block in FENCED.findall(page.read_text()) for line in block.splitlines()]
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


@pytest.fixture
def my_model(tmp_path: Path) -> None:
    """The ``my-model/config.json`` that the README speaks of."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(load_entry("qwen3_8b")["published"]))


@pytest.mark.usefixtures("my_model")
@pytest.mark.parametrize("command", commands())
def test_commands_run(search: Search, capsys: pytest.CaptureFixture[str], command: str) -> None:
    words = shlex.split(command, comments=True)
    if words[0] == "servefront":
        assert servefront(words[1:]) == 0
        assert capsys.readouterr().out
    else:
        assert words[:3] == ["python", "-m", "search"], "a test runs what stands in a block marked sh"
        few = [] if "strategy=exact" in words else [TRIALS]
        code, out, err = search(*words[3:], *few)
        assert code == 0, err
        assert "Recommended plan" in out


def test_there_are_commands_to_run() -> None:
    assert len(commands()) >= 8


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as web views make them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        assert place.exists(), target
        assert place.is_relative_to(REPO), target
        assert not anchor or anchor in anchors(place), target


def text(name: str) -> str:
    return (REPO / "docs" / name).read_text()


def test_formats_name_every_column() -> None:
    page = text("formats.md")
    missing = [c for c in [*header(), "recommended", "feasible", "violated"] if f"`{c}`" not in page]
    assert not missing


def test_formats_name_every_key_of_the_summary(search: Search, tmp_path: Path) -> None:
    code, _, err = search("+experiment=qwen3_235b", "hydra.run.dir=r", TRIALS)
    assert code == 0, err
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    page = text("formats.md")
    names = [*summary, *summary["removed_by_limit"], *summary["seconds"]]
    assert not [name for name in names if f"`{name}`" not in page]
    left = {p.name for p in (tmp_path / "r").iterdir()} - {".hydra", "search.log"}
    assert not [name for name in left if f"`{name}`" not in page]


def keys(cls: type, prefix: str = "") -> Iterator[str]:
    """Every key of a schema, dotted."""
    for name, hint in typing.get_type_hints(cls).items():
        inner = typing.get_args(hint)[0] if typing.get_origin(hint) is list else hint
        if inner is schema.PlanConfig or not dataclasses.is_dataclass(inner):
            yield prefix + name
        else:
            below = f"{prefix}{name}" + ("[]" if inner is not hint else "")
            yield from keys(typing.cast(type, inner), f"{below}.")


def test_configuration_names_every_key() -> None:
    page = text("configuration.md")
    assert not [key for key in keys(schema.Config) if f"`{key}`" not in page]


def test_defaults_in_the_configuration_page_are_those_of_the_schema() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \|[^|]*\| `([^`]*)` \|", text("configuration.md"), re.MULTILINE))
    assert len(rows) > 30
    for key, shown in rows.items():
        value: object = schema.Config()
        for part in key.split("."):
            value = getattr(value, part)
        written = "null" if value is None else str(value)
        assert shown == written, key


def test_legality_names_every_rule() -> None:
    rules = [*general_rules(), *(rule for engine in ENGINES for rule in engine_rules(engine))]
    page = text("legality.md")
    assert not [rule.name for rule in rules if f"`{rule.name}`" not in page]


def test_pages_name_no_address_outside_the_repository_but_links() -> None:
    """No path of somebody's machine stands in a page."""
    for page in PAGES:
        assert not re.search(r"(?<![\w./-])/(home|work|tmp|root)/", page.read_text()), page
