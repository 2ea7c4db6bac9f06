"""The whole of it, for the recommended plan of an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costmodel.evaluate import evaluate
from search.sensitivity.draws import Draws, draw
from search.sensitivity.inputs import Range
from search.sensitivity.more_gpus import a_node_more
from search.sensitivity.pool import pool
from search.sensitivity.situations import Situation, at_the_ends, deciding, figures, one_unit_more

if TYPE_CHECKING:
    from search.run import Outcome


@dataclass(frozen=True)
class Sensitivity:
    """``plan`` and its ``figures`` as configured; ``situations`` in order: ends of ranges, resources, limits;
    ``ranked`` plans in each of them, of ``scored`` that the search knows; ``draws`` ``None`` if none were asked for."""

    plan: dict[str, int]
    figures: dict[str, float]
    ranges: tuple[Range, ...]
    situations: tuple[Situation, ...]
    ranked: int
    scored: int
    draws: Draws | None


def sensitivity(outcome: Outcome, ranges: tuple[Range, ...]) -> Sensitivity | None:
    """``None`` where the configuration leaves it out or nothing is recommended."""
    config, scenario = outcome.config.sensitivity, outcome.scenario
    if not config.enabled or outcome.choice is None:
        return None
    ranked = pool(outcome, ranges, config.most_ranked)
    scores = evaluate(scenario, ranked.plans)
    base = deciding(ranked, scores)
    plan = ranked.plans.row(ranked.place)
    situations = [*at_the_ends(ranked, scenario, ranges, base), *one_unit_more(ranked, scenario, base)]
    node = a_node_more(outcome, plan, base)
    if node is not None:
        situations.append(node)
    draws = draw(ranked, scenario, ranges, base, config.draws, config.seed) if config.draws else None
    return Sensitivity(
        plan, figures(scores, ranked.place), ranges, tuple(situations), len(ranked.plans), ranked.total, draws
    )
