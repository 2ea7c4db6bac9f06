"""Split plans beside the aggregated ones of a search, and the verdict between them."""

from __future__ import annotations

from dataclasses import replace

from costmodel.columns import column
from search.evidence.measured.intervals import coverage_of
from search.optimizer.decode_context import Dealt
from search.optimizer.outcome import Outcome
from search.optimizer.speculation.search import Option
from search.optimizer.split.asked import Asked
from search.optimizer.split.at_rate import searched as search_split
from search.optimizer.split.own import stated
from search.optimizer.split.search import SplitFound
from search.optimizer.split.simulated import with_simulated
from search.optimizer.split.verdict import Verdict, verdict_of, with_rates, with_turns


def with_split(outcome: Outcome, asked: Asked) -> Outcome:
    """Split plans beside the aggregated ones, and the verdict between the best of each: like with like, without drafts
    and, where they were asked for, with them."""
    o = outcome
    plain = replace(asked, drafters=(), ranks=())
    found = search_split(o.scenario, o.space, plain, o.objectives, o.policy)
    row = o.choice.recommended if o.choice is not None else None
    verdict = verdict_of(o.policy, o.plans, o.scores, o.coverage, row, found)
    if verdict is not None:
        told = (o.scenario, o.space, plain, o.objectives, o.policy, o.plans, o.front)
        verdict = with_turns(verdict, *told)
        if o.scenario.demand is not None:
            verdict = with_rates(verdict, *told)
    more = bool(asked.drafters or asked.ranks)
    if more:
        found = search_split(o.scenario, o.space, asked, o.objectives, o.policy)
    found = with_simulated(found, o.config)
    assumed = (*o.assumptions, *stated(o.config, asked.pools(o.scenario)))
    return replace(o, split=found, verdict=verdict, drafted=_drafted(o, found) if more else None, assumptions=assumed)


def _drafted(o: Outcome, found: SplitFound) -> Verdict | None:
    """The verdict where both sides may draft, or deal the cache of decodes: the aggregated side's best option, or its
    best without."""
    sign = 1.0 if o.policy.first[1] == "max" else -1.0
    options: list[Option | Dealt] = [*(o.speculation.options if o.speculation is not None else ()), *o.dealt]
    able = [x for x in options if x.plan is not None and x.scores is not None]
    best = max(able, key=lambda x: sign * x.value, default=None)
    row = o.choice.recommended if o.choice is not None else None
    without = None if row is None else float(column(o.policy.first[0], o.plans, o.scores)[row])
    pays = best is not None and (without is None or sign * best.value > sign * without)
    if pays and best is not None and best.plan is not None and best.scores is not None:
        known = coverage_of(o.scenario, best.plan, best.scores)
        return verdict_of(o.policy, best.plan, best.scores, known, 0, found)
    return verdict_of(o.policy, o.plans, o.scores, o.coverage, row, found)
