"""One search, from configuration to outcome. Reads top to bottom; nothing is written here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from costmodel.scores import concatenate as join_scores
from search.base.errors import InputError
from search.base.progress import track
from search.evidence.measured.intervals import coverage_of
from search.inputs.checks import number
from search.inputs.config import check_rate, check_report, check_strategy, read_model, read_scenario
from search.inputs.costs import check_costs, check_traffic
from search.inputs.fallbacks import fallbacks
from search.inputs.own_cluster import foreign
from search.inputs.run_name import check_name
from search.inputs.schema import Config
from search.optimizer.archive import Archive
from search.optimizer.baselines import score_baselines
from search.optimizer.front import Objectives, hypervolume_share, pareto_front
from search.optimizer.legal import Legal, legal_plans
from search.optimizer.outcome import Outcome, StudyReport
from search.optimizer.recommend import Policy, recommend
from search.optimizer.rules.facts import facts_of
from search.optimizer.rules.registry import general_rules
from search.optimizer.sampler import SAMPLERS
from search.optimizer.sensitivity.inputs import read_ranges
from search.optimizer.sensitivity.study import sensitivity
from search.optimizer.space import Space
from search.optimizer.study import run_study
from search.optimizer.sure import Search, check_confidence, strict
from search.optimizer.verify import check_verify, verify, with_verified

EXACT_CHUNK = 1 << 16
MOST_CANDIDATES = 5_000_000  # rows of a file that is written in one piece


@dataclass
class Stopwatch:
    """Seconds by stage, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def run(config: Config) -> Outcome:
    """Search; ``InputError`` for what cannot be used. An outcome without a feasible plan has ``choice`` None."""
    watch = Stopwatch()
    with watch.stage("read"):
        check_name(config.name)
        check_strategy(config.strategy)
        check_report(config.report)
        number("output.max_candidates", config.output.max_candidates, 0, MOST_CANDIDATES)
        model = read_model(config.model)
        scenario = read_scenario(config, model.architecture)
        space = Space.from_config(vars(config.space))
        objectives = Objectives.from_config("objective.columns", config.objective.columns)
        policy = Policy.from_config(config.objective.recommend, config.objective.ties)
        asked = config.objective
        for key, columns in (("columns", asked.columns), ("recommend", asked.recommend), ("ties", asked.ties)):
            check_costs(f"objective.{key}", columns, scenario.accelerator)
            check_traffic(f"objective.{key}", columns, scenario)
        check_rate(scenario)
        check_confidence(config)
        check_verify(config.verify)
        facts = facts_of(scenario)
        ranges = read_ranges(config.sensitivity, scenario)
    with watch.stage("legality"):
        enough = config.strategy.exact_limit if config.strategy.sampler == "exact" else None
        legal = legal_plans(space, facts, config.engine.name, enough)
        if len(legal) == 0:
            most = max(legal.removed.items(), key=lambda item: item[1])
            # The layouts that exist say more than those that do not: their own rule is named too.
            general = {rule.name for rule in general_rules()}
            taken = {name: n for name, n in legal.removed.items() if name not in general}
            last = max(taken.items(), key=lambda item: item[1], default=None)
            refused = f"; of those that exist {last[0]} refuses {last[1]}" if last and last != most else ""
            raise InputError(
                f"space: none of its {space.size} points is a legal plan for engine {config.engine.name!r} and "
                f"model {scenario.model.name!r}; rule {most[0]} removed most ({most[1]}){refused}"
            )
        baselines = score_baselines(config.baselines, scenario, facts)

    archive, report = None, None
    if config.strategy.sampler not in SAMPLERS:
        raise InputError(
            f"strategy.sampler: {config.strategy.sampler!r} is not allowed; give one of {', '.join(SAMPLERS)}"
        )
    if config.strategy.sampler != "exact":
        with watch.stage("study"):
            study, archive = run_study(scenario, space, legal, objectives, config.strategy, config.name)
            report = StudyReport(study, len(study.get_trials(deepcopy=False)), archive.repeats, None)
    exact = len(legal) <= config.strategy.exact_limit
    if not exact and archive is None:
        raise InputError(
            f"strategy.exact_limit: {config.strategy.exact_limit} is below the {len(legal)} legal plans; "
            "raise it or choose another strategy"
        )
    with watch.stage("exact" if exact else "front"):
        if exact:
            plans, scores, engines = legal.plans, score_all(scenario, legal.plans), legal.engines
        else:
            plans, scores, engines = _seen(archive, legal)
        costs = objectives.costs(plans, scores)
        front = pareto_front(costs, scores.feasible)
        if exact and archive is not None and report is not None and len(front):
            tried, found = archive.contents()
            share = hypervolume_share(objectives.costs(tried, found)[found.feasible], costs[front])
            report = StudyReport(report.study, report.trials, report.repeats, share)
        known = coverage_of(scenario, plans, scores)
        sure = config.objective.confidence
        limited = strict(Search(config, scenario, ranges, plans, scores, known, policy), sure) if sure else scores
        choice = recommend(plans, limited, policy, space.axes, known)
    with watch.stage("simulation"):
        verified = verify(config, scenario, plans, limited, policy)
        simulated = with_verified(limited, verified)
        if choice is not None and simulated is not limited:
            other = recommend(plans, simulated, policy, space.axes, known)
            if other is not None and other.recommended != choice.recommended:
                choice = replace(other, relaxed=choice.relaxed)
    if choice is not None:  # the plan that it was preferred to may dominate it
        front = np.union1d(front, [choice.recommended])
    odd = foreign(config, scenario.accelerator, scenario.cluster)
    outcome = Outcome(
        config, scenario, (*model.assumptions, *config.assumptions, *fallbacks(scenario), *odd),
        space, legal, objectives, policy,
        plans, scores, engines, known, exact, front, choice, report, baselines, watch.seconds,
        verified=verified, warnings=odd,
    )  # fmt: skip
    with watch.stage("sensitivity"):
        return replace(outcome, sensitivity=sensitivity(outcome, ranges))


def score_all(scenario: Scenario, plans: Plans) -> Scores:
    """Legal plans (one at least), scored in chunks."""
    starts = range(0, len(plans), EXACT_CHUNK)
    return join_scores(
        [evaluate(scenario, plans.take(slice(i, i + EXACT_CHUNK))) for i in track(starts, "exact front")]
    )


def _seen(archive: Archive | None, legal: Legal) -> tuple[Plans, Scores, np.ndarray]:
    """What the study scored."""
    assert archive is not None
    plans, scores = archive.contents()
    return plans, scores, legal.engines[:, archive.places()]
