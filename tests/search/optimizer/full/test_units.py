"""Variants are searched to the same front and the same counts, whoever works and however often it begins again."""

from dataclasses import replace

import numpy as np
import pytest

from search.base import interrupt
from search.base.workers import LOCAL, remembered
from search.base.workers.processes import Processes
from search.base.workers.remembered import Remembered
from search.inputs.compose import composed
from search.inputs.config import read_model
from search.optimizer import run as module
from search.optimizer.full import units
from search.optimizer.full.found import FullFound, full_search
from search.optimizer.full.front import AXES
from search.optimizer.full.variants import variants_of

WORDS = [
    "+experiment=qwen3_235b", "space=full", "space.gpus=[8,16]", "space.batch='1:120:1'", "space.engines=[vllm,sglang]",
    "space.weights=[given,nvfp4]", "space.max_batched_tokens=[4096,8192]", "space.kv_cache=given", "strategy=exact",
    "sensitivity=none", "report=none", *(f"space.{axis}=[1,2,4,8]" for axis in ("dp", "pp", "sp", "tp", "ep")),
]  # fmt: skip


@pytest.fixture(scope="module")
def config():
    return composed(WORDS)


@pytest.fixture(scope="module")
def alone(config):
    return full_search(config)


def told(found: FullFound) -> tuple[object, ...]:
    """All of it but the seconds."""
    plans = np.stack([found.which, *(getattr(found.plans, axis) for axis in AXES)])
    counts = [(one.count, one.removed) for one in found.searched]
    return plans.tolist(), found.scores.tpot_s.tolist(), found.coverage.tolist(), found.engines.tolist(), counts


def test_processes_find_and_count_the_same(config, alone):
    workers = Processes(2)
    try:
        assert told(full_search(config, workers)) == told(alone)
        assert workers.running
    finally:
        workers.close()
    assert len(alone.searched) == alone.variants == 8


def test_waves_take_every_variant_once():
    for many in range(1, 200):
        found = units.waves(many)
        assert [i for wave in found for i in wave] == list(range(many))
        assert all(len(wave) <= max(wave.start, units.FIRST) for wave in found)


class Killed(BaseException):
    """A process that is killed says nothing."""


def searching(monkeypatch, dies_after=None):
    """Units that were worked on; ``Killed`` after so many."""
    done, search = [], units.Searching.__call__

    def call(self, unit):
        if len(done) == dies_after:
            raise Killed
        done.append(unit.variant.name)
        return search(self, unit)

    monkeypatch.setattr(units.Searching, "__call__", call)
    return done


@pytest.mark.parametrize("dies_after", [1, 5])
def test_units_that_are_done_are_not_done_again(config, alone, tmp_path, monkeypatch, capsys, dies_after):
    monkeypatch.setattr(remembered, "EVERY_S", -1.0)
    with monkeypatch.context() as patched:
        searching(patched, dies_after)
        with pytest.raises(Killed):
            full_search(config, Remembered(LOCAL, tmp_path, "this"))
    done = searching(monkeypatch)
    again = full_search(config, Remembered(LOCAL, tmp_path, "this"))
    assert done == [one.variant.name for one in alone.searched][dies_after:]
    assert told(again) == told(alone)
    assert capsys.readouterr().err == ""


def test_who_asks_to_end_has_the_front_so_far(config, alone, tmp_path, monkeypatch):
    """Of the variants that were searched until then, with the documents of its best plan; and it can go on."""
    done = searching(monkeypatch)
    monkeypatch.setattr(interrupt, "asked", lambda: len(done) == 5)
    outcome = module.run(config, folder=tmp_path)
    found = outcome.full
    assert (len(found.searched), found.variants) == (5, 8)
    assert outcome.partial[0] == "full"
    assert any("cut short or left out: full" in line for line in outcome.warnings)
    assert outcome.choice is not None
    best = found.plans.row(0)
    assert outcome.plans.row(outcome.choice.recommended) == best
    assert told(found)[4] == told(alone)[4][:5]
    done.clear()
    monkeypatch.setattr(interrupt, "asked", lambda: False)
    whole = module.run(config, folder=tmp_path)
    assert len(done) == 3
    assert told(whole.full) == told(alone)
    assert not whole.partial


def test_a_name_says_the_cast_that_is_planned(config):
    """The worked case's own says FP8."""
    names = {v.weights: v.scenario.model.name for v in variants_of(config)}
    assert names == {"fp8": "Qwen3-235B-A22B cast to FP8", "nvfp4": "Qwen3-235B-A22B cast to NVFP4"}
    other = replace(config.model, name="Forms cast to iron", weights="nvfp4")
    assert read_model(other).architecture.name == "Forms cast to iron"
