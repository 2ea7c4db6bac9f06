"""Files that are there when they are whole, and not before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def put(path: Path, write: Callable[[Path], T]) -> T:
    """``write`` a file beside its name, and move it there."""
    partial = path.with_name(f".partial-{path.name}")
    try:
        result = write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return result


def put_text(path: Path, text: str) -> None:
    """``put`` for text, in UTF-8."""
    put(path, lambda partial: partial.write_text(text, encoding="utf-8"))
