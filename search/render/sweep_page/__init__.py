"""``sweep.html``: the fronts of all jobs of a sweep over each other. ``docs/report.md`` explains it."""

from __future__ import annotations

from search.render.sweep_page.page import render

__all__ = ["render"]
