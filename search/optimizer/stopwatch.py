"""How long each stage of a search took, and which ones somebody cut short."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from search.base import interrupt
from search.inputs.compared import compared
from search.optimizer.outcome import Outcome


@dataclass
class Stopwatch:
    """Seconds by stage, in order; stages that were ``cut`` short or left out because somebody asked to end."""

    seconds: dict[str, float] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)

    def skips(self, name: str) -> bool:
        """Whether a stage that is to come is left out."""
        if interrupt.asked():
            self.cut.append(name)
        return interrupt.asked()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def ended(outcome: Outcome, cut: Sequence[str], workers: tuple[str, int]) -> Outcome:
    """With the stages that were ``cut`` short or left out, in words too; ``workers`` scored."""
    outcome = replace(outcome, workers=workers, partial=tuple(dict.fromkeys(cut)))
    if not cut:
        return outcome
    said = [
        f"ended early: {one.counted.scored:,} of {len(one.legal):,} legal plans of {one.engine} were scored, and the "
        "front is of these"
        for one in outcome.each
        if one.counted.scored < len(one.legal)
    ]
    missing = compared(outcome.asked or outcome.config)[len(outcome.compared) :]
    if missing:
        said.append(f"ended early: {', '.join(missing)} was not searched")
    other = [name for name in outcome.partial if name != "exact"]
    if other:
        said.append(f"ended early: cut short or left out: {', '.join(other)}")
    warnings = (*outcome.warnings, *said)
    return replace(outcome, warnings=warnings, assumptions=(*outcome.assumptions, *said))
