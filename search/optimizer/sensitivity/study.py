"""The whole of it, for the recommended plan of an outcome."""

from __future__ import annotations

from dataclasses import replace

from costmodel.evaluate import evaluate
from search.base import interrupt
from search.base.workers import LOCAL, Workers
from search.optimizer.outcome import Outcome
from search.optimizer.sensitivity.draws import draw
from search.optimizer.sensitivity.more_gpus import a_node_more
from search.optimizer.sensitivity.pool import pool
from search.optimizer.sensitivity.records import Range, Sensitivity
from search.optimizer.sensitivity.situations import at_the_ends, deciding, figures, one_unit_more
from search.optimizer.verify import without_headroom


def sensitivity(outcome: Outcome, ranges: tuple[Range, ...], workers: Workers = LOCAL) -> Sensitivity | None:
    """``None`` where the configuration leaves it out, nothing is recommended or somebody asked to end."""
    config = outcome.config.sensitivity
    if not config.enabled or outcome.choice is None or interrupt.asked():
        return None
    scenario = without_headroom(outcome.scenario, outcome.policy.columns)
    outcome = replace(outcome, scenario=scenario)
    ranked = pool(outcome, ranges, config.most_ranked)
    scores = evaluate(scenario, ranked.plans)
    base = deciding(ranked, scores)
    plan = ranked.plans.row(ranked.place)
    situations = [*at_the_ends(ranked, scenario, ranges, base), *one_unit_more(ranked, scenario, base)]
    node = a_node_more(outcome, plan, base)
    if node is not None:
        situations.append(node)
    draws = None
    if config.draws:
        draws = draw(ranked, scenario, ranges, base, config.draws, config.seed, workers)
        if draws is None:
            return None
    return Sensitivity(
        plan, figures(scores, ranked.place), ranges, tuple(situations), len(ranked.plans), ranked.total, draws
    )
