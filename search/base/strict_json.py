"""JSON as data files hold it: a key that is given twice is refused, not resolved in silence."""

from __future__ import annotations

import json
from typing import Any


def strict(text: str, **options: Any) -> Any:
    """``json.loads`` with its ``options``; ``ValueError`` too where an object has a key twice."""
    return json.loads(text, object_pairs_hook=_once, **options)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {double[:60]!r} is given twice")
    return found
