"""An audit as plain data, for other programs: ``--json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from costmodel.engine import ENGINES
from costmodel.scores import FIGURES
from search import __version__
from search.base.whole_file import put_out
from search.commands.audit.audited import Audit
from search.commands.audit.report import conclusion
from search.render.document.case import Case, Meaning
from search.render.document.engine_words import engine_words
from search.render.document.plan_values import plan_values
from search.render.document.spans import known
from search.render.document.verdict import OTHERWISE, Verdict
from search.render.document.view import View


def record(audit: Audit) -> dict[str, Any]:
    """docs/formats.md explains the keys; SI units."""
    s = audit.scenario
    found: dict[str, Any] = {
        "name": audit.name,
        "model": s.model.name,
        "hardware": s.accelerator.name,
        "engine": s.engine.name,
        "isl": s.lengths.isl,
        "osl": s.lengths.osl,
        "memory_fraction": s.limits.memory_fraction,
        "layout": audit.plan.row(0),
        "passed": audit.passed,
        "conclusion": conclusion(audit),
        "starts": audit.starting.starts,
        "starts_probability": audit.starting.probability,
        "why_not": [{"rule": w.rule, "text": w.text, "arithmetic": w.arithmetic} for w in audit.starting.why_not],
        "broken_rule": audit.broken.name if audit.broken else None,
        "findings": list(audit.findings),
        "notes": list(audit.notes),
        "assumptions": list(audit.assumptions),
        "claims": [_verdict(v) for v in audit.verdicts],
        "relations": [_verdict(v) | {"concerns": list(v.concerns)} for v in audit.relations],
        "measured": [asdict(m) | {"flagged": m.flagged} for m in audit.measured],
        "engines": {},
        "figures": {},
    }
    if audit.scored is not None:
        view = View(plan_values(s, audit.plan, audit.scored.scores, full=True))
        case = Case(s, audit.plan, audit.scored.scores)
        found["layout"] |= {k: int(view.number(k)) for k in ("stage_width", "attn_dp", "moe_tp")}
        found["coverage"] = known(s, audit.plan, audit.scored.scores)
        found["evidence"] = [str(x.raw("text")) for x in view.each("evidence")]
        for engine in ENGINES:
            rule = audit.refusals.get(engine)
            words = engine_words(engine, view) if rule is None else None
            found["engines"][engine] = {"taken": rule is None, "rule": rule.name if rule else None, "words": words}
        for name in (*FIGURES, *audit.scored.scores.costs):
            value = case.score(name)
            low, high = case.span(name, Meaning("", value, ""))
            found["figures"][name] = {"derived": value, "low": low, "high": high}
    if audit.launched is not None and audit.command is not None:
        found["command"] = {
            "model": audit.command.model,
            "settings": list(audit.launched.settings),
            "ignored": list(audit.command.ignored),
            "unmodelled": [{"flag": flag, "reason": reason} for flag, reason in audit.launched.unmodelled],
            "not_judged": dict(audit.launched.open_figures),
            "pool": audit.launched.pool,
            "pool_says": list(audit.pool.lines),
        }
    return found


def _verdict(v: Verdict) -> dict[str, Any]:
    """``verdict`` is ``holds``, ``fails``, ``contradicts`` or ``not judged``; the rest says how."""
    short = "fails" if v.verdict == OTHERWISE else v.verdict.split(",")[0]
    holds_as = {"reading": v.reading, "value": v.otherwise} if v.verdict == OTHERWISE else None
    return {
        "claim": v.claim, "claimed": v.claimed, "derived": v.derived, "low": v.low, "high": v.high, "verdict": short,
        "with_room": v.verdict == "holds, with room", "holds_as": holds_as, "impossible": v.impossible,
        "arithmetic": v.arithmetic,
    }  # fmt: skip


def write_records(audits: Sequence[Audit], origin: str, path: Path) -> None:
    """Beside its name first, and there when it is whole."""
    data = {"servefront": __version__, "from": origin, "audits": [record(audit) for audit in audits]}
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    put_out("--json", path, text)
