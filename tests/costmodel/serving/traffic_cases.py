"""Random plans under random traffic, served request by request: what the analytic model must agree with.

The simulation (``costmodel.serving.simulation``) shares the seconds of passes with it and nothing else. Both are given
the very same requests, so that what one run happens to draw is no difference between them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property, partial

import numpy as np

from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Demand, Scenario
from costmodel.scores import Scores
from costmodel.serving.mix import MixedLengths
from costmodel.serving.simulation.balancer import simulate
from costmodel.serving.simulation.deployment import request_seconds, scheduler_of
from costmodel.serving.simulation.replica import Replica
from costmodel.serving.simulation.requests import Requests, Served
from costmodel.serving.simulation.scheduler import Scheduler
from costmodel.serving.step_table import StepTable
from costmodel.serving.traffic import Length, arrivals

WARM = 0.2  # share of the requests that are left out at the beginning, COOL at the end
COOL = 0.05
GAPS = {"poisson": (1.0,), "constant": (0.0,), "gamma": (0.5, 2.0)}
ENGINES = {
    "any": Engine("any"),
    "vllm": Engine("vllm", output_reserved=0.0, steps_ahead=1.0, sequence_overhead_s=1e-5, request_overhead_s=0.01),
    "sglang": Engine("sglang", output_reserved=0.3, steps_ahead=1.0, prefill_first=1, sequence_overhead_s=1e-5),
    "trtllm": Engine("trtllm", steps_ahead=1.0, step_overhead_s=1e-3),
}


@dataclass(frozen=True, eq=False)
class Case:
    """``load``: share of the capacity that arrives by ``process``, gaps of coefficient of variation ``cv``."""

    scenario: Scenario
    plan: Plans
    prompt: Length
    answer: Length
    process: str
    cv: float
    load: float
    seed: int

    @property
    def seats(self) -> int:
        return int(self.plan.batch[0] * self.plan.dp[0])


@dataclass(frozen=True, eq=False)
class Found:
    """What a simulation says: ``capacity`` in requests a second, the ``rate`` of the run, statistics of its requests by
    figure, ``throughput`` in output tokens a second; ``scores`` of the same
    requests in ``scenario``."""

    plan: Plans
    capacity: float
    rate: float
    statistics: dict[str, float]
    throughput: float
    scenario: Scenario

    @cached_property
    def scores(self) -> Scores:
        return evaluate(self.scenario, self.plan)


def random_case(base: Scenario, rng: np.random.Generator) -> Case | None:
    """None where the cache would be what limits the plan."""
    engine = replace(ENGINES[rng.choice(list(ENGINES))], max_batched_tokens=int(rng.choice([2048, 8192])))
    tp, groups, dp = (int(rng.choice(options)) for options in ([2, 4, 8], [1, 1, 2], [1, 1, 2, 4]))
    batch = int(rng.choice([1, 2, 4, 8, 16, 32, 64, 128, 256]))
    plan = Plans.of(tp=tp, ep=tp * groups, dp=dp, gpus=tp * groups * dp, batch=batch)
    isl, osl = int(np.exp(rng.uniform(np.log(64), np.log(6000)))), int(np.exp(rng.uniform(np.log(16), np.log(1500))))
    kind, spread = rng.choice(["fixed", "uniform", "lognormal"]), float(rng.uniform(0.3, 1.1))
    process = str(rng.choice(["poisson", "poisson", "constant", "gamma"]))
    scenario = replace(base, engine=engine, lengths=FixedLengths(isl, osl))
    scheduler = scheduler_of(scenario, plan)
    if scheduler.cache_tokens < 2 * max(scheduler.seats, 8) * (isl + osl):
        return None
    return Case(
        scenario, plan, _length(kind, isl, spread), _length(kind, osl, spread), process,
        float(rng.choice(GAPS[process])), float(rng.uniform(0.1, 0.9)), int(rng.integers(1 << 30)),
    )  # fmt: skip


def _length(kind: str, mean: int, spread: float) -> Length:
    if kind == "fixed":
        return Length("fixed", mean)
    if kind == "uniform":
        low = max(mean // 5, 1)
        return Length("uniform", mean, low, 2 * mean - low)
    return Length("lognormal", mean, max(mean // 20, 1), 8 * mean, spread)


def serve(case: Case, most: int) -> Found:
    """Simulate a case with at most ``most`` requests a run, and score the requests of the run that counts."""
    rng = np.random.default_rng(case.seed)
    capacity = _capacity(case, most, rng)
    # As a queue comes near its capacity it takes seats / (1 - load)^2 arrivals to forget what it was.
    size = int(np.clip(300 * case.seats * case.load / (1.0 - case.load) ** 2, min(8000, most), most))
    prompts, answers = case.prompt.draw(size, rng), case.answer.draw(size, rng)
    at = arrivals(case.process, case.load * capacity, case.cv, size, rng)
    rate = (size - 1) / float(at[-1])
    served = _run(case, at, prompts, answers)
    late = slice(int(WARM * size), size - int(COOL * size))
    tpot = served.tpot_s(answers)[late]
    statistics = {}
    for name, values in (("ttft_s", served.ttft_s[late]), ("tpot_s", tpot), ("e2e_s", served.e2e_s[late])):
        statistics |= {name: float(np.nanmean(values))}
        statistics |= {f"{name}_p{p}": float(np.nanpercentile(values, p)) for p in (50, 90, 95, 99)}
    begin, end = at[late][0], at[-1]
    through = (at + served.e2e_s > begin) & (at + served.e2e_s <= end)
    scenario = replace(
        case.scenario,
        lengths=MixedLengths(
            round(prompts.mean()), round(answers.mean()), 0.0, prompts.astype(float), answers.astype(float)
        ),
        demand=Demand(rate, case.cv, headroom=False),
    )
    tokens = float(answers[through].sum() / (end - begin))
    return Found(case.plan, capacity, rate, statistics, tokens, scenario)


def _capacity(case: Case, most: int, rng: np.random.Generator) -> float:
    """Requests a second that leave while more come than can be served."""
    size = int(np.clip(6 * case.seats, 1500, most))
    prompts, answers = case.prompt.draw(size, rng), case.answer.draw(size, rng)
    done = np.sort(_run(case, np.zeros(size), prompts, answers).e2e_s)
    low, high = int(0.25 * size), int(0.7 * size)
    found = float((high - low) / (done[high] - done[low]))
    for _ in range(5):
        size, offered = int(np.clip(7 * case.seats, 2000, most)), 1.5 * found
        prompts, answers = case.prompt.draw(size, rng), case.answer.draw(size, rng)
        at = arrivals("poisson", offered, 1.0, size, rng)
        done = at + _run(case, at, prompts, answers).e2e_s
        begin, end = 0.4 * at[-1], at[-1]
        found = float(np.sum((done > begin) & (done <= end)) / (end - begin))
        if found < 0.85 * offered:
            break
    return found


def _run(case: Case, at: np.ndarray, prompts: np.ndarray, answers: np.ndarray) -> Served:
    scheduler, table = _server(case, int(np.max(prompts + answers)))
    engine = case.scenario.engine
    replicas = [
        Replica(table, scheduler, None, engine.stream_token_s / engine.stream_interval)
        for _ in range(int(case.plan.dp[0]))
    ]
    return simulate(replicas, Requests(at, prompts, answers), partial(request_seconds, engine))


@cache
def _server(case: Case, longest: int) -> tuple[Scheduler, StepTable]:
    scheduler = scheduler_of(case.scenario, case.plan)
    return scheduler, StepTable.of(case.scenario, case.plan, scheduler.seats, longest)


def errors(found: Found) -> dict[str, float]:
    """Analytic over simulated, less one, by figure."""
    scores = found.scores
    both = {name: float(getattr(scores, name)[0]) / value - 1.0 for name, value in found.statistics.items()}
    both["throughput"] = float(scores.output_tokens_per_s[0]) / found.throughput - 1.0
    both["capacity"] = float(scores.capacity_requests_per_s[0]) / found.capacity - 1.0  # type: ignore[index]
    return both
