"""The values of the sensitivity: keys ``sensitivity.``; none where a run leaves it out."""

from __future__ import annotations

from costmodel.columns import column
from search.optimizer.hardened import CONFIDENCE
from search.optimizer.outcome import Outcome
from search.optimizer.sensitivity.inputs import INPUTS
from search.optimizer.sensitivity.records import FIGURES, SAFE, Draws, Range, Sensitivity, Situation
from search.optimizer.sensitivity.table import change, label
from search.optimizer.sure import is_sure, kept_limits
from search.render.document.view import Values

CHANGES = FIGURES[:4]


def sensitivity_values(outcome: Outcome) -> Values:
    """Ranges, units and draws of the recommended plan."""
    found = outcome.sensitivity
    if found is None or outcome.choice is None:
        return {}
    values: Values = {"ranked": found.ranked, "scored": found.scored, "column": outcome.policy.first[0]}
    values["value"] = float(column(outcome.policy.first[0], outcome.plans, outcome.scores)[outcome.choice.recommended])
    for i, ends in enumerate(found.ranges):
        values |= {f"range.{i}.{k}": v for k, v in _range(found, ends).items()}
    units = [s for s in found.situations if s.kind != "range"]
    for i, unit in enumerate(units):
        values |= {f"unit.{i}.{k}": v for k, v in _unit(found, unit).items()}
    if found.draws is not None:
        values |= {f"draws.{k}": v for k, v in _draws(found.draws, outcome.config.sensitivity.seed).items()}
    return {f"sensitivity.{key}": value for key, value in values.items()}


def kept_values(outcome: Outcome) -> Values:
    """Keys ``kept.``: each limit that is set, for the recommended plan; and ``flip.``, where that is not sure."""
    values: Values = {}
    for i, k in enumerate(kept_limits(outcome)):
        values |= {f"kept.{i}.limit": k.limit, f"kept.{i}.bound": "at least" if k.limit == "requests" else "at most"}
        values |= {f"kept.{i}.figure": k.figure, f"kept.{i}.allowed": k.allowed, f"kept.{i}.predicted": k.predicted}
        room = k.predicted / k.allowed - 1.0 if k.limit in ("requests", "goodput") else 1.0 - k.predicted / k.allowed
        values[f"kept.{i}.headroom"] = room
        if k.low != k.high:
            values |= {f"kept.{i}.low": k.low, f"kept.{i}.high": k.high}
            values[f"kept.{i}.surely"] = "keeps it" if k.surely else "misses it"
        if k.share is not None:
            values[f"kept.{i}.share"] = k.share
    if is_sure(outcome):
        return values
    values["flip.confidence"] = CONFIDENCE
    draws = outcome.sensitivity.draws if outcome.sensitivity is not None else None
    if draws is not None:
        values["flip.feasible"] = draws.feasible
        if draws.sure is not None:
            values |= {f"flip.sure.{axis}": degree for axis, degree in draws.sure.plan.items()}
            values |= {"flip.sure.share": draws.sure.share, "flip.sure.gain": draws.sure.gain}
            values["flip.column"] = outcome.policy.first[0]
    return values


def _range(found: Sensitivity, ends: Range) -> Values:
    values: Values = {"name": INPUTS[ends.name].label, "source": ends.source or "not given"}
    both = [s for s in found.situations if s.kind == "range" and s.name == ends.name]
    for side, s in zip(("low", "high"), both, strict=True):
        values[f"{side}.factor"] = s.after
        values |= {f"{side}.{k}": v for k, v in _effects(found, s).items()}
    # Without figures a plan does not exist there: nothing is worse.
    speeds = [float(values.get(f"{side}.output_tokens_per_s", -1.0)) for side in ("low", "high")]
    values["worse"] = "high" if speeds[1] < speeds[0] else "low"
    return values


def _unit(found: Sensitivity, s: Situation) -> Values:
    values: Values = {"name": label(s), "unit": s.unit, "before": s.before, "after": s.after}
    return values | _effects(found, s)


def _effects(found: Sensitivity, s: Situation) -> Values:
    values: Values = {}
    if s.figures is not None:
        values |= {f: change(found, s, f) for f in CHANGES}
        values["limits"] = ", ".join(s.missed) or "kept"
    if s.best is not None:
        values["gain"] = s.best.gain
        if not s.best.same:
            values |= {f"best.{axis}": degree for axis, degree in s.best.plan.items()}
            values["best.output_tokens_per_s"] = s.best.figures["output_tokens_per_s"]
    return values


def _draws(d: Draws, seed: int) -> Values:
    values: Values = {"count": d.count, "seed": seed, "feasible": d.feasible, "best": d.best, "layout": d.layout}
    values |= {"shortfall_median": d.shortfall[0], "shortfall_high": d.shortfall[1], "safe": SAFE}
    for i, (limit, share) in enumerate((name, s) for name, s in d.missed.items() if s > 0.0):
        values |= {f"missed.{i}.limit": limit, f"missed.{i}.share": share}
    for figure in CHANGES:
        values |= {f"{end}.{figure}": v for end, v in zip(("low", "median", "high"), d.quantiles[figure], strict=True)}
    for i, (plan, share) in enumerate(d.rivals):
        values |= {f"rival.{i}.{axis}": degree for axis, degree in plan.items()} | {f"rival.{i}.share": share}
    if d.robust is not None:
        plan, share, gain = d.robust
        values |= {f"robust.{axis}": degree for axis, degree in plan.items()}
        values |= {"robust.share": share, "robust.gain": gain}
    return values
