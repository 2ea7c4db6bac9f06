"""Every value of the report in one flat mapping. Sections, pictures and the page's data are rendered from it and from
nothing else, so that a value that changes changes the page."""

from __future__ import annotations

from costmodel.columns import AT_A_RATE
from costmodel.engine import ENGINES
from costmodel.plans import AXES
from search import __version__
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import nearest
from search.optimizer.rules.registry import engine_rules, general_rules
from search.render.document.engines_compared import compared_values
from search.render.document.search_values import ledger_values
from search.render.document.values import collect as collect_document
from search.render.document.values import hardware_values, input_values, model_values, prefixed
from search.render.document.view import Values
from search.render.identity import identity_values
from search.render.launch.write import start_lines
from search.render.provenance import provenance_values
from search.render.report.chosen import chosen_values
from search.render.report.points import point_values
from search.render.report.rates import rate_values
from search.render.report.view import ReportValues

LATENCIES = ("tpot_s", "ttft_s", "burst_ttft_s")


def collect(outcome: Outcome, document: Values | None = None) -> ReportValues:
    """The ``document``'s values, where there is one (or those that need no recommended plan), and the report's own."""
    values: ReportValues = {"version": __version__, "name": outcome.config.name}
    values |= _search(outcome) if document is None else document
    values |= _rule_texts(values)
    values |= point_values(outcome)
    row = outcome.choice.recommended if outcome.choice is not None else nearest(outcome.plans, outcome.scores)[0]
    values |= {f"chosen.{axis}": size for axis, size in outcome.plans.row(row).items() if axis in AXES}
    values |= chosen_values(outcome, row)
    values |= rate_values(outcome, row)
    values |= provenance_values(outcome) | identity_values(outcome) | launch_values(outcome)
    values |= _axes(outcome)
    return values


def _search(outcome: Outcome) -> Values:
    """What plan.md says too."""
    if outcome.choice is not None:
        return collect_document(outcome)
    scenario = outcome.scenario
    values = prefixed("model", model_values(scenario, outcome.config.model.source))
    values |= prefixed("hardware", hardware_values(scenario))
    values |= prefixed("input", input_values(outcome))
    return values | ledger_values(outcome) | compared_values(outcome)


def launch_values(outcome: Outcome) -> ReportValues:
    """Keys ``launch.<n>.engine`` and ``.command``: what starts the recommended plan's first server."""
    values: ReportValues = {}
    for i, (engine, line) in enumerate(start_lines(outcome).items()):
        values |= {f"launch.{i}.engine": engine, f"launch.{i}.command": line}
    return values


def _rule_texts(values: ReportValues) -> ReportValues:
    """What each rule of the ledger demands; several, where each engine has its own."""
    rules = [*general_rules(), *(rule for engine in ENGINES for rule in engine_rules(engine))]
    texts = {rule.name: rule.text for rule in rules}
    found: ReportValues = {}
    for key, name in values.items():
        if key.startswith("rule.") and key.endswith(".name"):
            said = dict.fromkeys(texts[part] for part in str(name).split(" + "))
            found[key.removesuffix("name") + "text"] = "; ".join(said)
    return found


def _axes(outcome: Outcome) -> ReportValues:
    """Columns of the first picture: what the recommendation is best in over the first latency of the front (or its
    next column), coloured by accelerators; the direction that is better of every column with one."""
    deciding, _ = outcome.policy.first
    names = [n for n in outcome.objectives.names if n != deciding]
    across = next((n for n in LATENCIES if n in names), names[0] if names else "tpot_s")
    values: ReportValues = {"axes.x": across, "axes.y": deciding, "axes.colour": "gpus"}
    directions = {**outcome.policy.columns, **outcome.objectives.directions}
    return values | {f"better.{n}": d for n, d in directions.items() if n in AT_A_RATE}
