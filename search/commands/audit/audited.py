"""One plan against the model: its layout, what follows from it, and a verdict on each claim."""

from __future__ import annotations

from dataclasses import dataclass, replace

from costmodel.engine import ENGINES
from costmodel.evaluate import evaluate
from costmodel.memory.device import usable_bytes
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from search.base.errors import InputError
from search.commands.audit.command import Command
from search.commands.audit.settings import Launched
from search.inputs.config import read_model, read_scenario
from search.inputs.costs import check_costs
from search.inputs.fallbacks import fallbacks
from search.inputs.schema import Config, PlanConfig
from search.optimizer.baselines import Baseline
from search.optimizer.legal import why_not
from search.optimizer.rules.facts import facts_of
from search.optimizer.rules.registry import engine_rules, general_rules
from search.optimizer.rules.rule import Rule
from search.render.document.claims import judge
from search.render.document.verdict import Verdict


@dataclass(frozen=True)
class Audit:
    """``broken``: the rule by which the layout does not exist; then there is no ``scored`` plan. ``refusals`` the first
    rule of each engine that refuses it. ``verdicts`` on the claims, ``relations`` between them; ``findings`` why it
    does not run; ``notes`` on how it was read; ``command`` and ``launched`` where it was a command."""

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
    command: Command | None = None
    launched: Launched | None = None

    @property
    def bad(self) -> list[Verdict]:
        """Claims that do not hold and relations that contradict."""
        return [v for v in (*self.verdicts, *self.relations) if not v.good]

    @property
    def passed(self) -> bool:
        """Whether every claim holds, nothing contradicts and the plan runs."""
        return not self.bad and not self.findings and self.broken is None


def audit_plan(config: Config, plan: PlanConfig, notes: tuple[str, ...] = ()) -> Audit:
    """A plan as ``plan.yaml`` and ``baselines`` have it."""
    model = read_model(config.model)
    scenario = read_scenario(config, model.architecture)
    check_costs("claims", plan.claims, scenario.accelerator)
    assumptions = (*model.assumptions, *config.assumptions, *fallbacks(scenario))
    plans = Plans.of(**plan.layout, batch=plan.batch)
    refused = why_not(plans, facts_of(scenario))[0]
    broken = _rule(refused["layout"], general_rules())
    if broken is not None:
        return Audit(plan.name, config, scenario, assumptions, plans, broken, {}, None, (), (), (), notes)
    refusals = {e: rule for e in ENGINES if (rule := _rule(refused[e], engine_rules(e))) is not None}
    scored = Baseline(plan.name, plans, evaluate(scenario, plans), dict(plan.claims), {e: refused[e] for e in ENGINES})
    found = judge(scored, scenario)
    return Audit(
        plan.name, config, scenario, assumptions, plans, None, refusals, scored,
        tuple(v for v in found if not v.is_relation), tuple(v for v in found if v.is_relation),
        tuple(_findings(config, scenario, scored, refusals)), notes,
    )  # fmt: skip


def audit_command(
    command: Command, found: Launched, claims: dict[str, float], batch: int | None, notes: tuple[str, ...]
) -> Audit:
    """A launch command. Without ``batch`` it runs as many sequences as it admits, in whole ones a replica."""
    config, wanted = found.config, batch or found.batch
    plan = PlanConfig(name=f"{command.engine} {command.model}", layout=found.layout, batch=wanted, claims=claims)
    audit = audit_plan(_with_static_share(config, found, plan), plan)
    if audit.scored is not None and batch is None:
        admitted = max(int(audit.scored.scores.admitted_batch[0]), 1)
        if admitted < wanted:
            notes = (
                *notes,
                f"batch {admitted}: the cache admits so many of the {wanted} sequences that a replica may run"
                + (", of all ages; memory counts each at its full length" if _ages(audit.scenario) else ""),
            )
            plan = replace(plan, batch=admitted)
            audit = audit_plan(_with_static_share(config, found, plan), plan)
    return replace(
        audit, findings=(*found.findings, *audit.findings), notes=(*command.notes, *notes), command=command,
        launched=found,
    )  # fmt: skip


def _with_static_share(config: Config, found: Launched, plan: PlanConfig) -> Config:
    """SGLang's ``--mem-fraction-static`` is the share of weights and cache: activations and reserve come on top."""
    if found.static is None:
        return config
    first = audit_plan(config, plan)
    if first.scored is None:
        return config
    scores = first.scored.scores
    beside = float(scores.activation_bytes_per_gpu[0] + scores.reserve_bytes_per_gpu[0])
    share = min(found.static + beside / usable_bytes(first.scenario.accelerator), 1.0)
    return replace(config, limits=replace(config.limits, memory_fraction=share))


def _ages(scenario: Scenario) -> bool:
    """Whether the engine admits sequences before it has room for their whole answers."""
    return scenario.engine.output_reserved < 1.0


def _findings(config: Config, scenario: Scenario, scored: Baseline, refusals: dict[str, Rule]) -> list[str]:
    """Why the plan does not run at all."""
    found = []
    wanted = ENGINES if config.engine.name == "any" else (config.engine.name,)
    if all(engine in refusals for engine in wanted):
        rules = " + ".join(dict.fromkeys(f"{refusals[e].name} ({refusals[e].text})" for e in wanted))
        found.append(f"{'no engine takes' if len(wanted) > 1 else f'{wanted[0]} refuses'} the layout: {rules}")
    if float(scored.scores.kv_capacity_tokens[0]) < scenario.lengths.total:
        found.append(
            f"the cache has room for {float(scored.scores.kv_capacity_tokens[0]):,.0f} tokens, less than one request "
            f"of {scenario.lengths.total:,}"
        )
    return found


def _rule(name: str | None, rules: list[Rule]) -> Rule | None:
    """A rule by name."""
    if name is None:
        return None
    found = next((rule for rule in rules if rule.name == name), None)
    if found is None:
        raise InputError(f"rule {name!r} is not known")
    return found
