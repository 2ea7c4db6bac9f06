"""The steady closed loop: each attention group always has b requests; one that finishes is replaced at once.

Counted in passes ("steps") of one group, a request lives N = W + n + D steps: W waiting for a place in the prefill, n
being prefilled, D = osl - 1 decoding. A step has a budget of M new tokens, decodes first, so a prompt of S tokens fills
the share s = S / (M - decodes) of a step and needs n = ceil(s) of them. Requests arrive at r = b / N a step, so prefill
is busy for rho = r s of the steps. The wait of an M/D/1 queue is W = s rho / (2 (1 - rho)) (Kleinrock, Queueing Systems
I, 1975, eq. 5.72); with r = b / N this is a quadratic in N,

    (N - n - D) (N - b s) = b s^2 / 2,

whose larger root tends to n + D when prefill is light and to b s when it saturates.

An engine may hold a prompt back for up to h steps so that others join it (TensorRT-LLM's batch_wait_timeout_iters): the
first to come waits h, the r h that join it half as long, and they are prefilled together.

An engine that prefills first (``Engine.prefill_first``) lets nobody decode while prompts wait. Equally long requests
that all began at once then decode, end and come back together, for as long as the run lasts: P passes hold nothing but
prompts, D nothing but decodes. A request waits for half of the other P - 1 before its own, and its decoding stands
still for the other half.

In a pipeline micro-batches follow each other and never overtake (vLLM's batch queue is first in, first out:
``step_with_batch_queue`` in vllm/v1/engine/core.py, 0.33), so a round in which any of them prefills takes as long as a
pass of prompts through all stages. That is at most 15 % above a simulation of such a ring of 2 to 8 stages
(``tests/costmodel/serving/test_pipeline_rounds.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from costmodel.layout import Layout
from costmodel.scenario import Scenario
from costmodel.serving.burst import Burst, burst_of, first_wave
from costmodel.serving.streaming import larger_root
from costmodel.step import Step

# Equally long requests that were prefilled in one pass end in one step and come back together (``synchronised``
# scenarios): prompts in a mixed pass grow from one towards all that the budget takes, to this power. 1 would be a
# lockstep without jitter. Set on the open closed-loop rows of fixed length (docs/fidelity.md).
SYNCHRONY = 0.6
# A pass is full, and is held no longer, at this share of its token budget (what public recipes set
# batch_wait_max_tokens_ratio to: 0.8 and 0.9).
HELD_FULL = 0.9

# Where the largest of so many normal draws lies (Blom 1958, as in ``costmodel.layout``).
LAST_OF = np.array([0.0, 0.0, *(NormalDist().inv_cdf((n - 0.375) / (n + 0.25)) for n in range(2, 129))])

# The passes, on the leading axis; BURST, BETWEEN and REST of a burst. FIRST only where waves are counted.
DECODE, MIXED, BURST, BETWEEN, REST, FIRST = range(6)


@dataclass(frozen=True)
class Loop:
    """The steady state in steps, arrays of shape (n,). ``micro`` full micro-batches circulate in a pipeline, each with
    ``sequences`` requests a group, of which ``decodes`` decode in a step; ``queue`` = W, ``prefills`` = n, ``life`` =
    N; ``rate`` requests of a group arrive a step and ``prompts`` are in a step that prefills; ``prefilling`` share of
    rounds in which some group of some micro-batch prefills, ``disturbed`` share of a decoding request's rounds in which
    somebody else is prefilled; ``served`` requests are in the replica's server at a time; ``burst`` of the whole batch,
    ``first_passes`` prefill the first wave; ``stalls_before`` and ``_after``: passes of others' prompts, in a lockstep,
    before a request's first token and while it decodes."""

    micro: Any
    sequences: Any
    decodes: Any
    queue: Any
    prefills: Any
    life: Any
    rate: Any
    prompts: Any
    prefilling: Any
    disturbed: Any
    served: Any
    burst: Burst
    first_passes: Any
    stalls_before: Any = 0.0
    stalls_after: Any = 0.0

    @property
    def others(self) -> Any:
        """Requests beside one."""
        return np.maximum(self.served - 1.0, 0.0)


