"""Declarations of fields: what they say, and that names declared for an engine are those that tables elsewhere have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Annotated

import pytest

from costmodel import all_reduce, launches
from costmodel.cluster import Tier
from costmodel.engine import ALL_REDUCE, EXPERT_KERNELS, FP8_PRODUCTS, INPUT_QUANTISATION, Engine
from costmodel.fields import Choice, Quantity, declared
from costmodel.hardware import Accelerator
from costmodel.working_memory import WorkingMemory


@dataclass(frozen=True)
class Toaster:
    name: str
    slots: Annotated[int, Quantity("slices at a time", above=True)]
    heat: Annotated[float, Quantity("W", 0, 2000, stated=True)] = 800.0
    by_bread: Annotated[Mapping[str, float] | None, Quantity("s")] = None
    lever: Annotated[str, Choice("which side", ("left", "right"))] = "left"


def test_declarations_in_order_with_their_types_and_defaults() -> None:
    found = list(declared(Toaster))
    assert [f.name for f in found] == ["name", "slots", "heat", "by_bread", "lever"]
    assert [f.hint for f in found] == [str, int, float, Mapping[str, float] | None, str]
    assert [f.default for f in found] == [MISSING, MISSING, MISSING, None, "left"]  # heat: a file must state it
    assert found[0].of is None
    assert found[4].of == Choice("which side", ("left", "right"))


def test_kernels_that_an_engine_may_name_are_those_that_there_are() -> None:
    assert tuple(all_reduce.KERNELS) == ALL_REDUCE
    assert tuple(launches.EXPERT_KERNELS) == EXPERT_KERNELS
    assert tuple(launches.INPUT_QUANTISATION) == INPUT_QUANTISATION
    assert tuple(launches.FP8_PRODUCTS) == FP8_PRODUCTS


@pytest.mark.parametrize("record", [Engine, WorkingMemory, Accelerator, Tier])
def test_every_number_and_word_of_a_record_says_what_it_may_be(record: type) -> None:
    """Names are anybody's; every other field but a switch has a range or choice, a meaning, an allowed default."""
    for f in declared(record):
        if f.name in ("name", "vendor") and f.hint is str and not isinstance(f.of, Choice):
            continue
        if f.hint in (bool, WorkingMemory):
            continue
        assert f.of is not None, f.name
        assert f.of.meaning
        if isinstance(f.of, Choice):
            assert f.default is MISSING or f.default in f.of.allowed, f.name
        elif f.default not in (MISSING, None):
            above = f.default > f.of.low if f.of.above else f.default >= f.of.low
            assert above and f.default <= f.of.high, f.name
