"""Drafters in a search: what may be asked, which plans may draft, what is said."""

from dataclasses import replace

import numpy as np
import pytest
from refused import refused

from costmodel.drafts.drafter import Drafter
from costmodel.plans import Plans
from search.base.errors import InputError
from search.inputs.compose import composed
from search.inputs.config import read_model
from search.optimizer.run import run
from search.optimizer.speculation.asked import acceptance_of, drafters_of, drafting
from search.render.document import render_plan
from search.render.document.speculation_words import speculation_lines
from search.render.document.split_words import plan_in_words

BASE = (
    "+experiment=qwen3_32b_h200", "engine=sglang", "strategy=exact", "report=none", "sensitivity=none",
    "space.gpus=[8]", "space.dp=[1,2,4]", "space.pp=1", "space.sp=1", "space.tp=[2,4,8]", "space.batch=[1,8,32]",
)  # fmt: skip


def asked(*overrides, experiment="deepseek_r1_h200"):
    config = composed([f"+experiment={experiment}", "engine=vllm", *overrides], None)
    return drafters_of(config, read_model(config.model).architecture)


def test_nobody_drafts_unless_asked():
    assert asked() == ()


def test_each_drafter_with_each_number_of_drafts():
    found = asked("space.speculation=[none,mtp,ngram]", "space.draft.tokens=[1,4]", "space.draft.ngram=[0.5,0.25]")
    assert [(d.kind, d.tokens) for d in found] == [("mtp", 1), ("mtp", 4), ("ngram", 1), ("ngram", 4)]
    assert found[3].acceptance == (0.5, 0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["space.speculation=[mtp]"], ("space.speculation", "none")),
        (["space.speculation=[none,medusa]"], ("space.speculation", "medusa", "eagle3")),
        (["space.speculation=[none,ngram]"], ("space.draft.ngram", "null")),
        (["space.speculation=[none,mtp]", "space.draft.mtp=[1.5]"], ("space.draft.mtp", "1.5")),
        (["space.speculation=[none,mtp]", "space.draft.mtp=[]"], ("space.draft.mtp", "empty")),
        (["space.speculation=[none,mtp]", "space.draft.tokens=[99]"], ("space.draft.tokens", "99")),
        (["space.speculation=[none,mtp]", "engine=any"], ("space.speculation", "any")),
    ],
)
def test_bad_input_is_one_line(overrides, words):
    refused(asked, overrides, words)


def test_a_model_without_a_module_has_no_mtp():
    with pytest.raises(InputError, match="no prediction module"):
        asked("space.speculation=[none,mtp]", experiment="qwen3_32b_h200")


def test_assumed_chances_fall_from_position_to_position():
    for kind in ("mtp", "eagle3"):
        chances = acceptance_of(kind, None, 5)
        assert list(chances) == sorted(chances, reverse=True)


DEEPSEEK = read_model(composed(["model=deepseek_r1"], None).model).architecture


def test_more_drafts_than_modules_are_a_multiple_in_vllm():
    three = replace(DEEPSEEK, mtp_modules=3)
    plans = Plans.of(gpus=8, tp=8, ep=8)
    taken = [bool(drafting(Drafter("mtp", (0.8,) * n), plans, three, "vllm")[0]) for n in range(1, 7)]
    assert taken == [True, True, True, False, False, True]
    assert drafting(Drafter("mtp", (0.8,) * 4), plans, three, "sglang")[0]
    assert DEEPSEEK.mtp_modules == 1


def test_pipelines_and_ngram_beside_attention_groups_do_not_draft():
    plans = Plans.of(gpus=[8, 8, 8], tp=[8, 4, 4], pp=[1, 2, 1], ep=[8, 4, 8])
    assert drafting(Drafter("mtp", (0.8,)), plans, DEEPSEEK, "sglang").tolist() == [True, False, True]
    assert drafting(Drafter("ngram", (0.8,)), plans, DEEPSEEK, "sglang").tolist() == [True, False, False]
    assert drafting(Drafter("ngram", (0.8,)), plans, DEEPSEEK, "vllm").tolist() == [True, False, True]


@pytest.fixture(scope="module")
def outcome():
    extra = ("space.speculation=[none,eagle3,ngram]", "space.draft.tokens=2", "space.draft.ngram=[0.0]")
    return run(composed([*BASE, *extra, "space.serving=[aggregated,split]"], None))


def test_the_better_drafter_wins_and_one_that_is_always_wrong_does_not(outcome):
    found = outcome.speculation
    eagle, ngram = found.options
    assert found.best is eagle
    assert eagle.low <= eagle.value <= eagle.high
    assert eagle.ratio > 1.0 > ngram.ratio
    batches, gains = zip(*found.gains, strict=True)
    assert list(batches) == sorted(batches)
    assert np.argmax(gains) < len(gains) / 2


def test_lines_and_document_say_so(outcome):
    lines = speculation_lines(outcome)
    assert lines[0].startswith("Drafts: eagle3 of 2, by ")
    assert "Speculation\n\n- Drafts: eagle3" in render_plan(outcome)


def test_instances_that_decode_draft_too(outcome):
    best = outcome.split.best
    assert "eagle3 of 2" in plan_in_words(best)
