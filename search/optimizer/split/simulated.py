"""The best split plan at a rate, request by request: what its percentiles promise is tried."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from costmodel.drafts.drafting import with_drafter
from costmodel.serving.split.simulated import Deployment, simulate
from search.inputs.schema import Config
from search.inputs.traffic import read_traffic
from search.optimizer.split.search import SplitFound, SplitPlans
from search.optimizer.verify import MOST, statistics


def deployment_of(best: SplitPlans) -> Deployment:
    """The first of the plans."""
    p, d = best.p[:1], best.d[:1]
    prefilling, decoding = best.pools
    budget = int(best.prefill.budget[p[0]])
    passes = replace(prefilling, engine=replace(prefilling.engine, max_batched_tokens=budget))
    link = best.asked.link(best.scenario, int(best.figures.gpus[0]))
    return Deployment(
        passes, link, best.prefill.plans.take(p), int(best.x[0]), best.decode.plans.take(d), int(best.y[0]),
        replace(with_drafter(decoding, best.drafter), decode_ranks=int(best.decode.ranks[d[0]])),
    )  # fmt: skip


def with_simulated(found: SplitFound, config: Config) -> SplitFound:
    """The same with what the best plan comes to over several seeds; as it is in the closed loop or without a plan.
    Requests at both ends are left out, as many as are in flight."""
    best = found.best
    if best is None or not best.served or config.verify.top == 0:
        return found
    deployment = deployment_of(best)
    traffic = read_traffic(config.workload)
    around = int(np.ceil(best.served["requests_in_flight"][0]))
    parts: list[list[np.ndarray]] = [[], [], []]
    for seed in range(config.verify.seeds):
        sent = traffic.requests(min(config.verify.requests + 2 * around, MOST * config.verify.requests), seed)
        new = np.maximum(np.round(sent.prompt_tokens * (1.0 - best.scenario.lengths.prefix_hit)), 1).astype(np.int64)
        first = min(around, len(sent) // 3)
        late = slice(first, max(len(sent) - around, first + 1))
        served = simulate(deployment, sent.arrival_s, new, sent.answer_tokens, sent.prompt_tokens)
        for part, values in zip(parts, (served.ttft_s, served.tpot_s, served.e2e_s), strict=True):
            part.append(values[late])
    told: dict[str, float] = {}
    for name, part in zip(("ttft_s", "tpot_s", "e2e_s"), parts, strict=True):
        told |= statistics(name, np.concatenate(part))
    return replace(found, simulated=told)
