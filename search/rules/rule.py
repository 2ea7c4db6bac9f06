"""A rule and the lists of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import IntArray, Plans
from search.rules.facts import Facts

Mask = NDArray[np.bool_]
ENGINES = ("vllm", "sglang", "trtllm")


@dataclass(frozen=True)
class Rule:
    """``keeps(plans, facts)`` is True for the plans that the rule allows. ``source`` names the engine's file and
    version, or the definition that the rule follows from."""

    name: str
    source: str
    text: str
    keeps: Callable[[Plans, Facts], Mask]


def divides(divisor: IntArray, values: tuple[int, ...]) -> Mask:
    """True where ``divisor`` divides every one of ``values``."""
    kept = np.ones(len(divisor), dtype=bool)
    for value in values:
        kept &= value % np.maximum(divisor, 1) == 0
    return kept


def kv_heads_fit(plans: Plans, facts: Facts) -> Mask:
    """KV heads are split evenly, or replicated evenly when tp exceeds them."""
    kept = np.ones(len(plans), dtype=bool)
    for heads in facts.kv_heads:
        kept &= np.where(plans.tp >= heads, plans.tp % heads == 0, heads % np.maximum(plans.tp, 1) == 0)
    return kept


def general_rules() -> list[Rule]:
    """What a layout needs to exist at all, in the order in which a plan is counted as removed."""
    from search.rules.general import RULES

    return RULES


def engine_rules(engine: str) -> list[Rule]:
    """The rules of ``vllm``, ``sglang`` or ``trtllm``."""
    from search.rules import sglang, trtllm, vllm

    return {"vllm": vllm.RULES, "sglang": sglang.RULES, "trtllm": trtllm.RULES}[engine]
