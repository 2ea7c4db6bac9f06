"""A plan as replicas that can be sent requests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from costmodel.engine import Engine
from costmodel.memory import memory
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.simulation.balancer import Policy, Watch, simulate
from costmodel.serving.simulation.pipeline import Pipeline
from costmodel.serving.simulation.replica import Replica
from costmodel.serving.simulation.requests import Requests, Served
from costmodel.serving.simulation.scheduler import NEVER, Scheduler
from costmodel.serving.step_table import StepTable, slowest_stages
from costmodel.stages import Stages

# Engines that give waiting prompts a pass of their own (sglang/srt/server_args.py enable_mixed_chunk, off by default).
PROMPTS_APART = ("sglang",)
# What a request and a token of its prompt cost the host, as shares of the closed form's constants
# (``Engine.request_s``): 4.3 ms and 3.0 us. The closed form's 10 ms are no measurement of the host: whatever the fit is
# told of a request, closed-loop runs with few in flight leave as much for it, simulated request by request, since what
# passes with prompts cost takes up the rest (``scripts/host_of_requests.py``: 9.6 ms where it holds 10, 4.3 ms and
# 3.0 us a token where it holds 5). One request at a time tells: NVIDIA NIM 1.8 publishes 10.3 ms for 200 tokens of 8B
# on one H100 and 31.2 for 70B on two, of which the passes take 6.1 and 25.9. Of the other engines, whose prompts are
# held back and balanced, nothing is known.
HOST_SHARES = {"vllm": (0.42, 0.58)}


def scheduler_of(scenario: Scenario, plan: Plans) -> Scheduler:
    """How the plan's engine schedules: ``batch`` sequences of a replica shared among its attention groups, and among
    the micro-batches that a pipeline's stages work on; the cache that is left beside the weights."""
    engine = scenario.engine
    seats = math.ceil(int(plan.batch[0]) / int(plan.attn_dp[0]))
    micro = min(int(plan.pp[0]), seats)
    held = memory(scenario, scenario.layout(plan), Stages.of(scenario.model, plan.pp), np.array([float(seats)]))
    return Scheduler(
        seats=math.ceil(seats / micro),
        cache_tokens=int(held.kv_capacity_tokens[0]),
        budget=engine.max_batched_tokens,
        block_tokens=engine.block_tokens,
        mixed=engine.name not in PROMPTS_APART,
        reserves=engine.output_reserved >= 1.0,
        steps_ahead=round(engine.steps_ahead),
        longest=scenario.model.max_position or NEVER,
    )


def request_seconds(engine: Engine, prompt_tokens: float) -> float:
    """Seconds of host's work before a request is scheduled."""
    request, token = HOST_SHARES.get(engine.name, (1.0, 1.0))
    return request * engine.request_overhead_s + token * engine.prompt_token_s * prompt_tokens


@dataclass(frozen=True)
class Deployment:
    """A plan with its scheduler and the seconds of its passes, from which each run makes its own replicas; ``stages``
    of those stages of a pipeline that may be the slowest."""

    plan: Plans
    engine: Engine
    scheduler: Scheduler
    table: StepTable
    stages: tuple[StepTable, ...]

    @classmethod
    def of(cls, scenario: Scenario, plan: Plans, longest: int) -> Deployment:
        """For requests of at most ``longest`` tokens, prompt and answer."""
        scheduler = scheduler_of(scenario, plan)
        slowest = slowest_stages(scenario, plan) if int(plan.pp[0]) > 1 else ()
        stages = tuple(StepTable.of(scenario, plan, scheduler.seats, longest, stage) for stage in slowest)
        return cls(plan, scenario.engine, scheduler, StepTable.of(scenario, plan, scheduler.seats, longest), stages)

    def replicas(self, prefix_tokens: int | None) -> list[Replica]:
        """Idle ones; ``prefix_tokens`` of a block that prompts may share."""
        stream_s = self.engine.stream_token_s / self.engine.stream_interval
        if not self.stages:
            return [Replica(self.table, self.scheduler, prefix_tokens, stream_s) for _ in range(int(self.plan.dp[0]))]
        micro = min(int(self.plan.pp[0]), math.ceil(int(self.plan.batch[0]) / int(self.plan.attn_dp[0])))
        return [
            Pipeline(self.table, self.stages, micro, self.scheduler, prefix_tokens, stream_s)
            for _ in range(int(self.plan.dp[0]))
        ]

    def serve(
        self, requests: Requests, policy: Policy = "round_robin", in_flight: int | None = None, watch: Watch = iter
    ) -> Served:
        """As ``simulate``."""
        replicas = self.replicas(None if requests.blocks is None else requests.block_tokens)
        return simulate(replicas, requests, partial(request_seconds, self.engine), policy, in_flight, watch)


def serve(
    scenario: Scenario,
    plan: Plans,
    requests: Requests,
    policy: Policy = "round_robin",
    *,
    closed: bool = False,
    in_flight: int | None = None,
    watch: Watch = iter,
) -> Served:
    """Serve ``requests`` with one plan. ``closed``: ``batch`` requests of each replica are inside at a time, or
    ``in_flight``, whatever their arrival times; beyond ``batch`` they wait."""
    longest = int(np.max(requests.prompt_tokens + requests.answer_tokens, initial=1))
    deployment = Deployment.of(scenario, plan, longest)
    return deployment.serve(requests, policy, int(plan.batch[0]) if closed else in_flight, watch)
