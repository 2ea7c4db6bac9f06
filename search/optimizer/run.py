"""One search, from configuration to outcome. Reads top to bottom; nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import optuna

from costmodel.drafts.drafter import Drafter
from costmodel.evaluate import evaluate
from costmodel.memory.device import usable_bytes
from costmodel.plans import IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from costmodel.scores import concatenate as join_scores
from search.base import interrupt
from search.base.errors import InputError
from search.base.workers import LOCAL, Finishing, Workers, opened
from search.base.workers.remembered import Remembered
from search.evidence.measured.intervals import coverage_of
from search.inputs.compared import compared
from search.inputs.config import check_rate, check_search, read_model, read_scenario
from search.inputs.costs import check_costs, check_traffic
from search.inputs.derived import check_ranges
from search.inputs.fallbacks import fallbacks
from search.inputs.own_cluster import foreign
from search.inputs.own_engine import as_launched
from search.inputs.run_name import check_name
from search.inputs.saved_run import config_text
from search.inputs.schema import Config
from search.optimizer.archive import Archive
from search.optimizer.baselines import Baseline, score_baselines
from search.optimizer.compare import chosen, none_of
from search.optimizer.decode_context import ranks_of, search_decode_context
from search.optimizer.front import Objectives, hypervolume_share, pareto_front
from search.optimizer.full.found import MOST_FOLLOWED, followed, full_search
from search.optimizer.full.variants import varies
from search.optimizer.legal import Legal, NoLegalPlan, legal_plans
from search.optimizer.outcome import Outcome, StudyReport, Tally
from search.optimizer.recommend import Policy, recommend
from search.optimizer.regimes import Regimes, regimes
from search.optimizer.rules.facts import facts_of
from search.optimizer.sampler import check_sampler
from search.optimizer.sensitivity.inputs import read_ranges
from search.optimizer.sensitivity.records import Range
from search.optimizer.sensitivity.study import sensitivity
from search.optimizer.sensitivity.units import MEMORY_BYTES
from search.optimizer.space import Space
from search.optimizer.speculation.asked import drafters_of
from search.optimizer.speculation.search import search_speculation
from search.optimizer.split.asked import Asked, asked_of
from search.optimizer.split.beside import with_split
from search.optimizer.split.rivals import rivals_of
from search.optimizer.split.transfer import check_backends
from search.optimizer.stopwatch import Stopwatch, ended
from search.optimizer.stream import Wanted, stream
from search.optimizer.study import run_study
from search.optimizer.sure import Search, check_confidence, strict
from search.optimizer.verify import asked_for, verify, with_verified

EXACT_CHUNK = 1 << 14
MOST_LEFT = 1 << 16  # legal plans of the search that follows one of everything that was ended early
HELD = 1_000_000  # scored plans that are held at once: some 270 MB


def run(config: Config, *, whole: bool = False, folder: Path | None = None) -> Outcome:
    """Search; ``InputError`` for what cannot be used. An outcome without a feasible plan has ``choice`` None. Where
    engines are compared it is that of the best one, with the others beside it. ``whole``: every scored plan is held,
    however many there are. ``folder``: where a search that takes long leaves what it has, and finds it again."""
    watch = Stopwatch()
    check_ranges("compute", config.compute)
    with opened(config.compute.kind, config.compute.workers, config.compute.address) as hired:
        workers = hired if folder is None else Remembered(hired, folder, config_text(config))
        found = _everything(config, watch, workers) if varies(config) else _plans(config, watch, whole, workers)
        return ended(found, watch.cut, (config.compute.kind, hired.count))


def _everything(config: Config, watch: Stopwatch, workers: Workers) -> Outcome:
    """The front over every engine, token budget and format, then an ordinary search of the best one's layouts; of the
    best few of them where somebody asked to end."""
    with watch.stage("read"):
        check_name(config.name)
        check_search(config)
    with watch.stage("full"):
        found = full_search(config, workers)
        early = len(found.searched) < found.variants
        narrow = followed(config, found, MOST_LEFT if early else MOST_FOLLOWED)
    if early:
        watch.cut.append("full")
    return replace(_plans(narrow, watch, False, Finishing() if interrupt.asked() else workers), full=found)


def _plans(config: Config, watch: Stopwatch, whole: bool, workers: Workers) -> Outcome:
    """The search of plans alone, with all that is said of the recommended one."""
    names = compared(config)
    one = _compare(config, names, watch, whole, workers) if names else _searched(config, watch, whole, workers)
    outcome = _studied(one, watch)
    if outcome.choice is not None and outcome.scenario.demand is not None:
        with watch.stage("regimes"):
            outcome = replace(outcome, regimes=_regimes(outcome, outcome.choice.recommended))
    with watch.stage("sensitivity"):
        ranges = read_ranges(outcome.config.sensitivity, outcome.scenario)
        found = sensitivity(outcome, ranges, workers)
        if found is None and outcome.config.sensitivity.enabled:
            watch.skips("sensitivity")
    return replace(outcome, sensitivity=found)


def _regimes(o: Outcome, row: int) -> Regimes | None:
    """The map, with split plans where they were asked for."""
    find = rivals_of(o.config, o.scenario, o.space)
    carried = o.split.front.served.get("capacity_requests_per_s", np.zeros(1)) if o.split is not None else np.zeros(1)
    return regimes(o.scenario, o.plans, o.scores, row, find, float(carried.max(initial=0.0)))


def _compare(
    config: Config, names: tuple[str, ...], watch: Stopwatch, whole: bool, workers: Workers
) -> Outcome:  # fmt: skip
    """Each engine's own search, of which the policy chooses one."""
    found: list[Outcome | NoLegalPlan] = []
    for name in names:
        try:
            found.append(_searched(as_launched(config, name), watch, whole, workers))
        except NoLegalPlan as error:
            found.append(error)
        except interrupt.Nothing:
            if any(isinstance(one, Outcome) for one in found):
                break
            raise
    if not any(isinstance(one, Outcome) for one in found):
        raise none_of(names, [one for one in found if isinstance(one, NoLegalPlan)])
    return chosen(config, names[: len(found)], found)


