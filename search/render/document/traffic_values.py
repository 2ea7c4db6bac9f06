"""The values of requests at a rate: what comes, the recommended plan's percentiles and what they are made of, and what
the simulation says of it."""

from __future__ import annotations

from costmodel.evaluate import serve
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from costmodel.serving.own_hits import of_plan
from search.optimizer.outcome import Outcome
from search.optimizer.verify import Verified
from search.render.document.account import scalar
from search.render.document.view import Values

PARTS = ("until_s", "queue_s", "own_s", "seat_s", "host_s", "sent_s")


def traffic_values(outcome: Outcome) -> Values:
    """Keys ``traffic.``; none in the closed loop."""
    demand = outcome.scenario.demand
    if demand is None:
        return {}
    lengths, workload = outcome.scenario.lengths, outcome.config.workload
    values: Values = {
        "traffic.requests_per_s": demand.requests_per_s,
        "traffic.gap_cv": demand.gap_cv,
        "traffic.arrivals": workload.arrivals.kind,
        "traffic.lengths": workload.lengths.kind,
        "traffic.prompt_spread": lengths.new_spread - 1.0,
    }
    for i, verified in enumerate(outcome.verified):
        values |= {f"traffic.simulated.{i}.{k}": v for k, v in _simulated(outcome, verified).items()}
    return values


def term_values(scenario: Scenario, plan: Plans, scores: Scores) -> Values:
    """What the means of a stable plan at a rate are made of, below ``rate.``; none of others."""
    values: Values = {name: scalar(getattr(scores, name)) for name in scores.traffic}
    traffic = serve(of_plan(scenario, plan), plan).traffic
    if traffic is None:
        return values
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
    for name, value in verified.figures.items():
        values |= {
            f"{name}.simulated": value,
            f"{name}.analytic": scalar(getattr(outcome.scores, name)[[verified.row]]),
        }
    return values
