"""Judge what a plan claims of itself against what follows from the inputs.

A claim **holds** inside the span of the derived figure (``search/render/document/spans.py``: an 80 % interval for what
is predicted, a tolerance for what is counted). A promise that asks for less than the span **holds, with room**; one
that asks for more fails, even inside the span where it beats the physical limit. A claim that fails as it stands may
hold **only under another reading**. Claims that hold one by one and not together **contradict** each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from costmodel.scenario import Scenario
from search.optimizer.baselines import Baseline
from search.render.document.case import Case, Meaning
from search.render.document.formats import figure
from search.render.document.readings import is_burst, others, primary
from search.render.document.relations import claimed_speed, needed_bandwidth, relations
from search.render.document.spans import FAILS, HIGHER, HOLDS, LOWER, ROOM, beats, physical_limit, standing
from search.render.document.verdict import CONTRADICTS, GOOD, OTHERWISE, Verdict

__all__ = ["CONTRADICTS", "FAILS", "GOOD", "HIGHER", "HOLDS", "LOWER", "OTHERWISE", "ROOM", "Verdict", "judge"]


def judge(baseline: Baseline, scenario: Scenario) -> list[Verdict]:
    """Every claim of a baseline, then what its claims say of each other and of its layout."""
    case = Case(scenario, baseline.plan, baseline.scores)
    claims = baseline.claims
    verdicts = [_judge(case, name, claimed, claims) for name, claimed in claims.items()]
    tied = list(relations(case, claims))
    return _with_contradictions(verdicts, tied) + tied


def _with_contradictions(verdicts: list[Verdict], tied: list[Verdict]) -> list[Verdict]:
    """Claims of a relation that does not hold, though each of them holds by itself, contradict each other. Where one of
    them fails already, it is the one that is wrong."""
    found = {v.claim: v for v in verdicts}
    for relation in tied:
        involved = [name for name in relation.concerns if name in found]
        if relation.good or not all(found[name].verdict in (*GOOD, CONTRADICTS) for name in involved):
            continue
        for name in involved:
            text = f"{found[name].arithmetic}; but {relation.arithmetic}"
            found[name] = replace(found[name], verdict=CONTRADICTS, arithmetic=text)
    return list(found.values())


def _judge(case: Case, name: str, claimed: float, claims: dict[str, float]) -> Verdict:
    meanings = [primary(case, name, set(claims)), *others(case, name)]
    if name == "decode_bandwidth_utilization":
        at_speed = list(_at_claimed_speed(case, claims))
        if at_speed:
            meanings[0] = replace(meanings[0], name="at the throughput that the model derives")
        meanings = at_speed + meanings
    first, limit = meanings[0], physical_limit(_bounded(case, name, claims), case.scores)
    impossible = beats(name, claimed, limit)
    text = first.arithmetic
    if impossible and limit is not None:
        text += f"; impossible: the physical limit is {figure(name, limit)}"
    low, high = case.span(name, first)
    verdict = Verdict(name, claimed, first.value, FAILS, first.name, text, name, low, high, impossible=impossible)
    found = standing(name, claimed, low, high)
    if found != FAILS and not impossible:
        return replace(verdict, verdict=found)
    for other in meanings[1:]:
        if standing(name, claimed, *case.span(name, other)) != FAILS:
            text = f"{text}; but {other.arithmetic}"
            return replace(verdict, verdict=OTHERWISE, reading=other.name, arithmetic=text, otherwise=other.value)
    tried = "".join(f"; {m.name}: {figure(name, m.value)}" for m in meanings[1:])
    return replace(verdict, arithmetic=text + tried)


def _bounded(case: Case, name: str, claims: dict[str, float]) -> str:
    """The figure whose physical limit bounds a claim: a lone ``ttft_s`` may be the burst's."""
    return "burst_ttft_s" if name == "ttft_s" and is_burst(case, set(claims)) else name


def _at_claimed_speed(case: Case, claims: dict[str, float]) -> Iterator[Meaning]:
    """A share of the bandwidth that is claimed together with a throughput which does not hold belongs to that
    throughput."""
    which, speed = claimed_speed(case, claims)
    if not speed:
        return
    low, high = case.span(which, Meaning("", case.score(which), ""))
    if standing(which, claims[which], low, high) == FAILS:
        share, text = needed_bandwidth(case, speed)
        yield Meaning("at the throughput that is claimed with it", share, text, exact=True)
