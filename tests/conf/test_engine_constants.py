"""Every constant of an engine's file has a source, and those that are fitted lie inside their physical range."""

import pytest

from costmodel.working_memory import UNKNOWN_MEMORY
from search.evidence.measured.fitting import ACCELERATOR_CONSTANTS, CONSTANTS, SHARED_CONSTANTS
from search.inputs.hardware_catalog import load_engine

ENGINES = ("any", "vllm", "sglang", "trtllm")


@pytest.mark.parametrize("name", ENGINES)
def test_every_figure_has_a_source(name):
    engine = vars(load_engine(name))
    stated = {key for key in engine if key not in ("name", "version", "sources", "memory", "compare", "engines")}
    assert stated <= set(engine["sources"])
    held = {f"memory_{key}": value for key, value in vars(engine["memory"]).items()}
    unknown = {f"memory_{key}": value for key, value in vars(UNKNOWN_MEMORY).items()}
    told = set(engine["sources"]) - stated
    assert {key for key in held if held[key] != unknown[key]} <= told <= set(held)
    assert all(len(text) > 5 for text in engine["sources"].values())


@pytest.mark.parametrize("name", ["vllm", "sglang", "trtllm"])
@pytest.mark.parametrize("constant", [*CONSTANTS, *SHARED_CONSTANTS], ids=lambda c: c.name)
def test_fitted_constants_are_inside_their_range_and_say_what_they_were_fitted_to(name, constant):
    engine = load_engine(name)
    value = getattr(engine, constant.name)
    # At an end of the range the data would ask for something that is not plausible.
    assert constant.low * 1.01 < value < constant.high * 0.99
    assert "fitted to" in engine.sources[constant.name]


def test_constants_for_all_engines_are_the_same_in_all():
    for constant in SHARED_CONSTANTS:
        assert len({getattr(load_engine(name), constant.name) for name in ("vllm", "sglang", "trtllm")}) == 1


def test_ranges_are_physical():
    for constant in (*CONSTANTS, *ACCELERATOR_CONSTANTS, *SHARED_CONSTANTS):
        assert 0 < constant.low < constant.centre < constant.high
        if constant.name.endswith("_s"):
            assert constant.high <= 1.0  # seconds of host work for one request at most
