"""``plan.yaml``: one schema for what a run recommends, for baselines and for later inputs."""

from __future__ import annotations

from typing import Any

from costmodel.engine import ENGINES
from costmodel.plans import AXES
from search.base.escape import plain, yaml_text
from search.optimizer.outcome import Outcome

CLAIMED = (
    "ttft_s",
    "burst_ttft_s",
    "tpot_s",
    "output_tokens_per_s",
    "requests_per_s",
    "weights_bytes_per_gpu",
    "kv_cache_bytes_per_gpu",
    "activation_bytes_per_gpu",
    "reserve_bytes_per_gpu",
    "memory_bytes_per_gpu",
    "memory_utilization",
    "kv_capacity_tokens",
)


def plan_mapping(outcome: Outcome, row: int, name: str) -> dict[str, Any]:
    """A plan with what the model says of it as its claims, in SI units."""
    layout = outcome.plans.row(row)
    batch = layout.pop("batch")
    claims = {figure: float(getattr(outcome.scores, figure)[row]) for figure in CLAIMED}
    engine = outcome.engine if outcome.engine in ENGINES else None
    return {"name": name, "layout": layout, "batch": batch, "engine": engine, "claims": claims}


def render(plan: dict[str, Any], comment: str) -> str:
    """The plan as YAML, with a comment of one line above it."""
    layout = ", ".join(f"{axis}: {plan['layout'][axis]}" for axis in AXES if axis != "batch")
    lines = [
        f"# {plain(comment)}",
        f"name: {yaml_text(plan['name'])}",
        f"layout: {{{layout}}}",
        f"batch: {plan['batch']}",
    ]
    lines += [f"engine: {plan['engine']}"] if plan["engine"] else []
    lines += ["claims:", *(f"  {figure}: {_number(value)}" for figure, value in plan["claims"].items())]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """YAML 1.1 reads 1e-05 as text; with a point it is a number."""
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