def steady_loop(scenario: Scenario, layout: Layout, admitted: Any, batch: Any) -> tuple[Loop, Step]:
    """Solve the loop for ``admitted`` sequences a group and describe the passes to be timed.

    ``batch`` is the replica's sequences: its burst is prefilled whole.
    """
    lengths = scenario.lengths
    budget = float(scenario.engine.max_batched_tokens)
    micro = np.minimum(layout.pp, np.maximum(admitted, 1.0))
    sequences = admitted / micro
    # The budget that decodes leave; a group whose decodes fill it still advances a prompt by a block at a time.
    verified, gained = 1.0 + scenario.engine.drafts, scenario.engine.tokens_a_step
    turns = lengths.decodes / gained
    room = np.maximum(
        budget - (0.0 if scenario.engine.prefill_first else sequences * verified), float(scenario.engine.block_tokens)
    )
    share = lengths.new / room
    prefills = np.maximum(np.ceil(share), 1.0)
    life = larger_root(prefills + turns, sequences * share, sequences * share**2 * lengths.new_spread)
    held_together: Any = 0.0
    if scenario.engine.hold_steps:
        held, held_together = _held(scenario, sequences / life)
        life = life + held
    if scenario.engine.balance_steps:
        life = life + balance_wait(scenario.engine.balance_steps, layout.attn_dp, sequences, life)
    rate = sequences / life
    busy = np.minimum(rate * prefills, 1.0)  # share of a group's steps that hold some prefill
    prompts = rate / busy  # prompts in each of them
    together = np.maximum(held_together / (prompts * prefills), 1.0)
    if scenario.synchronised:
        passes = np.maximum(np.ceil(sequences * lengths.new / budget), 1.0)
        together = np.maximum(together, np.maximum(sequences / passes / prompts, 1.0) ** SYNCHRONY)
    prompts, busy = prompts * together, busy / together
    decodes = rate * turns
    lockstep = scenario.lockstep
    before: Any = 0.0
    after: Any = 0.0
    if lockstep:
        filled = sequences * lengths.new / budget
        whole = np.maximum(np.ceil(filled), prefills)
        # What a pass yields is read when the next one has been launched, so its answers begin a pass late.
        late = scenario.engine.steps_ahead * (1.0 - prefills / whole)
        before, after = (whole - prefills) / 2.0 + late, np.maximum((whole - prefills) / 2.0 - late, 0.0)
        prompts, decodes = sequences / whole, sequences
        life = whole + turns
        rate, busy = sequences / life, whole / life
    # Groups that have anything to do: fewer sequences than groups leave some idle.
    groups = np.minimum(layout.attn_dp, batch / admitted)
    # Micro-batches with one sequence of a group: all but the last have one of every group, and a round waits for them.
    fullest = np.where(sequences > 1.0, groups, np.minimum(layout.attn_dp, batch))
    micro, groups = micro * groups / fullest, fullest
    prefilling = 1.0 - (1.0 - busy) ** groups  # share of a micro-batch's passes
    if scenario.engine.balance_steps:
        # All groups prefill in the same passes, as often as one alone would, or when they have waited long enough.
        often = np.maximum(busy, np.minimum(1.0 / scenario.engine.balance_steps, rate * groups))
        prefilling = np.where(groups > 1.0, np.minimum(often, prefilling), prefilling)
    groups_prefilling = groups * busy / prefilling
    # A decoding request is not disturbed by its own prefill, only by those of its group's others and other groups.
    # It sees the N - n other steps of its life.
    own = np.minimum(np.minimum(prefills / life, 1.0), busy)
    others = np.maximum(busy - own, 0.0) / np.where(own < 1.0, 1.0 - own, 1.0)
    disturbed = 1.0 - (1.0 - others) * (1.0 - busy) ** np.maximum(groups - 1.0, 0.0)
    if scenario.engine.balance_steps:
        disturbed = np.where(groups > 1.0, np.maximum(prefilling - own, 0.0), disturbed)
    # A round of the micro-batches is as slow as its slowest pass: none overtakes another in a pipeline.
    quiet = (1.0 - prefilling) ** (micro - 1.0)
    prefilling, disturbed = 1.0 - (1.0 - prefilling) * quiet, 1.0 - (1.0 - disturbed) * quiet
    if lockstep:
        disturbed, groups_prefilling = 0.0 * disturbed, groups
    # The last of the waves sees half of the others' prefills: nobody follows those that end before it.
    disturbed = disturbed * (1.0 - 0.5 / scenario.waves)

    burst = burst_of(lengths, layout, batch, budget)

    zero = np.zeros_like(decodes)
    beside = zero if scenario.engine.prefill_first else decodes
    passes = [  # decodes and prompts of a group, and of the stage
        (decodes, zero, decodes * groups, zero),
        (beside, prompts, beside * groups, prompts * groups_prefilling),
        (zero, burst.prompts, zero, burst.stage_prompts),
        (zero, burst.prompts, zero, burst.stage_between),
        (zero, burst.rest, zero, burst.stage_rest),
    ]
    first_passes = burst.passes
    if math.isfinite(scenario.waves):
        first = first_wave(scenario, burst, admitted, budget)
        first_passes = first.passes
        passes.append((first.beside, first.prompts, first.beside * (batch / burst.sequences), batch / first.passes))
    here, starting, stage_here, stage_starting = (np.stack(column) for column in zip(*passes, strict=True))
    samples = here * verified + starting
    step = Step(here, starting, stage_here, stage_starting, samples, lengths, layout, verified)
    queue = zero if lockstep else np.maximum(life - prefills - turns, 0.0)
    loop = Loop(
        micro, sequences, decodes, queue, prefills, life, rate, prompts, prefilling, disturbed,
        np.minimum(admitted * layout.attn_dp, batch), burst, first_passes, before, after,
    )  # fmt: skip
    return loop, step


