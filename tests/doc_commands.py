"""The commands of the documentation, page by page, and what they print.

A block marked ``sh`` is run, all blocks of a page in one empty folder, in this process. It may hold ``servefront`` or
``python -m search`` and its commands, ``mkdir -p``, and ``cat > FILE <<'END'``; ``> FILE`` keeps what a command prints,
a comment ``# exits 1`` says that it does. A block marked ``text`` right below is what is printed: its lines are found
there in order; ``...`` stands for lines left out. Commands in any other block are placeholders, and only parsed.

``python tests/doc_commands.py`` runs everything and brings printed figures up to date.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[1]
PAGES = sorted([REPO / "README.md", *(REPO / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```sh\n(?P<sh>.*?)^```\n(?:\n```text\n(?P<text>.*?)^```$)?", re.MULTILINE | re.DOTALL)
FEW_TRIALS = "strategy.n_trials=20"
LEFT_OUT = "..."


@dataclass(frozen=True)
class Step:
    """One command of a block: its words, the file that takes its output or, for ``cat``, ``content``; the exit code."""

    line: str
    words: tuple[str, ...]
    into: str | None = None
    content: str | None = None
    code: int = 0


def steps(block: str) -> Iterator[Step]:
    """The commands of a block, in order."""
    lines = iter(block.replace("\\\n", " ").splitlines())
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        here = re.fullmatch(r"cat > (\S+) <<'(\w+)'", line)
        if here:
            content = "".join(f"{x}\n" for x in iter(lambda end=here[2]: _until(lines, end), None))
            yield Step(line, ("cat",), here[1], content)
            continue
        code = re.search(r"# exits (\d)$", line)
        words = shlex.split(line, comments=True)
        into = None
        if len(words) > 2 and words[-2] == ">":
            words, into = words[:-2], words[-1]
        yield Step(line, tuple(words), into, None, int(code[1]) if code else 0)


def _until(lines: Iterator[str], end: str) -> str | None:
    line = next(lines)
    return None if line == end else line


def run_step(step: Step, shown: bool) -> str:
    """Run it in the current folder; what it prints, on either stream. ``AssertionError`` where its exit code is not the
    one that the page tells."""
    if step.content is not None:
        assert step.into is not None
        Path(step.into).write_text(step.content)
        return ""
    if step.words[:2] == ("mkdir", "-p"):
        for name in step.words[2:]:
            Path(name).mkdir(parents=True, exist_ok=True)
        return ""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _call(list(step.words), shown)
    printed = out.getvalue() + err.getvalue()
    assert code == step.code, f"{step.line}\nexits {code}, not {step.code}:\n{printed}"
    assert "Traceback" not in printed, printed
    if step.into is not None:
        Path(step.into).write_text(out.getvalue())
        printed = err.getvalue()
    return printed


def _call(words: list[str], shown: bool) -> int:
    from search.cli import is_hydras, main

    if words[0] == "servefront" or words[:3] == ["python", "-m", "search"]:
        rest = words[1:] if words[0] == "servefront" else words[3:]
        searches = not rest or is_hydras(rest[0])
        return main([*rest, FEW_TRIALS] if searches and not shown and "strategy=exact" not in rest else rest)
    assert words[:2] == ["python", "-m"], f"{shlex.join(words)}: no command that a test runs; mark the block `text`"
    return int(importlib.import_module(words[2]).main(words[3:]))


@contextlib.contextmanager
def folder(page: Path) -> Iterator[None]:
    """An empty working folder with what the page takes for granted."""
    old = Path.cwd()
    with tempfile.TemporaryDirectory() as made:
        os.chdir(made)
        if page.name == "README.md":  # it speaks of the reader's own model
            from search.inputs.models.catalog import load_entry

            Path("my-model").mkdir()
            Path("my-model", "config.json").write_text(json.dumps(load_entry("qwen3_8b")["published"]))
        try:
            yield
        finally:
            os.chdir(old)


def run_page(page: Path) -> list[tuple[list[str], list[str]]]:
    """For each block: the lines that the page shows (none: ``[]``) and the lines that were printed."""
    found = []
    with folder(page):
        for block in BLOCK.finditer(page.read_text()):
            text = block["text"]
            printed = "".join(run_step(step, text is not None) for step in steps(block["sh"]))
            found.append(((text or "").splitlines(), [line.rstrip() for line in printed.splitlines()]))
    return found


def missing(shown: list[str], printed: list[str]) -> list[str]:
    """The shown lines that were not printed, or not in this order."""
    lost, rest = [], printed
    for line in shown:
        if line.strip() in ("", LEFT_OUT):
            continue
        if line in rest:
            rest = rest[rest.index(line) + 1 :]
        else:
            lost.append(line)
    return lost


def like(line: str) -> str:
    """A line without its figures and the spaces that make room for them."""
    return re.sub(r"[\s─━-]+", " ", re.sub(r"[\d.,]*\d", "0", line))


def updated(shown: list[str], printed: list[str]) -> list[str]:
    """The shown lines with the figures of the printed ones that are otherwise alike."""
    fresh, rest = [], printed
    for line in shown:
        at = next((i for i, real in enumerate(rest) if real == line), None)
        if at is None:
            at = next((i for i, real in enumerate(rest) if like(real) == like(line)), None)
        if line.strip() in ("", LEFT_OUT) or at is None:
            fresh.append(line)
        else:
            fresh.append(rest[at])
            rest = rest[at + 1 :]
    return fresh


def refresh(page: Path) -> bool:
    """Write the page with the figures that its commands print now; whether it changed."""
    before = page.read_text()
    after = before
    for shown, printed in run_page(page):
        if shown:
            old, new = ("\n".join(lines) + "\n" for lines in (shown, updated(shown, printed)))
            after = after.replace(f"```text\n{old}```", f"```text\n{new}```")
    page.write_text(after)
    return after != before


if __name__ == "__main__":
    sys.path.insert(0, str(REPO))
    for one in PAGES:
        if BLOCK.search(one.read_text()):
            print(one.relative_to(REPO), "changed" if refresh(one) else "is up to date")
