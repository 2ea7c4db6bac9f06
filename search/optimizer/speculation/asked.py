"""``space.speculation`` and ``space.draft``: the drafters that a search tries, and the plans that may draft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.architecture import Architecture
from costmodel.drafts.drafter import KINDS, Drafter
from costmodel.plans import Plans
from search.base.errors import InputError
from search.inputs.checks import choice
from search.inputs.derived import quantity
from search.inputs.schema import CHANCES, DRAFTS, Config
from search.optimizer.space import axis_values
from search.optimizer.speculation.rules import allowed, modelled

CHOICES = ("none", *KINDS)
# Chances by position, the last one for all that follow; assumptions from published figures. MTP: DeepSeek-V3 accepts 85
# to 90 % of the second token (arXiv:2412.19437, section 5.4.3); each further one is drafted from a guess (assumption).
# EAGLE-3: about 0.8 at the first position and hardly less at later ones (arXiv:2503.01840, figure 7).
ASSUMED = {"mtp": (0.85, 0.75, 0.65), "eagle3": (0.8, 0.77, 0.75)}
RANGE = (0.85, 1.1)  # factors on every chance: between them a verdict should not turn


def drafters_of(config: Config, model: Architecture) -> tuple[Drafter, ...]:
    """Every drafter asked for, with every number of tokens; ``InputError`` for what has no acceptance or no module."""
    given = config.space.speculation
    wanted = list(given) if isinstance(given, list | tuple) else [given]
    for item in wanted:
        choice("space.speculation", item, CHOICES)
    if "none" not in wanted or len(set(wanted)) < len(wanted):
        raise InputError(f"space.speculation: {wanted} is not allowed; name none, and each drafter once")
    found = []
    for kind in wanted:
        if kind == "none":
            continue
        if kind == "mtp" and not model.mtp_parameters:
            raise InputError(f"space.speculation: mtp is not allowed; {model.name} has no prediction module")
        if config.engine.name == "any":
            raise InputError("space.speculation: engine any drafts nothing; give vllm, sglang or trtllm")
        for tokens in axis_values("space.draft.tokens", config.space.draft.tokens):
            quantity("space.draft.tokens", tokens, DRAFTS)
            found.append(Drafter(kind, acceptance_of(kind, getattr(config.space.draft, kind), tokens)))
    return tuple(found)


def acceptance_of(kind: str, given: Any, tokens: int) -> tuple[float, ...]:
    """Chances of ``tokens`` positions, as given or assumed; beyond the last one that is given it stays the same."""
    key = f"space.draft.{kind}"
    if given is None and kind not in ASSUMED:
        raise InputError(f"{key}: null is not allowed; how often {kind} is right depends on the texts: give chances "
                         "by position, as [0.5, 0.4]")  # fmt: skip
    values: Sequence[Any] = ASSUMED[kind] if given is None else given if isinstance(given, list | tuple) else [given]
    if not values:
        raise InputError(f"{key}: [] is empty; give chances by position")
    for value in values:
        quantity(key, value, CHANCES)
    chances = [float(value) for value in values]
    return tuple(chances[min(i, len(chances) - 1)] for i in range(tokens))


def scaled(drafter: Drafter, factor: float) -> Drafter:
    """Every chance times ``factor``, at most 1."""
    return Drafter(drafter.kind, tuple(min(chance * factor, 1.0) for chance in drafter.acceptance))


def drafting(drafter: Drafter, plans: Plans, model: Architecture, engine: str) -> NDArray[np.bool_]:
    """Plans whose server may draft: the engine's rules, and what is modelled."""
    return modelled(plans) & allowed(drafter.kind, drafter.tokens, plans, model, engine)
