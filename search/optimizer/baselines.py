"""Plans written by hand, scored beside the ones that were found."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.engine import ENGINES
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.base.errors import InputError
from search.inputs.costs import check_costs
from search.inputs.plan_reader import check_plan
from search.inputs.schema import PlanConfig
from search.optimizer.refused import refused
from search.optimizer.rules.facts import Facts


@dataclass(frozen=True)
class Baseline:
    """A plan (one row) with its scores and claims; ``refusals`` the first rule that each engine would name, ``None``
    where it takes the plan."""

    name: str
    plan: Plans
    scores: Scores
    claims: dict[str, float]
    refusals: dict[str, str | None]

    @property
    def engines(self) -> tuple[str, ...]:
        return tuple(e for e in ENGINES if self.refusals[e] is None)


def score_baselines(configs: list[PlanConfig], scenario: Scenario, facts: Facts) -> tuple[Baseline, ...]:
    """Score each; one whose layout does not exist at all is an ``InputError`` that names the rule."""
    return tuple(_score(f"baselines[{i}]", c, scenario, facts) for i, c in enumerate(configs))


def _score(key: str, config: PlanConfig, scenario: Scenario, facts: Facts) -> Baseline:
    check_plan(key, config)
    check_costs(f"{key}.claims", config.claims, scenario.accelerator)
    plan = Plans.of(**config.layout, batch=config.batch)
    found = refused(plan, facts)[0]
    if found.layout is not None:
        raise InputError(f"{key}: the layout of {config.name!r} does not exist: it breaks rule {found.layout.name}")
    engines = {e: None if rule is None else rule.name for e, rule in found.engines.items()}
    return Baseline(config.name, plan, evaluate(scenario, plan), dict(config.claims), engines)
