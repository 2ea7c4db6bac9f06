"""The documentation says what is so: its commands run, its links lead somewhere, its tables are complete."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import shlex
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doc_commands import BLOCK, missing, run_page, steps, updated
from doc_commands import PAGES as COMMAND_PAGES

from costmodel.engine import ENGINES
from costmodel.fields import Choice
from search.cli import COMMANDS, is_hydras
from search.cli import main as servefront
from search.commands.audit.drafts import OPTION_RULES
from search.inputs import schema
from search.inputs.derived import field_of
from search.inputs.fleet.schema import FleetConfig
from search.optimizer.rules.registry import engine_rules, general_rules
from search.optimizer.speculation.rules import DRAFT_RULES
from search.render.tables import header

REPO = Path(__file__).parents[1]
PAGES = sorted([*COMMAND_PAGES, REPO / "CHANGELOG.md"])
LINK = re.compile(r"\]\(([^)\s]+)\)")
TRIALS = "strategy.n_trials=20"
Search = Callable[..., tuple[int, str, str]]  # the fixture of conftest.py


RUN = [page for page in COMMAND_PAGES if BLOCK.search(page.read_text())]
# A line of a block that is not run: a command with placeholders, or for a machine that a test does not have.
PLACEHOLDER = re.compile(r"^ *((?:python -m search|servefront|make|vllm|sglang|trtllm-serve)[ .].*)$", re.MULTILINE)
UNRUN = re.compile(r"^```\w*\n[^`]*^```$|(?:^ {4}.*\n)+", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(REPO))


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_commands_run_and_print_what_the_page_shows(page: Path) -> None:
    """`python tests/doc_commands.py` brings figures up to date; words are changed by hand."""
    for shown, printed in run_page(page):
        lost = missing(shown, printed)
        assert not lost, "\n".join([*lost, "is not what was printed:", *printed])


def test_there_are_commands_to_run() -> None:
    assert sum(len(list(steps(b["sh"]))) for page in RUN for b in BLOCK.finditer(page.read_text())) >= 25
    assert sum(bool(b["text"]) for page in RUN for b in BLOCK.finditer(page.read_text())) >= 6


def placeholders() -> list[tuple[str, str]]:
    """Commands that no block marked ``sh`` holds, with their pages."""
    found = []
    for page in COMMAND_PAGES:
        text = BLOCK.sub("", page.read_text()).replace("\\\n", " ")
        found += [(name_of(page), line) for block in UNRUN.findall(text) for line in PLACEHOLDER.findall(block)]
    return found


@pytest.mark.parametrize(("page", "line"), placeholders())
def test_commands_that_are_not_run_are_spelt_right(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Quotes are closed; commands and their options exist, as far as they are ours."""
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (REPO / "Makefile").read_text(), re.MULTILINE)
    if words[0] not in ("python", "servefront"):
        return
    if words[:2] == ["python", "-m"] and words[2] != "search":
        assert importlib.util.find_spec(words[2])
        return
    rest = words[1:] if words[0] == "servefront" else words[3:]
    if not rest or is_hydras(rest[0]):
        return
    command = rest[0]
    assert command in COMMANDS
    with pytest.raises(SystemExit, match="0"):
        servefront([command, "--help"])
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    assert {w.partition("=")[0] for w in words if w.startswith("--")} <= known


QUOTED = re.compile(r""""[^"]*"|'[^']*'|#.*$""", re.MULTILINE)


def test_commands_are_for_every_shell() -> None:
    """zsh takes an unquoted bracket, star or question mark for a file's name and refuses where there is none."""
    for page in COMMAND_PAGES:
        run = [step.line for b in BLOCK.finditer(page.read_text()) for step in steps(b["sh"]) if step.content is None]
        for line in [*run, *(line for name, line in placeholders() if name == name_of(page))]:
            assert not re.search(r"[\[*?]", QUOTED.sub("", line)), f"{name_of(page)}: {line}"


def test_pages_are_short() -> None:
    long = {name_of(page): len(page.read_text().splitlines()) for page in COMMAND_PAGES}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


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
    page = text("configuration.md") + text("engines.md")
    assert not [key for key in keys(schema.Config) if f"`{key}`" not in page]


def test_defaults_in_the_configuration_page_are_those_of_the_schema() -> None:
    rows = dict(
        re.findall(
            r"^\| `([\w.]+)` \|[^|]*\| `([^`]*)` \|", text("configuration.md") + text("engines.md"), re.MULTILINE
        )
    )
    assert len(rows) > 30
    for key, shown in rows.items():
        value: object = schema.Config()
        for part in key.split("."):
            value = getattr(value, part)
        written = "null" if value is None else str(value)
        assert shown == written, key


@dataclasses.dataclass
class FleetFile:
    fleet: FleetConfig


def test_ranges_in_the_pages_are_those_of_the_fields() -> None:
    """Each is said once, where the field is declared: a table says the same."""
    pages = {schema.Config: ("configuration.md", "engines.md"), FleetFile: ("fleet.md",)}
    found = 0
    for root, names in pages.items():
        table = re.findall(r"^\| `(\w+\.[\w.\[\]]+)` \| ([^|]*) \|", "\n".join(map(text, names)), re.MULTILINE)
        for key, cell in table:
            of = field_of(root, key).of
            found += of is not None
            if isinstance(of, Choice):
                assert set(of.allowed) <= set(re.findall(r"\w+", cell)), key
            elif of is not None:
                assert re.search(rf"(?<![\w.,]){re.escape(of.span)}(?!,?\d)", cell), f"{key}: {of.span}"
    declared_keys = [key for key in keys(schema.Config) if field_of(schema.Config, key).of is not None]
    assert found > len(declared_keys) > 100


def test_legality_names_every_rule() -> None:
    rules = [*general_rules(), *(rule for engine in ENGINES for rule in engine_rules(engine))]
    page = text("legality.md")
    names = [*(rule.name for rule in rules), *(rule.name for rule in DRAFT_RULES), *OPTION_RULES]
    assert not [name for name in names if f"`{name}`" not in page]


def test_pages_name_no_address_outside_the_repository_but_links() -> None:
    """No path of somebody's machine stands in a page."""
    for page in PAGES:
        assert not re.search(r"(?<![\w./-])/(home|work|tmp|root)/", page.read_text()), page


def test_a_line_that_was_not_printed_is_found() -> None:
    printed = ["a 1", "b 2.5 s", "a 3"]
    assert missing(["a 1", "...", "a 3"], printed) == []
    assert missing(["a 3", "a 1"], printed) == ["a 1"]
    assert missing(["b 2.4 s"], printed) == ["b 2.4 s"]
    assert updated(["b 9.75 s", "...", "a 7", "gone"], printed) == ["b 2.5 s", "...", "a 3", "gone"]


def test_steps_of_a_block() -> None:
    block = "cat > f <<'END'\nx: 1\nEND\n# a comment\npython -m search a=1 \\\n  b='2 3' > out # exits 1\n"
    file, run = steps(block)
    assert (file.into, file.content) == ("f", "x: 1\n")
    assert (run.words, run.into, run.code) == (("python", "-m", "search", "a=1", "b=2 3"), "out", 1)
