"""A rule, and what several engines' rules share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import IntArray, Plans
from search.optimizer.rules.facts import Facts

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rule:
    """``keeps(plans, facts)`` is True for the plans that the rule allows. ``source`` names the engine's file and
    version, or the definition that the rule follows from; ``arithmetic`` says how it comes out for one plan;
    ``reads_batch``: plans of one layout may differ in it."""

    name: str
    source: str
    text: str
    keeps: Callable[[Plans, Facts], Mask]
    arithmetic: Callable[[Plans, Facts], str] | None = None
    reads_batch: bool = False

    def comes_out(self, plan: Plans, facts: Facts) -> str:
        """The rule's own arithmetic for one plan, else the plan's degrees."""
        if self.arithmetic is not None:
            return self.arithmetic(plan, facts)
        return ", ".join(f"{axis} {value}" for axis, value in plan.row(0).items())


def quotients(divisor: int, values: Sequence[int], name: str) -> str:
    """``25600 / tp 16 = 1600`` for each value."""
    return ", ".join(f"{value} / {name} {divisor} = {value / max(divisor, 1):.6g}" for value in values)


def divides(divisor: IntArray, values: tuple[int, ...]) -> Mask:
    """True where ``divisor`` divides every one of ``values``."""
    kept = np.ones(len(divisor), dtype=bool)
    for value in values:
        kept &= value % np.maximum(divisor, 1) == 0
    return kept


BLOCK = 128  # rows and columns of a block of FP8 weights in every published checkpoint


def whole_blocks(divisor: IntArray, widths: tuple[int, ...]) -> Mask:
    """True where ``divisor`` cuts every width into whole blocks of ``BLOCK``, or does not cut at all."""
    kept = np.ones(len(divisor), dtype=bool)
    for width in widths:
        kept &= (divisor <= 1) | (width // np.maximum(divisor, 1) % BLOCK == 0)
    return kept


def cut_blocks(divisor: int, widths: Sequence[int], name: str) -> str:
    """The widths that are not cut into whole blocks."""
    wrong = [width for width in widths if divisor > 1 and width // divisor % BLOCK]
    return f"{quotients(divisor, wrong, name)}, no multiple of {BLOCK}" if wrong else ""


def kv_heads_fit(plans: Plans, facts: Facts) -> Mask:
    """KV heads are split evenly, or replicated evenly when tp exceeds them."""
    kept = np.ones(len(plans), dtype=bool)
    for heads in facts.kv_heads:
        kept &= np.where(plans.tp >= heads, plans.tp % heads == 0, heads % np.maximum(plans.tp, 1) == 0)
    return kept