def _searched(config: Config, watch: Stopwatch, whole: bool, workers: Workers) -> Outcome:
    """The search of one engine (or of ``any``), without a study where every plan is scored anyway."""
    with watch.stage("read"):
        check_name(config.name)
        check_search(config)
        space = Space.from_config(vars(config.space))
        workers.expect(space.size)
        model = read_model(config.model)
        scenario = read_scenario(config, model.architecture)
        objectives = Objectives.from_config("objective.columns", config.objective.columns)
        policy = Policy.from_config(config.objective.recommend, config.objective.ties)
        asked = config.objective
        for key, columns in (("columns", asked.columns), ("recommend", asked.recommend), ("ties", asked.ties)):
            check_costs(f"objective.{key}", columns, scenario.accelerator)
            check_traffic(f"objective.{key}", columns, scenario)
        check_rate(scenario)
        check_confidence(config)
        facts = facts_of(scenario)
        apart = asked_of(config, space)
        if apart is not None:
            check_backends(*apart.pools(scenario))
        drafters = drafters_of(config, scenario.model)
        degrees = ranks_of(config, scenario)
        ranges = read_ranges(config.sensitivity, scenario)
        check_sampler(config.strategy.sampler)
    with watch.stage("legality"):
        enough = config.strategy.exact_limit if config.strategy.sampler == "exact" else None
        legal = legal_plans(space, facts, config.engine.name, enough)
        if len(legal) == 0:
            raise NoLegalPlan(space.size, config.engine.name, scenario.model.name, legal.removed)
        baselines = score_baselines(config.baselines, scenario, facts)

    archive, report = None, None
    exact = len(legal) <= config.strategy.exact_limit
    if not exact and config.strategy.sampler == "exact":
        raise InputError(
            f"strategy.exact_limit: {config.strategy.exact_limit} is below the {len(legal)} legal plans; "
            "raise it or choose another strategy"
        )
    sure, tally, sample = config.objective.confidence, None, None
    if not exact:
        with watch.stage("study"):
            study, archive = _study(config, scenario, space, legal, objectives)
            report = StudyReport(study, len(study.get_trials(deepcopy=False)), archive.repeats, None)
    with watch.stage("exact" if exact else "front"):
        if not exact:
            plans, scores, engines = _seen(archive, legal)
        elif len(legal) <= HELD or whole:
            scores = score_all(scenario, legal.plans, workers)
            plans, engines = legal.plans.take(slice(len(scores))), legal.engines[:, : len(scores)]
        else:
            bounds = not (sure or apart or drafters or degrees)  # these look at plans that miss a limit
            drawn, room = config.sensitivity.most_ranked, _most_bytes(scenario, ranges)
            wanted = Wanted(scenario, objectives, policy, drawn, room, bounds)
            places, sample, tally = _streamed(wanted, legal, config, baselines, workers)
            plans, engines = legal.at(places), legal.engines[:, places]
            scores = score_all(scenario, plans, workers, whole=True)
        if exact and (len(scores) if tally is None else tally.scored) < len(legal):
            exact = False
            watch.cut.append("exact")
        front = pareto_front(objectives.costs(plans, scores), scores.feasible)
        known = coverage_of(scenario, plans, scores)
        limited = strict(Search(config, scenario, ranges, plans, scores, known, policy), sure) if sure else scores
        choice = recommend(plans, limited, policy, space.axes, known)
    with watch.stage("simulation"):
        skipped = asked_for(config, scenario) > 0 and watch.skips("simulation")
        verified = () if skipped else verify(config, scenario, plans, limited, policy, workers)
        if verified:
            watch.skips("simulation")  # the rest of it
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
        verified=verified, warnings=odd, tally=tally, sample=sample,
    )  # fmt: skip
    return _with_asked(outcome, degrees, drafters, apart, watch)


