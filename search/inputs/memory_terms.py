"""``engine.memory``: what an engine holds beside weights, cache and the tensors of a pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from costmodel.working_memory import PAGING, WorkingMemory
from search.base.errors import InputError
from search.inputs.checks import choice, number

WHOLE = ("latent_tokens", "state_blocks")
SHARES = ("held_workspaces", "graphs_counted", "folded_copies")


def read_memory(given: Mapping[str, Any]) -> WorkingMemory:
    """The constants named in ``given``; the others are those of an engine that nothing is known of."""
    known = [f.name for f in fields(WorkingMemory)]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise InputError(f"engine.memory.{unknown[0]}: not a key; allowed: {', '.join(known)}")
    read: dict[str, Any] = {}
    for name, value in given.items():
        key = f"engine.memory.{name}"
        if name == "paging":
            read[name] = choice(key, value, PAGING)
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{key}: {value!r} is not allowed; give a number")
        checked = number(key, value, 0, 1 if name in SHARES else 1e12, open_low=False)
        read[name] = int(checked) if name in WHOLE else checked
    return WorkingMemory(**read)
