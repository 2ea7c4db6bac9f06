"""Put the sections together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from search.render.document.sections.balance import load_balance
from search.render.document.sections.comparison import claims, comparison
from search.render.document.sections.first_page import against, decision, summary
from search.render.document.sections.inputs import hardware, inputs, model
from search.render.document.sections.layout import modules, resources, strategy
from search.render.document.sections.performance import memory_check, performance, throughput, ttft_check
from search.render.document.sections.rationale import front, rationale, search
from search.render.document.sections.risks import risks
from search.render.document.sections.sensitivity import sensitivity
from search.render.document.sections.sources import annex, sources
from search.render.document.sections.split import speculation, split
from search.render.document.sections.traffic import throughput_at_rate, traffic, ttft_at_rate
from search.render.document.view import Value, View


def _either(closed: Callable[[View], str], at_rate: Callable[[View], str]) -> Callable[[View], str]:
    """The section of the closed loop, or that of requests at a rate."""
    return lambda v: (at_rate if "traffic.requests_per_s" in v else closed)(v)


SECTIONS: dict[str, Callable[[View], str]] = {
    "Summary": summary,
    "Against earlier plans": against,
    "Risks": risks,
    "Decision": decision,
    "Split or aggregated": split,
    "Speculation": speculation,
    "Model": model,
    "Hardware": hardware,
    "Input": inputs,
    "Strategy": strategy,
    "Resource allocation": resources,
    "Performance": performance,
    "Module division": modules,
    "Rationale": rationale,
    "Memory check": memory_check,
    "Traffic": traffic,
    "TTFT check": _either(ttft_check, ttft_at_rate),
    "Throughput": _either(throughput, throughput_at_rate),
    "Load balance": load_balance,
    "Comparison with earlier plans": comparison,
    "Claims of earlier plans": claims,
    "The front": front,
    "The search": search,
    "Sensitivity": sensitivity,
    "Assumptions and sources": sources,
}

FIRST_PAGE = ("Summary", "Against earlier plans", "Risks", "Decision")  # all that somebody must know who signs

OPTIONAL = ("Split or aggregated", "Speculation", "Traffic")  # where they were asked for


def render(values: Mapping[str, Value]) -> str:
    """The document as markdown; a function of ``values`` alone."""
    v = View(values)
    parts = [f"# Deployment plan: {v.text('name')}"]
    said = {title: text for title, section in SECTIONS.items() if (text := section(v))}
    parts += [f"## {n}. {title}\n\n{text}" for n, (title, text) in enumerate(said.items(), 1)]
    return "\n\n".join(parts) + "\n"


def render_annex(values: Mapping[str, Value]) -> str:
    """``inputs.md``, the annex; a function of ``values`` alone."""
    return annex(View(values))
