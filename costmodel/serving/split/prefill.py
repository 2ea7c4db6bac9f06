"""An instance that prefills and does nothing else.

Prompts come one by one. A pass holds up to M new tokens of each attention group, whole prompts alone in some engines
(``WHOLE``), so Q prompts of an instance; those that came while a pass ran share the next one. Of q prompts a pass takes
t(q), a straight line between one prompt in one group and all groups full; at a rate of r the passes hold q = r t(q) of
them, no fewer than one and no more than Q. What an instance can do is mu = Q / t(Q), its utilisation rho = r / mu. A
prompt waits for

    busy t / 2  +  (q / Q)^2 rho^2 / (2 mu (1 - rho)),

half of the pass that it falls into (longer where passes vary), and the queue behind a server that takes Q at a time
(its heavy-traffic limit with Poisson arrivals), as far as passes are full: what does not fill one leaves nobody behind.
Where a pass holds one prompt this is the M/D/1 queue's rho / (2 mu (1 - rho)) exactly (Kleinrock, Queueing Systems I,
1975, eq. 5.72); else it is within 20 % of a simulation (``tests/costmodel/serving/split``). Its own pass holds those
that came beside it too. A prompt longer than the budget is prefilled in n passes, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from costmodel.forward import forward
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.step import Step

# Engines whose passes hold whole prompts: TensorRT-LLM's do unless ``enable_chunked_prefill`` (tensorrt_llm/llmapi/
# llm_args.py, off by default, 1.2).
WHOLE = ("trtllm",)


def prefill_only(lengths: FixedLengths) -> FixedLengths:
    """The same prompts, each answered by one token."""
    return FixedLengths(lengths.isl, 1, lengths.prefix_hit)


@dataclass(frozen=True)
class Prefill:
    """One instance of each plan, arrays of shape (n,). ``passes`` that a prompt takes; ``one_s`` a pass of one prompt
    in one group, ``full_s`` of ``prompts`` in all groups together, each through the whole pipeline; ``one_slowest_s``
    and ``slowest_s`` the longest stage of each, after which the next pass begins; ``request_s`` the host's work for a
    request. ``serial``: one group, whose prompts wait for whole prompts before them."""

    passes: Any
    one_s: Any
    full_s: Any
    one_slowest_s: Any
    slowest_s: Any
    least: Any
    prompts: Any
    request_s: float
    serial: Any

    @property
    def capacity_per_s(self) -> Any:
        """Prompts a second that one instance can prefill at most: mu."""
        return self.prompts / self.slowest_s

    @cached_property
    def slope_s(self) -> Any:
        """Seconds of one more prompt in a pass."""
        return self._each(self.full_s - self.one_s)

    @cached_property
    def taken_slope_s(self) -> Any:
        """Seconds by which the next pass begins later for it: of a pipeline, those of the slowest stage."""
        return self._each(self.slowest_s - self.one_slowest_s)

    def _each(self, more_s: Any) -> Any:
        return more_s / np.where(self.prompts > self.least, self.prompts - self.least, 1.0)

    def filled(self, rate: Any) -> Any:
        """Prompts in a pass at ``rate`` prompts a second of one instance: q."""
        slope = self.taken_slope_s
        free = self.one_slowest_s - slope * self.least
        return np.clip(rate * free / np.maximum(1.0 - rate * slope, 1e-12), self.least, self.prompts)

    def taken_s(self, rate: Any) -> Any:
        """Seconds from the beginning of such a pass to that of the next."""
        return self.one_slowest_s + self.taken_slope_s * (self.filled(rate) - self.least)

    def pass_s(self, rate: Any) -> Any:
        """Seconds of such a pass: t(q)."""
        return self.one_s + self.slope_s * (self.filled(rate) - self.least)

    def longer(self, rate: Any, gap: Any = 1.0) -> Any:
        """How many times a mean pass the one is that a prompt falls into. With s the seconds of one more prompt, passes
        vary as an autoregression of u = rate s; where they are nothing but their prompts, rest and gone by of the one
        that runs are V / (1 + u) each of the work V = u s / (2 (1 - u)) that a prompt finds in an M/D/1 queue."""
        slope = self.taken_slope_s
        share = np.minimum(rate * slope, 0.999)
        return 1.0 + gap * share**2 / (1.0 - share**2) * slope / self.taken_s(rate)

    def rest_s(self, rate: Any, seen: Any = 1.0) -> Any:
        """Mean seconds to the end of the pass that a prompt falls into. ``seen``: the share of the others that it
        meets, (C - 1) / C in a closed loop of C requests."""
        length = self.taken_s(rate)
        busy = np.minimum(rate * seen * length / self.least, 1.0)
        return busy * length * np.where(self.serial, self.passes, 1.0) / 2.0 * self.longer(rate * seen)

    def wait_s(self, rate: Any, seen: Any = 1.0) -> Any:
        """Mean seconds before a prompt's own passes, infinite from the capacity on."""
        used = rate / self.capacity_per_s * seen
        with np.errstate(divide="ignore"):
            queue = (self.filled(rate) / self.prompts * used) ** 2 / (
                2.0 * self.capacity_per_s * np.maximum(1.0 - used, 0.0)
            )
        return np.where(used < 1.0, self.rest_s(rate, seen) + queue, np.inf)

    def beside_s(self, rate: Any, seen: Any = 1.0) -> Any:
        """Seconds by which its own pass is longer than a mean one: it holds those that came in as much time before it
        as it waits, and after it."""
        rest = self.rest_s(rate, seen)
        return np.maximum(
            2.0 * rate * seen * rest * self.slope_s - self.slope_s * (self.filled(rate) - self.least), 0.0
        )

    def own_s(self, rate: Any) -> Any:
        """Seconds of a prompt's own passes and of the host's work."""
        return (self.passes - 1.0) * self.taken_s(rate) + self.pass_s(rate) + self.request_s

    def ttft_s(self, rate: Any, seen: Any = 1.0) -> Any:
        """Seconds until a prompt is prefilled."""
        return self.wait_s(rate, seen) + self.beside_s(rate, seen) + self.own_s(rate)


def prefill(scenario: Scenario, plans: Plans) -> Prefill:
    """``plans`` of one instance each (``dp`` 1; ``batch`` is not read)."""
    layout, stages = scenario.layout(plans), Stages.of(scenario.model, plans.pp)
    lengths, engine = scenario.lengths, scenario.engine
    budget = float(engine.max_batched_tokens)
    new = max(float(lengths.new), 1.0)
    passes = float(np.ceil(new / budget))
    least = 1.0 / passes
    fit = np.floor(budget / new) if engine.name in WHOLE else budget / new
    most = max(float(fit), 1.0) if passes == 1.0 else least  # of one group
    ones = np.ones(len(plans))
    zero = np.zeros((2, len(plans)))
    here = np.stack([least * ones, most * ones])
    everywhere = np.stack([least * ones, most * layout.attn_dp])
    time = forward(scenario, stages, Step(zero, here, zero, everywhere, here, prefill_only(lengths), layout))
    return Prefill(
        passes=passes * ones,
        one_s=time.latency_s[0],
        full_s=np.maximum(time.latency_s[1], time.latency_s[0]),
        one_slowest_s=time.slowest_stage_s[0],
        slowest_s=np.maximum(time.slowest_stage_s[1], time.slowest_stage_s[0]),
        least=least * ones,
        prompts=everywhere[1],
        request_s=engine.request_s(lengths.isl),
        serial=layout.attn_dp == 1,
    )
