"""Whether prefill and decode on pools of their own would do better, or drafts."""

from __future__ import annotations

from search.render.document.formats import bullets
from search.render.document.view import View


def split(v: View) -> str:
    """Empty where split plans were not asked for."""
    return bullets([line.text("text") for line in v.each("split.line")]) if v.children("split.line") else ""


def speculation(v: View) -> str:
    """Empty where no drafter was asked for."""
    return bullets([line.text("text") for line in v.each("draft.line")]) if v.children("draft.line") else ""
