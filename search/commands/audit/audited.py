"""One plan against the model: its layout, what follows from it, and a verdict on each claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from costmodel.drafts.drafting import with_drafter
from costmodel.evaluate import evaluate
from costmodel.memory.device import usable_bytes
from costmodel.memory.start import Start as Memory
from costmodel.memory.start import starting
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.commands.audit.command import Command
from search.commands.audit.judged import NOT_JUDGED, Measured, judged, measured
from search.commands.audit.pools import NOTHING, Said, of_pool
from search.commands.audit.reader import Launched
from search.commands.audit.starting import capacity_tokens, of_command, room_bytes, server_of
from search.inputs.config import read_model, read_scenario
from search.inputs.costs import check_costs
from search.inputs.fallbacks import fallbacks
from search.inputs.own_engine import for_plan
from search.inputs.schema import Config, PlanConfig
from search.optimizer.baselines import Baseline
from search.optimizer.refused import refused
from search.optimizer.rules.facts import facts_of
from search.optimizer.rules.registry import engines_of
from search.optimizer.rules.rule import Rule
from search.optimizer.starting import Starting, is_start_rule, of_layout, of_plan
from search.render.document.case import Case
from search.render.document.claims import HIGHER, LOWER, judge
from search.render.document.verdict import Verdict


@dataclass(frozen=True)
class Audit:
    """``broken``: the rule by which the layout does not exist; then there is no ``scored`` plan. ``refusals`` the first
    rule of each engine that refuses it. ``verdicts`` on the claims, ``relations`` between them; ``findings`` why it
    does not run; ``notes`` on how it was read; ``command`` and ``launched`` where it was a command; ``pool``: what a
    server of a split plan comes to."""

    name: str
    config: Config
    scenario: Scenario
    assumptions: tuple[str, ...]
    plan: Plans
    broken: Rule | None
    refusals: dict[str, Rule]
    scored: Baseline | None
    verdicts: tuple[Verdict, ...]
    relations: tuple[Verdict, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    starting: Starting
    command: Command | None = None
    launched: Launched | None = None
    measured: tuple[Measured, ...] = ()
    pool: Said = NOTHING

    @property
    def bad(self) -> list[Verdict]:
        """Claims that do not hold and relations that contradict."""
        return [v for v in (*self.verdicts, *self.relations) if not v.good and v.verdict != NOT_JUDGED]

    @property
    def passed(self) -> bool:
        """Whether every claim holds, nothing measured is far off, nothing contradicts and the plan starts and runs."""
        off = [m for m in self.measured if m.flagged]
        return not (self.bad or off or self.findings or self.broken is not None or self.starting.known_not_to)


def audit_plan(
    config: Config,
    plan: PlanConfig,
    notes: tuple[str, ...] = (),
    adjust: Callable[[Scores], Scores] = lambda s: s,
    served: Callable[[Scenario], Scenario] = lambda s: s,
) -> Audit:
    """A plan as ``plan.yaml`` and ``baselines`` have it. ``adjust`` changes scores and ``served`` the scenario where a
    command says more than a plan can."""
    config = for_plan(config, plan.engine)
    model = read_model(config.model)
    scenario = served(read_scenario(config, model.architecture))
    check_costs("claims", plan.claims, scenario.accelerator)
    assumptions = (*model.assumptions, *config.assumptions, *fallbacks(scenario))
    plans = Plans.of(**plan.layout, batch=plan.batch)
    found = refused(plans, facts_of(scenario))[0]
    broken = found.layout
    if broken is not None:
        never = of_layout(broken, broken.comes_out(plans, facts_of(scenario)))
        return Audit(plan.name, config, scenario, assumptions, plans, broken, {}, None, (), (), (), notes, never)
    refusals = {e: rule for e, rule in found.engines.items() if rule is not None}
    scores = adjust(evaluate(scenario, plans))
    names = {e: None if rule is None else rule.name for e, rule in found.engines.items()}
    scored = Baseline(plan.name, plans, scores, dict(plan.claims), names)
    verdicts = judge(scored, scenario)
    return Audit(
        plan.name, config, scenario, assumptions, plans, None, refusals, scored,
        tuple(v for v in verdicts if not v.is_relation), tuple(v for v in verdicts if v.is_relation),
        tuple(_findings(config, scenario, scored, refusals)), notes, of_plan(plans, scenario, refusals),
    )  # fmt: skip


def audit_command(
    command: Command, found: Launched, claims: dict[str, float], batch: int | None, notes: tuple[str, ...]
) -> Audit:
    """A launch command. Without ``batch`` it runs as many sequences as it admits, in whole ones a replica."""
    wanted = batch or found.batch
    plan = PlanConfig(name=f"{command.engine} {command.model}", layout=found.layout, batch=wanted, claims=claims)
    audit, memory = _as_told(found, plan)
    if audit.scored is not None and batch is None:
        admitted = max(int(audit.scored.scores.admitted_batch[0]), 1)
        if admitted < wanted:
            notes = (
                *notes,
                f"batch {admitted}: the cache admits so many of the {wanted} sequences that a replica may run"
                + (", of all ages; memory counts each at its full length" if _ages(audit.scenario) else ""),
            )
            plan = replace(plan, batch=admitted)
            audit, memory = _as_told(found, plan)
    engine = command.engine
    refusals = {e: r for e, r in audit.refusals.items() if e != engine or not is_start_rule(r)}
    start = audit.starting
    findings = [*found.findings]
    if audit.scored is not None:
        findings += _findings(audit.config, audit.scenario, audit.scored, refusals)
        if engine in refusals:
            start = of_layout(refusals[engine], refusals[engine].comes_out(audit.plan, facts_of(audit.scenario)))
        elif memory is not None:
            start = of_command(found, engine, audit.scenario, memory, room_bytes(found, audit.scenario, audit.plan))
    verdicts, relations = judged(audit.verdicts, audit.relations, found.open_figures)
    told = audit.scored is not None and found.pool is not None
    pool = of_pool(audit.scenario, audit.plan, str(found.pool)) if told else NOTHING
    verdicts = tuple(pool.verdict(v) for v in verdicts)
    return replace(
        audit, refusals=refusals, verdicts=verdicts, relations=relations, findings=tuple(findings), starting=start,
        notes=(*command.notes, *notes), command=command, launched=found, pool=pool,
    )  # fmt: skip


def with_measured(audit: Audit, given: dict[str, float]) -> Audit:
    """The same with figures that somebody measured."""
    if audit.scored is None or not given:
        return audit
    case = Case(audit.scenario, audit.plan, audit.scored.scores)
    open_figures = audit.launched.open_figures if audit.launched else {}
    found = measured(given, case, LOWER, HIGHER, open_figures)
    return replace(audit, measured=tuple(audit.pool.measured(m) for m in found))


def _as_told(found: Launched, plan: PlanConfig) -> tuple[Audit, Memory | None]:
    """The plan with the memory that the command's server has: whatever the command's share is of, what is left for the
    cache is what a share of everything would leave."""
    config = found.config
    first = audit_plan(config, plan, served=_served(found))
    if first.scored is None:
        return first, None
    scores, usable = first.scored.scores, usable_bytes(first.scenario.accelerator)
    memory = starting(first.scenario, first.plan, server_of(found, first.scenario))
    told = found.told
    as_given = told.memory_of == "all" and told.cache_bytes is None and told.cache_blocks is None
    if as_given and not told.host_bytes:
        return _with_capacity(config, plan, found, memory), memory
    held = scores.weights_bytes_per_gpu + scores.activation_bytes_per_gpu + scores.reserve_bytes_per_gpu
    share = float(held[0] + memory.available_kv_bytes[0]) / usable
    config = replace(config, limits=replace(config.limits, memory_fraction=min(max(share, 1e-3), 1.0)))
    return _with_capacity(config, plan, found, memory), memory


def _with_capacity(config: Config, plan: PlanConfig, found: Launched, memory: Memory) -> Audit:
    """The plan with the tokens that the server logs: by the command's longest sequence, not the workload's."""

    def adjust(scored: Scores) -> Scores:
        low, tokens, high = (
            np.full_like(scored.kv_capacity_tokens, capacity_tokens(found, one))
            for one in (memory.tokens_low, memory.kv_tokens, memory.tokens_high)
        )
        return replace(scored, kv_capacity_tokens=tokens, kv_capacity_tokens_low=low, kv_capacity_tokens_high=high)

    return audit_plan(config, plan, adjust=adjust, served=_served(found))


def _served(found: Launched) -> Callable[[Scenario], Scenario]:
    """The scenario with the drafter and the decode context parallelism of a command."""

    def served(scenario: Scenario) -> Scenario:
        return replace(with_drafter(scenario, found.drafter), decode_ranks=found.decode_ranks)

    return served


def _ages(scenario: Scenario) -> bool:
    """Whether the engine admits sequences before it has room for their whole answers."""
    return scenario.engine.output_reserved < 1.0


def _findings(config: Config, scenario: Scenario, scored: Baseline, refusals: dict[str, Rule]) -> list[str]:
    """Why the plan does not run at all."""
    found = []
    wanted = engines_of(config.engine.name)
    if all(engine in refusals for engine in wanted):
        rules = " + ".join(dict.fromkeys(f"{refusals[e].name} ({refusals[e].text})" for e in wanted))
        found.append(f"{'no engine takes' if len(wanted) > 1 else f'{wanted[0]} refuses'} the layout: {rules}")
    if float(scored.scores.kv_capacity_tokens[0]) < scenario.lengths.total:
        found.append(
            f"the cache has room for {float(scored.scores.kv_capacity_tokens[0]):,.0f} tokens, less than one request "
            f"of {scenario.lengths.total:,}"
        )
    return found
