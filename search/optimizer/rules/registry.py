"""The lists of rules, by engine. A new engine's list joins here."""

from __future__ import annotations

from costmodel.engine import ENGINES
from search.optimizer.rules import general, sglang, trtllm, vllm
from search.optimizer.rules.rule import Rule
from search.optimizer.rules.start import before_scoring

_LAYOUT = {"vllm": vllm.RULES, "sglang": sglang.RULES, "trtllm": trtllm.RULES}
assert tuple(_LAYOUT) == ENGINES
_OF = {engine: [*rules, *before_scoring(engine)] for engine, rules in _LAYOUT.items()}


def general_rules() -> list[Rule]:
    """What a layout needs to exist at all, in the order in which a plan is counted as removed."""
    return general.RULES


def engine_rules(engine: str) -> list[Rule]:
    """The rules of ``vllm``, ``sglang`` or ``trtllm``: of layouts, then of starts as far as a plan alone tells."""
    return _OF[engine]


def engines_of(name: str) -> tuple[str, ...]:
    """The engines of which one must take a plan: all of them under ``any``."""
    return ENGINES if name == "any" else (name,)


def layout_rules(engine: str) -> list[Rule]:
    """Those of layouts alone."""
    return _LAYOUT[engine]
