"""``engine.version`` selects what vLLM's memory was like then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.inputs.engine_versions import version_of


def memory_of(*overrides: str):  # type: ignore[no-untyped-def]
    config = composed(["engine=vllm", *overrides], None)
    return read_scenario(config, read_model(config.model).architecture).engine.memory


def test_versions_as_printed() -> None:
    assert version_of("0.11.0") == version_of("v0.11") == (0, 11)
    assert version_of("0.28.1rc1 (sm89 fork)") == (0, 28)
    assert version_of("") is None and version_of("0.1.dev20800+g569215ca8") is None


def test_an_older_version_has_its_own_constants() -> None:
    today, then = memory_of(), memory_of("engine.version=0.11.0")
    assert (today.logits_copies, today.graphs_counted, today.passes_in_flight) == (3.6, 1, 2)
    assert (then.logits_copies, then.graphs_counted, then.passes_in_flight) == (9.47, 0, 1)
    assert (today.mxfp4_kernels, then.mxfp4_kernels) == ("triton", "marlin")
    assert memory_of("engine.version=0.33.0") == today


def test_what_somebody_sets_stays() -> None:
    found = memory_of("engine.version=0.11.0", "engine.memory.logits_copies=5")
    assert found.logits_copies == 5 and found.graphs_counted == 0


@pytest.mark.parametrize("version", ["", "nightly"])
def test_what_names_no_version_changes_nothing(version: str) -> None:
    assert memory_of(f"engine.version={version!r}") == memory_of()


def test_other_engines_have_one_version() -> None:
    config = composed(["engine=sglang"], None)
    model = read_model(config.model).architecture
    older = replace(config, engine=replace(config.engine, version="0.4.8"))
    assert read_scenario(older, model).engine == read_scenario(config, model).engine
