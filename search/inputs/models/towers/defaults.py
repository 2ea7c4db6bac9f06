"""What config classes take for absent keys. ``class_defaults.json`` is written by scripts/counts/defaults.py from the
classes of transformers 5.24: wrappers' files leave such keys out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _table() -> dict[str, dict[str, Any]]:
    path = Path(__file__).parents[1] / "class_defaults.json"
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def class_defaults(kind: str | None) -> Mapping[str, Any]:
    """What the config class of a model type takes for absent keys; nothing where the type is not in the table."""
    return _table().get(kind or "", {})
