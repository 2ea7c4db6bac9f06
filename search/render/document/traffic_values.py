"""The values of requests at a rate: what comes, the recommended plan's percentiles and what they are made of, and what
the simulation says of it."""

from __future__ import annotations

import numpy as np

from costmodel.evaluate import serve
from costmodel.memory import Memory
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from costmodel.serving.mix import Mix
from costmodel.serving.own_hits import curves, of_plan
from costmodel.serving.rate.overflow import overflow_risk
from search.optimizer.outcome import Outcome
from search.optimizer.verify import Verified
from search.render.document.account import scalar
from search.render.document.split_words import plan_in_words
from search.render.document.view import Values

HALVINGS = 11  # of the rate at which as many are in flight as a plan states
PARTS = ("until_s", "queue_s", "own_s", "seat_s", "host_s", "sent_s")


def traffic_values(outcome: Outcome) -> Values:
    """Keys ``traffic.``; in the closed loop only those of plans that were simulated."""
    demand = outcome.scenario.demand
    simulated: Values = {}
    for i, verified in enumerate(outcome.verified):
        simulated |= {f"traffic.simulated.{i}.{k}": v for k, v in _simulated(outcome, verified).items()}
    if demand is None:
        return simulated
    lengths, workload = outcome.scenario.lengths, outcome.config.workload
    values: Values = {
        "traffic.requests_per_s": demand.requests_per_s,
        "traffic.gap_cv": demand.gap_cv,
        "traffic.arrivals": workload.arrivals.kind,
        "traffic.lengths": workload.lengths.kind,
        "traffic.prompt_spread": lengths.new_spread - 1.0,
    }
    return values | simulated | crossing_values(outcome)


def crossing_values(outcome: Outcome) -> Values:
    """Keys ``regime.crossing.``: which plan wins up to which rate at the run's own limits, and which limit that is."""
    found = outcome.regimes
    if found is None or found.own is None:
        return {}
    values: Values = {"regime.figure": found.figure, "regime.own": found.own}
    for i, crossing in enumerate(found.crossings):
        values[f"regime.crossing.{i}.rate"] = crossing.rate
        values |= {f"regime.crossing.{i}.{k}": v for k, v in winner_values(outcome, crossing.winner).items()}
    return values


def winner_values(outcome: Outcome, winner: int) -> Values:
    """A winner of the map: the axes of a plan, or the accelerators of a ``split`` one and its words."""
    apart = winner - len(outcome.plans)
    if apart < 0 or outcome.regimes is None:
        return dict(outcome.plans.row(winner))
    plan = outcome.regimes.rivals[apart]
    return {"gpus": int(plan.figures.gpus[0]), "split": plan_in_words(plan)}


def term_values(scenario: Scenario, plan: Plans, scores: Scores) -> Values:
    """What the means of a stable plan at a rate are made of, below ``rate.``; none of others."""
    values: Values = {name: scalar(getattr(scores, name)) for name in scores.traffic}
    served = serve(of_plan(scenario, plan), plan)
    traffic = served.traffic
    if traffic is None:
        return values
    values |= _full_values(scenario, plan, served.held)
    values["rate.unstable"] = "yes" if traffic.unstable[0] else "no"
    values["rate.seats"] = scalar(traffic.server.seats)
    if not traffic.unstable[0]:
        found, steps = traffic.latencies, traffic.steps
        values |= {f"rate.{part}": scalar(getattr(found, part)) for part in PARTS}
        values |= {
            "rate.decodes": scalar(steps.decodes),
            "rate.plain_s": scalar(steps.plain_s),
            "rate.pass_s": scalar(steps.mean_s),
            "rate.prefilling": scalar(steps.prefilling),
            "rate.stay_s": scalar(found.stay_s),
        }
    return values


def _full_values(scenario: Scenario, plan: Plans, held: Memory) -> Values:
    """With as many in flight as the plan states: the chance that their real lengths outgrow the memory, the rate at
    which as many are there in the mean (Little's law) and what is promised then."""
    assert scenario.demand is not None
    mix, reserved = Mix.of(scenario.lengths), scenario.engine.output_reserved >= 1.0
    seats, stated = np.ceil(plan.batch / plan.attn_dp).astype(float), float(plan.dp[0] * plan.batch[0])
    chance = overflow_risk(mix, seats, 1.0, seats, held.kv_capacity_tokens, reserved=reserved)
    ((_, curve),) = curves(scenario, plan)
    low, high = 0.0, float(curve.found.capacity[0])
    values: Values = {"rate.full_overflow": scalar(chance), "rate.full_requests": stated}
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        figures = curve.at(middle, [0]).figures
        if middle * scalar(figures["e2e_s"]) <= stated:
            low = middle
            values |= {f"rate.full_{name}": scalar(figures[name]) for name in ("ttft_s_p99", "tpot_s_p99")}
        else:
            high = middle
    values["rate.full_requests_per_s"] = low
    return values


def _simulated(outcome: Outcome, verified: Verified) -> Values:
    recommended = outcome.choice is not None and outcome.choice.recommended == verified.row
    plan = ", ".join(f"{axis} {degree}" for axis, degree in outcome.plans.row(verified.row).items())
    values: Values = {
        "plan": plan,
        "recommended": "yes" if recommended else "no",
        "kept": "kept" if verified.kept else f"missed by {verified.missed:.1%}",
        "seeds": verified.seeds,
        "requests": verified.requests,
        "preemptions": verified.preemptions,
    }
    values |= {f"{name}.simulated": value for name, value in verified.figures.items()}
    return values | {f"{name}.analytic": value for name, value in verified.analytic(outcome.scores).items()}