def balance_wait(steps: float, groups: Any, sequences: Any, life: Any) -> Any:
    """Mean steps that a prompt waits for the other ``groups`` to have one too, at most ``steps`` at a time
    (TensorRT-LLM's ``attention_dp_config.enable_balance``, tensorrt_llm/_torch/pyexecutor/py_executor.py, 1.1,
    ``_balance_adp_requests``), a prompt a group and pass.

    Groups that end seldom wait for the clock: half of ``steps``, and in line for it as in an M/D/1 queue. Groups that
    end often wait for the one that lags behind: with b of random ages in each, whose ends are about life / sqrt(b)
    apart, 0.27 of that for each standard deviation that the last of the groups lies behind. Within 20 % of a simulation
    of 8 groups of 4 to 64 sequences, steps of 60 and lives of 500 to 7,000 (``tests/costmodel/serving``)."""
    turn = np.minimum(sequences / life * steps, 0.999)
    clock = steps / 2.0 * (1.0 + turn / (1.0 - turn))
    last = LAST_OF[np.minimum(np.asarray(groups), len(LAST_OF) - 1).astype(int)]
    return np.where(np.asarray(groups) > 1, np.minimum(clock, 0.27 * last * life / np.sqrt(sequences)), 0.0)


def _held(scenario: Scenario, rate: Any) -> tuple[Any, Any]:
    """Mean steps for which a prompt is held back, and prompts that are then prefilled together, where ``rate`` arrive a
    step."""
    engine = scenario.engine
    filled = np.maximum(HELD_FULL * engine.max_batched_tokens / scenario.lengths.new - 1.0, 0.0) / rate
    steps = np.minimum(engine.hold_steps, filled)
    joining = rate * steps
    return (steps + joining * steps / 2.0) / (1.0 + joining), 1.0 + joining
