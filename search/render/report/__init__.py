"""``report.html`` and ``pareto.svg``: what people look at, rendered from an ``Outcome``. ``docs/report.md``."""

from __future__ import annotations

from search.render.report.page import render
from search.render.report.pareto import pareto_svg
from search.render.report.values import collect

__all__ = ["collect", "pareto_svg", "render"]
