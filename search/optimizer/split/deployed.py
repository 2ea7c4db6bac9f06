"""A split plan of a run as a deployment that can be sent requests, and what it carries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from costmodel.drafts.drafter import Drafter
from costmodel.lengths import FixedLengths
from costmodel.memory import memory
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.split.at_rate import Pair
from costmodel.serving.split.journey import cargo
from costmodel.serving.split.rate import DecodeRate, PrefillRate
from costmodel.serving.split.simulated import Deployment
from costmodel.stages import Stages
from search.base.errors import InputError
from search.inputs.schema import Config
from search.inputs.split_rows import SplitRow
from search.optimizer.refused import refused
from search.optimizer.rules.facts import facts_of
from search.optimizer.space import Space
from search.optimizer.speculation.asked import acceptance_of
from search.optimizer.split.asked import asked_of
from search.optimizer.split.pools import variants
from search.optimizer.split.transfer import pairing, receives


def deployment_of_row(config: Config, scenario: Scenario, lengths: FixedLengths, row: SplitRow) -> Deployment:
    """For requests of such ``lengths``; of the decode instances' seats those that fit then. ``InputError`` where an
    instance cannot exist in the run's own ``scenario``, or nothing fits."""
    asked = asked_of(config, Space.from_config(vars(config.space)))
    if asked is None:
        raise InputError("--plan: the run searched no split plans; search with space.serving=[aggregated,split]")
    prefilling, own = asked.pools(scenario)
    _legal(prefilling, "prefill", row.prefill)
    _legal(own, "decode", row.decode)
    engine = scenario.engine.name
    drafters: tuple[Drafter, ...] = ()
    if row.drafts:
        given = getattr(config.space.draft, row.drafter)
        drafters = (Drafter(row.drafter, acceptance_of(row.drafter, given, row.drafts)),)  # type: ignore[arg-type]
    degrees = (row.ranks,) if row.ranks > 1 else ()
    alone = replace(asked, drafters=drafters, ranks=degrees)
    decoding = next(
        (there for place, ranks, there, able in variants(own, row.decode, alone)
         if (place > 0, ranks) == (row.drafts > 0, row.ranks) and len(able)), None,
    )  # fmt: skip
    if decoding is None:
        raise InputError(f"--plan: {engine} does not let its decode instances draft or deal caches so")
    which = np.array([len(drafters)])
    match = pairing(scenario, drafters, row.prefill, row.decode, which, np.array([row.ranks]))
    if not (match.together.all() and receives(engine, row.decode)[0]):
        raise InputError(f"--plan: {engine} moves no cache from such instances that prefill to such that decode")
    passes = replace(prefilling, lengths=lengths, engine=replace(prefilling.engine, max_batched_tokens=row.budget))
    decoding = replace(decoding, lengths=lengths)
    decode = _seated(decoding, row.decode)
    gpus = row.x * int(row.prefill.gpus[0]) + row.y * int(row.decode.gpus[0])
    return Deployment(passes, asked.link(scenario, gpus), row.prefill, row.x, decode, row.y, decoding)


def _legal(scenario: Scenario, pool: str, plan: Plans) -> None:
    broken = refused(plan, facts_of(scenario))[0].by(scenario.engine.name)
    if broken:
        raise InputError(f"--plan: rule {broken[0].name} keeps its instances that {pool} out")


def _seated(scenario: Scenario, plan: Plans) -> Plans:
    """An instance with as many of its sequences as the cache holds."""
    each = np.ceil(plan.batch / plan.attn_dp)
    held = memory(scenario, scenario.layout(plan), Stages.of(scenario.model, plan.pp), each)
    seats = min(int(plan.batch[0]), int(held.seats[0]) * int(plan.attn_dp[0]))
    if seats < 1:
        raise InputError("workload: not one sequence fits in the cache of an instance that decodes")
    return Plans.of(**(plan.row(0) | {"batch": seats}))


def capacity_per_s(d: Deployment) -> float:
    """Requests a second at which a pool or the link is full."""
    pair = Pair(
        d.scenario, d.link, PrefillRate.of(d.scenario, d.prefill), np.array([float(d.x)]),
        cargo(d.scenario, d.prefill), d.prefill.attn_dp.astype(float), DecodeRate.of_plans(d.decoding, d.decode),
        np.array([float(d.y)]), cargo(d.decoding, d.decode),
    )  # fmt: skip
    return float(pair.capacity_per_s[0])
