"""``plan.md``: the document that people sign, rendered from an ``Outcome``. ``docs/plan_document.md`` explains it."""

from __future__ import annotations

from search.optimizer.outcome import Outcome
from search.render.document.render import render, render_annex
from search.render.document.values import collect

__all__ = ["collect", "render", "render_annex", "render_plan"]


def render_plan(outcome: Outcome) -> str:
    """The document of an outcome that has a recommended plan, as markdown. Pure: the same outcome, the same text."""
    return render(collect(outcome))
