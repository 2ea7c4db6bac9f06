"""A replica whose layers are on several stages: micro-batches that follow each other through a pipeline.

A request belongs to one micro-batch. The next pass of a micro-batch begins when its last one has left the last stage
and the first stage is free; micro-batches leave as far apart as the slowest stage makes them, and in the order in which
they came: none overtakes another (vLLM keeps as many batches in flight as there are stages, first in, first out,
``step_with_batch_queue`` in vllm/v1/engine/core.py, 0.33).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from costmodel.serving.simulation.replica import Replica, slowest
from costmodel.serving.simulation.scheduler import NEVER, Group, Pass, Scheduler
from costmodel.serving.step_table import StepTable


class Pipeline(Replica):
    """``table`` of a pass through all stages, ``stages`` of those stages that may be the slowest. ``ready[m]``: when
    micro-batch m has left the last stage; ``free``: when the next one may enter; ``left``: when the last one leaves the
    last stage. ``clock`` is when a pass begins."""

    def __init__(
        self, table: StepTable, stages: Sequence[StepTable], micro: int, scheduler: Scheduler,
        prefix_tokens: int | None, stream_token_s: float,
    ) -> None:  # fmt: skip
        super().__init__(table, scheduler, prefix_tokens, stream_token_s)
        self.stages = stages
        self.micro = [[Group(scheduler, pool) for pool in self.pools] for _ in range(micro)]
        self.groups = [group for groups in self.micro for group in groups]
        self.ready = [0.0] * micro
        self.free = 0.0
        self.left = 0.0

    def run(self, until: float) -> list[tuple[int, float]]:
        """One pass of the micro-batch that is free first, or as many of all as nothing happens in."""
        gone = self._drop() if self.leaving else []
        if not self.load:
            return gone
        through = self._jump_all(until)
        if through is None:
            through = self._pass()
        self.clock = max(self.clock, max(self.ready) if not self.load else max(self.free, min(self.ready)))
        return gone + through if gone else through

    def _pass(self) -> list[tuple[int, float]]:
        self._make_room(self.groups)
        busy = [m for m, groups in enumerate(self.micro) if self._works(groups)]
        if not busy:
            self._skip()
            busy = [m for m, groups in enumerate(self.micro) if self._works(groups)]
        m = min(busy, key=lambda i: self.ready[i])
        composed, begun, _ = self._compose(self.micro[m])
        begin = max(self.clock, self.free, self.ready[m])
        spent = max([slowest(stage, composed) for stage in self.stages])
        # Where the stages take equally long, a pass is held up by its own work or by the pass ahead in the last stage.
        self.left = max(begin + slowest(self.table, composed), self.left + spent)
        self.free, self.ready[m] = begin + spent, self.left
        self.passes += 1
        sent = self.ready[m] + self._send(sum([p.samples for p in composed]), 1, spent)
        self.clock = begin
        return self._passed(self.micro[m], composed, begun, 1, sent)

    def _works(self, groups: list[Group]) -> bool:
        return any(group.decoding or group.starts(self.passes) for group in groups)

    def _jump_all(self, until: float) -> list[tuple[int, float]] | None:
        """Turns of all micro-batches while all that are inside decode and nobody waits: a turn is as long as one takes
        through all stages, or as all take in the slowest. ``None`` where not even one passes without an event."""
        most, rounds = NEVER, [groups for groups in self.micro if any(group.decoding for group in groups)]
        for group in self.groups:
            if group.waiting or group.prefilling:
                return None
            if group.decoding:
                most = min(most, group.next_end() - 1, group.room())  # whoever ends does so in a pass of his own
        if not rounds or most < 2:
            return None
        first, last = self._turn(rounds, 0), self._turn(rounds, most)
        end = min(until, self.leaving[0][0] if self.leaving else until) - self.clock
        turns = most if end == math.inf else min(most, int(end / max(first, last)))
        if turns < 2:
            return None
        seconds = turns * (first + (last - first) * (turns - 1) / (2.0 * most))
        for groups in rounds:
            for group in groups:
                if group.decoding:
                    group.decoded(turns)
        samples = sum(group.decoding for group in self.groups)
        self.passes += turns * len(rounds)
        self._send(samples, turns, seconds)
        self.ready = [at + seconds for at in self.ready]
        self.free += seconds
        self.left += seconds
        self.clock += seconds
        return []

    def _turn(self, rounds: list[list[Group]], later: int) -> float:
        passes = [
            [Pass(g.decoding, g.context / max(g.decoding, 1) + later, 0, 0.0, g.decoding) for g in groups]
            for groups in rounds
        ]
        together = [sum([slowest(stage, each) for each in passes]) for stage in self.stages]
        return max([*together, *(slowest(self.table, each) for each in passes)])
