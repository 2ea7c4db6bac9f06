"""Classes of measured runs: what is like what, sums over classes, and the file."""

import math
from dataclasses import replace

import numpy as np
import pytest

from costmodel.plans import Plans
from search.evidence.measured.grouped import read_cases
from search.evidence.measured.intervals import KEYS
from search.evidence.measured.rows import read_rows
from search.evidence.near.classes import COLUMNS, RunClass, load_classes, pooled, text_of
from search.evidence.near.likeness import Likeness, likeness, model_name
from search.evidence.near.nearest import LAYOUT, MODEL, RINGS, narrowest, rings
from search.evidence.near.write import Judged, classes_of
from search.render.document.evidence_words import WHOSE, evidence_lines, whose

OF = Likeness("vllm", "X", "modela", "dense", "fp8", 2, 1, 1, 1)
SILICON = {
    "row": "a", "origin": "peer_own_runs", "model": "Qwen/Qwen3-32B", "system": "h100_sxm", "engine": "sglang",
    "engine_version": "0.5.6", "precision": "fp8", "mode": "agg", "isl": "1024", "osl": "256", "concurrency": "8",
    "gpus": "2", "tp": "2", "pp": "1", "attn_dp": "1", "moe_tp": "1", "ep": "1", "ttft_ms": "100", "tpot_ms": "10",
}  # fmt: skip


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Three runs of two layouts, as the readers of measurements see them."""
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    rows = [SILICON, {**SILICON, "row": "b", "concurrency": "32"}, {**SILICON, "row": "c", "tp": "1", "gpus": "1"}]
    path.write_text("\n".join([",".join(SILICON), *(",".join(row.values()) for row in rows)]) + "\n")
    return read_cases(read_rows(path))


def judged(cases, ratios):
    held = [0.9 < ratio < 1.1 for ratio in ratios]
    return [
        Judged("logs", cases.rows[i], cases.cases[i], {"tpot": (ratio, hit)})
        for i, (ratio, hit) in enumerate(zip(ratios, held, strict=True))
    ]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("deepseek-ai/DeepSeek-R1-0528", "nvidia/DeepSeek-V3-NVFP4"),
        ("meta-llama/Meta-Llama-3.1-8B", "nvidia/Llama-3.1-8B-Instruct-FP8"),
        ("Qwen/Qwen3-235B-A22B-FP8", "Qwen3-235B-A22B"),
    ],
)
def test_a_model_is_itself_in_another_format(a, b):
    assert model_name(a) == model_name(b)


def test_sizes_and_generations_are_other_models():
    names = [
        "Qwen/Qwen3-32B",
        "Qwen/Qwen3-8B",
        "Qwen/Qwen2.5-32B",
        "deepseek-ai/DeepSeek-V3.2",
        "deepseek-ai/DeepSeek-V3",
    ]
    assert len({model_name(name) for name in names}) == len(names)


def test_what_is_not_said_is_like_everything():
    assert OF.unlike(replace(OF, engine=None, tp=None)) == 0
    assert OF.unlike(replace(OF, engine="sglang", tp=4)) == 2


def test_classes_of_runs_are_their_quantiles(cases):
    """Two runs of one layout make a class, the third another; errors by hand."""
    one, two = sorted(classes_of(judged(cases, [1.2, 0.95, 1.0])), key=lambda c: -c.rows)
    assert (one.rows, two.rows, one.in_flight, one.versions) == (2, 1, (8.0, 32.0), "0.5")
    found = one.residuals["tpot"]
    assert found.error == pytest.approx((0.2 + 0.05) / 2)
    assert found.bias == pytest.approx((1.2 + 0.95) / 2 - 1.0)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile([1 / 1.2, 1 / 0.95], [0.1, 0.9])))
    assert found.inside == 0.5
    assert "ttft" not in one.residuals
    whole = pooled([one, two], "tpot")
    assert whole is not None
    assert whole.error == pytest.approx((0.2 + 0.05 + 0.0) / 3)
    assert whole.inside == pytest.approx(2 / 3)


def test_the_file_gives_back_what_was_written(cases, tmp_path, monkeypatch):
    written = classes_of(judged(cases, [1.2, 0.95, 1.0]))
    (tmp_path / "evidence.csv").write_text(text_of(written))
    monkeypatch.setattr("search.evidence.near.classes.conf_dir", lambda: tmp_path)
    read = load_classes.__wrapped__()
    assert [c.like for c in read] == [c.like for c in written]
    for a, b in zip(read, written, strict=True):
        assert (a.rows, a.in_flight, a.prompt, a.answer) == (b.rows, b.in_flight, b.prompt, b.answer)
        assert a.residuals["tpot"].error == pytest.approx(b.residuals["tpot"].error, abs=1e-4)


def test_a_search_sees_its_plan_as_the_measurements_do(cases):
    """The same scenario and plan are in the innermost ring of their own class; another layout is one ring out."""
    found = classes_of(judged(cases, [1.2, 0.95, 1.0]))
    case = cases.cases[0]
    near = rings(likeness(case.scenario, case.plan), found)
    assert near[LAYOUT].rows == 2
    assert near[MODEL].rows == 3
    assert near[MODEL].classes[0] is near[LAYOUT].classes[0]
    wider = rings(likeness(case.scenario, Plans.of(gpus=4, tp=4, batch=8)), found)
    assert not wider[LAYOUT].classes
    assert narrowest(wider) is wider[MODEL]


def test_rings_only_grow_until_the_accelerator_changes():
    """Each of the first rings holds the ones within it, whatever the plan."""
    for c in load_classes()[::9]:
        sizes = [ring.rows for ring in rings(c.like)][: len(RINGS) - 3]
        assert sizes == sorted(sizes)
        assert sizes[0] >= c.rows


def test_the_file_that_ships_holds_residuals_of_classes():
    """No measured figure stands in it, and its figures make sense."""
    classes = load_classes()
    assert len(classes) > 200
    assert sum(c.rows for c in classes if c.source == "logs") > 1500
    assert not [name for name in COLUMNS if name.endswith("_s") or "ms" in name.split("_")]
    for c in classes:
        assert c.residuals, c
        for r in c.residuals.values():
            assert 0.0 < r.low <= r.high
            assert 0.0 <= r.inside <= 1.0
            assert r.error >= 0.0
            assert r.rows <= c.rows


def test_lines_of_a_plan_nobody_measured(cases, monkeypatch):
    case = cases.cases[0]
    scenario = replace(case.scenario, accelerator=replace(case.scenario.accelerator, name="Own card"))
    lines = evidence_lines(scenario, case.plan, KEYS.index("accelerator"))
    assert "none of its kind of model and precision on its accelerator" in lines[0]
    assert lines[1].endswith(WHOSE["accelerator"])
    monkeypatch.setattr("search.evidence.near.nearest.load_classes", lambda: ())
    assert "nothing of its model" in evidence_lines(scenario, case.plan, 0)[0]


def test_every_row_of_the_intervals_says_whose_it_is():
    said = [whose(key) for key in KEYS]
    assert len(set(said)) == len(said)


def test_a_class_is_told_by_what_was_in_flight():
    nobody = RunClass("published", OF, "A", "", (0.0, 0.0), (1.0, 1.0), (1.0, 1.0), 1, {})
    assert math.isclose(nobody.in_flight[1], 0.0)
    from search.render.document.evidence_words import nearest_words

    assert "all requests queued" in nearest_words(nobody)
    assert "tp 2 with 4 to 8 in flight" in nearest_words(replace(nobody, in_flight=(4.0, 8.0)))
