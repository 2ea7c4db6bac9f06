"""Whether prefill and decode on pools of their own would do better."""

from __future__ import annotations

from search.render.document.formats import bullets
from search.render.document.view import View


def split(v: View) -> str:
    """Empty where split plans were not asked for."""
    return bullets([line.text("text") for line in v.each("split.line")]) if v.children("split.line") else ""
