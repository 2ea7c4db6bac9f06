"""The engines that were compared, side by side: values, and their words for terminal, plan.md and report alike."""

from __future__ import annotations

from costmodel.plans import READING_ORDER
from search.optimizer.outcome import Compared, Outcome
from search.render.document import formats
from search.render.document.view import Values, View
from search.render.words import figure_words

FIGURES = ("output_tokens_per_s", "output_tokens_per_s_per_gpu", "ttft_s", "tpot_s")
HEADER = ("engine", "plan", "tokens/s", "a GPU", "TTFT", "TPOT", "beside the recommended plan")


def compared_values(outcome: Outcome) -> Values:
    """Keys ``compared.<n>.``, none where one engine was searched."""
    values: Values = {}
    for i, one in enumerate(outcome.compared):
        values |= {f"compared.{i}.{key}": value for key, value in _values(outcome, one).items()}
    return values


def _values(outcome: Outcome, one: Compared) -> Values:
    values: Values = {"engine": one.engine}
    found = one.outcome
    if found is None:
        return values | {"said": f"takes no plan of the space: {one.refused}"}
    if found.choice is None:
        return values | {"said": "no plan keeps every limit"}
    row = found.choice.recommended
    values |= {axis: size for axis, size in found.plans.row(row).items() if axis in READING_ORDER}
    values |= {name: float(getattr(found.scores, name)[row]) for name in FIGURES}
    if one.engine == outcome.engine:
        return values | {"said": "recommended"}
    if one.gain is not None:
        apart = "" if one.apart else "; the model cannot tell them apart"
        values["said"] = f"{formats.signed_percent(one.gain)} in {figure_words(outcome.policy.first[0])}{apart}"
    return values


def engine_rows(v: View) -> list[list[str]]:
    """A line an engine, under ``HEADER``."""
    rows = []
    for c in v.each("compared"):
        plan = " ".join(f"{axis} {c.n(axis)}" for axis in READING_ORDER) if "gpus" in c else "none"
        figures = [c.fig(name) if name in c else "" for name in FIGURES]
        rows.append([c.text("engine"), plan, *figures, c.text("said") if "said" in c else ""])
    return rows