def _with_asked(
    o: Outcome, degrees: tuple[int, ...], drafters: tuple[Drafter, ...], apart: Asked | None, watch: Stopwatch
) -> Outcome:
    """With what stands beside the plans where it was asked for: dealt caches, drafts, split plans."""
    row = o.choice.recommended if o.choice is not None else None
    if degrees and not watch.skips("decode_cp"):
        with watch.stage("decode_cp"):
            o = replace(o, dealt=search_decode_context(o.scenario, degrees, o.plans, o.policy, row, o.scores))
    if drafters and not watch.skips("speculation"):
        with watch.stage("speculation"):
            found = search_speculation(o.scenario, drafters, o.plans, o.policy, row, o.scores, degrees)
            o = replace(o, speculation=found)
    if apart is not None and not watch.skips("split"):
        with watch.stage("split"):
            o = with_split(o, replace(apart, drafters=drafters, ranks=degrees))
    return o


def _studied(o: Outcome, watch: Stopwatch) -> Outcome:
    """With the study that the exact front examines, where one was asked for."""
    if o.config.strategy.sampler == "exact" or o.study is not None or watch.skips("study") or not o.exact:
        return o
    with watch.stage("study"):
        study, archive = _study(o.config, o.scenario, o.space, o.legal, o.objectives)
        share = None
        costs = o.objectives.costs(o.plans, o.scores)
        exact = costs[pareto_front(costs, o.scores.feasible)]
        if len(exact):
            tried, found = archive.contents()
            share = hypervolume_share(o.objectives.costs(tried, found)[found.feasible], exact)
        trials = len(study.get_trials(deepcopy=False))
    return replace(o, study=StudyReport(study, trials, archive.repeats, share))


def _study(
    config: Config, scenario: Scenario, space: Space, legal: Legal, objectives: Objectives
) -> tuple[optuna.Study, Archive]:
    strategy = config.strategy
    asked = config_text(config) if strategy.storage is not None else ""
    return run_study(scenario, space, legal, objectives, strategy, config.name, asked)


def _most_bytes(scenario: Scenario, ranges: Sequence[Range]) -> float:
    """Bytes beyond which no plan fits: under the limit on memory or, where that is left out, in the accelerator's; not
    with the memory that the sensitivity adds, nor with the shortest requests that it looks at, whose cache is as many
    times smaller at most (blocks, and a token of rounding, are the rest)."""
    room = max(scenario.accelerator.memory_bytes, usable_bytes(scenario.accelerator))
    shortest = min((r.low for r in ranges if r.name in ("isl", "osl")), default=1.0)
    return 1.05 * (room + MEMORY_BYTES) / shortest


def _streamed(
    wanted: Wanted, legal: Legal, config: Config, baselines: Sequence[Baseline], workers: Workers
) -> tuple[IntArray, IntArray, Tally]:
    """Places in ``legal`` of the plans that are held, rows of them that are a seeded sample of all, and the tally."""
    places, tally = stream(wanted, legal, workers)
    rng, reach = np.random.default_rng(config.strategy.seed), tally.scored  # pieces are scored in their order
    most = max(config.output.max_candidates, config.report.max_points)
    drawn = rng.choice(reach, size=min(most, reach), replace=False)
    own = [(found := legal.places(baseline.plan))[found < reach] for baseline in baselines]
    held = np.unique(np.concatenate([places, drawn, *own]))
    return held, np.searchsorted(held, np.sort(drawn)), tally


def score_all(scenario: Scenario, plans: Plans, workers: Workers = LOCAL, *, whole: bool = False) -> Scores:
    """Legal plans (one at least), scored in chunks; the first of them where somebody asked to end, unless they are
    wanted ``whole``."""
    starts = range(0, len(plans), EXACT_CHUNK)
    chunks = (plans.take(slice(i, i + EXACT_CHUNK)) for i in starts)
    parts = []
    for part in workers.worth(len(plans)).map(partial(evaluate, scenario), chunks, len(starts), "exact front"):
        parts.append(part)
        interrupt.worthwhile()
    done = sum(map(len, parts))
    if whole and done < len(plans):
        parts.append(evaluate(scenario, plans.take(slice(done, None))))
    if not parts:
        raise interrupt.Nothing
    return join_scores(parts)


def _seen(archive: Archive | None, legal: Legal) -> tuple[Plans, Scores, np.ndarray]:
    """What the study scored."""
    assert archive is not None
    plans, scores = archive.contents()
    return plans, scores, legal.engines[:, archive.places()]
