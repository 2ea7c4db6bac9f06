"""docs/gallery.md says what the program says today: of pairs under each engine, the row and the command."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "gallery.py"
spec = importlib.util.spec_from_file_location("gallery", SCRIPT)
assert spec is not None and spec.loader is not None
gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gallery)


@pytest.mark.parametrize("pair", [gallery.PAIRS[0], gallery.PAIRS[7]], ids="-".join)
def test_the_page_is_not_stale(pair: tuple[str, str]) -> None:
    row, section = gallery.entry(*pair)
    text = gallery.PAGE.read_text(encoding="utf-8")
    assert row in text and section in text, "python scripts/gallery.py writes it anew"


def test_the_page_has_every_pair() -> None:
    text = gallery.PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| [\w.-]+/\S+ \| (\w+) \|", text, re.MULTILINE)
    assert rows == [hardware for _, hardware in gallery.PAIRS]
    assert text.count("```bash") == len(rows)
