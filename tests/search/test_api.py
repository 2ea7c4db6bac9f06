"""The front door for Python: the same figures as a run's files, errors that name the rule, nothing written."""

import math
import subprocess
import sys
import time
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import search
from search import api
from search.inputs.compose import composed

CASE = "deepseek_r1_h200"
EXACT = ["strategy=exact", "sensitivity=none", "report=none"]
DEGREES = ["gpus", "dp", "pp", "sp", "tp", "ep", "batch"]


@pytest.fixture(autouse=True, scope="module")
def composed_once():
    """Composing takes longer than scoring: the same words give the same configuration."""
    kept = cache(composed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "composed", lambda words, folder: kept(tuple(words), folder))
        yield


@pytest.fixture(scope="module")
def found():
    return search.run(CASE, EXACT)


def plans_of(table):
    return table[DEGREES].to_dict("records")


def test_nothing_is_written_or_printed(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    result = search.run("qwen3_235b", ["strategy.n_trials=20"])
    result.front_table(), result.plan_markdown()
    search.evaluate("qwen3_235b", [result.recommended])
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_a_run_has_the_same_figures(found, in_folder, tmp_path):
    """`pareto.csv` of the command, read back, is the front; `plan.md` the text."""
    command = in_folder(__import__("search.cli").cli.main)
    code, _, err = command(f"+experiment={CASE}", *EXACT, "hydra.run.dir=r")
    assert code == 0, err
    written = pd.read_csv(tmp_path / "r" / "pareto.csv")
    pd.testing.assert_frame_equal(found.front_table(), written, check_dtype=False, check_exact=True)
    assert found.plan_markdown() == (tmp_path / "r" / "plan.md").read_text()
    every = pd.read_csv(tmp_path / "r" / "candidates.csv.gz", keep_default_na=False)
    pd.testing.assert_frame_equal(found.candidates_table(), every, check_dtype=False, check_exact=True)
    (row,) = plans_of(written[written.recommended])
    assert row == found.recommended


def test_plans_of_the_search_score_as_the_search_says(found):
    table = found.candidates_table().iloc[::97].reset_index(drop=True)
    scores = search.evaluate(CASE, plans_of(table))
    assert list(scores.columns) == list(table.columns)
    for name in table:
        if table[name].dtype == float:  # sums of other lengths may round otherwise
            np.testing.assert_allclose(scores[name], table[name], rtol=1e-12)
        else:
            assert (scores[name] == table[name]).all(), name


def test_overrides_and_the_default_menu():
    plan = [{"tp": 8, "batch": 64}]
    short, long = (search.evaluate(CASE, plan, [f"workload.isl={n}"]).ttft_s[0] for n in (512, 8192))
    assert long > 2 * short
    assert search.evaluate(None, plan, ["model=qwen3_8b"]).shape == search.evaluate(CASE, plan).shape


def test_what_is_left_out_is_one_and_gpus_are_the_fewest():
    table = search.evaluate(CASE, [{"tp": 8}, {"ep": 8}, {"tp": 2, "ep": 8, "dp": 2, "batch": 32}])
    assert plans_of(table) == [
        {"gpus": 8, "dp": 1, "pp": 1, "sp": 1, "tp": 8, "ep": 1, "batch": 1},
        {"gpus": 8, "dp": 1, "pp": 1, "sp": 1, "tp": 1, "ep": 8, "batch": 1},
        {"gpus": 16, "dp": 2, "pp": 1, "sp": 1, "tp": 2, "ep": 8, "batch": 32},
    ]
    given = search.evaluate(CASE, [{"tp": np.int64(8), "batch": np.float64(1.0)}])
    assert plans_of(given) == plans_of(table)[:1]


def test_a_plan_that_misses_a_limit_is_scored_and_says_so():
    (row,) = search.evaluate(CASE, [{"tp": 8, "batch": 64}], ["limits.tpot_s=0.001"]).itertuples()
    assert not row.feasible
    assert row.violated == "tpot"
    assert row.tpot_s > 0.001


def test_figures_without_a_price_are_left_out():
    with_price, without = (
        search.evaluate(CASE, [{"tp": 8}], words)
        for words in ([], ["hardware.price_per_hour=null", "hardware.price_as_of=null"])
    )
    assert "usd_per_million_output_tokens" in with_price
    assert [c for c in with_price if c not in without] == [c for c in with_price if c.startswith("usd_")]


REFUSED = {
    "heads": ({"tp": 3}, "qwen3_235b", "rule vllm.heads_divide.*rule trtllm.heads_divide"),
    "too few gpus": ({"tp": 8, "gpus": 4}, "qwen3_235b", "cannot exist: rule attention_fills_stage"),
    "no such cluster": ({"tp": 4, "dp": 1000, "ep": 4}, "qwen3_235b", "rule fabric_reaches"),
    "replicas": ({"dp": 3, "gpus": 8}, "qwen3_235b", "rule replicas_fill_gpus"),
    "dense": ({"tp": 8, "ep": 8}, "llama_70b_h100", "rule dense_has_one_group"),
    "one engine": ({"tp": 4, "ep": 2, "gpus": 8}, CASE, "refused by vllm: rule vllm.experts_whole_or_split"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_plan_that_no_engine_takes_names_the_rule(name):
    plan, experiment, message = REFUSED[name]
    with pytest.raises(search.InputError, match=message) as caught:
        search.evaluate(experiment, [{"batch": 64, **plan}])
    assert "plans[0]" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_plan_that_is_wrong_is_told_by_its_place():
    with pytest.raises(search.InputError, match=r"plans\[2\].*heads_divide|plans\[2\].*matrices_divide"):
        search.evaluate(CASE, [{"tp": 8}, {"tp": 4}, {"tp": 3}])


BAD = {
    "plans: \\[\\] is empty": {"plans": []},
    "plans: .* give a list": {"plans": {"tp": 8}},
    "plans\\[0\\]: 'tp=8' is no plan": {"plans": ["tp=8"]},
    "unknown key 'tq'; allowed: tp": {"plans": [{"tq": 8}]},
    "plans\\[0\\].tp: 0 is not allowed": {"plans": [{"tp": 0}]},
    "plans\\[0\\].tp: 2.5 is not allowed; give a whole number": {"plans": [{"tp": 2.5}]},
    "plans\\[0\\].batch: nan is not allowed": {"plans": [{"batch": math.nan}]},
    "plans\\[0\\].batch: None is not allowed": {"plans": [{"batch": None}]},
    "plans\\[0\\].tp: True is not allowed": {"plans": [{"tp": True}]},
    "plans\\[0\\].gpus: 99999990000000": {"plans": [{"tp": 10_000_000, "ep": 9_999_999}]},
    "there is no 'nope'": {"experiment": "nope"},
    "experiment: 3 is not allowed": {"experiment": 3},
    "overrides: 'hardware=h200_sxm' is not allowed": {"overrides": "hardware=h200_sxm"},
    "limits.tpot: unknown key": {"overrides": ["+limits.tpot=3"]},
    "hardware: there is no": {"overrides": ["hardware=abacus"]},
    "--config-dir: absent is not a folder": {"config_dir": "absent"},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_one_line(message):
    with pytest.raises(search.InputError, match=message) as caught:
        search.evaluate(**{"experiment": CASE, "plans": [{"tp": 8}], **BAD[message]})
    assert "\n" not in str(caught.value)


def test_a_search_without_a_feasible_plan():
    result = search.run(CASE, [*EXACT, "limits.tpot_s=0.0001"])
    assert result.recommended is None
    assert result.front_table().empty
    assert "recommended" in result.front_table()
    assert "no feasible plan" in repr(result)
    with pytest.raises(search.NoFeasiblePlan, match=r"none of [\d,]+ legal plans .* the nearest"):
        result.plan_markdown()


degree = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 16, 64, 1000, 10_000_000])


@pytest.mark.parametrize("experiment", ["qwen3_235b", "llama_70b_h100", CASE])
@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(DEGREES), degree))
def test_any_plan_is_scored_or_refused_by_a_rule(experiment, plan):
    """Never NaN, never a warning (which a test takes for an error), never another exception."""
    try:
        table = search.evaluate(experiment, [plan])
    except search.InputError as error:
        assert "rule " in str(error) or "is not allowed" in str(error)
        return
    numbers = table.select_dtypes("number")
    assert np.isfinite(numbers).all(axis=None), numbers.T[~np.isfinite(numbers.iloc[0])]
    assert all(table[name][0] == value for name, value in plan.items())


def test_importing_is_light():
    """Under 50 ms: nothing of pandas, NumPy or Hydra; the fastest of five starts beside as many of bare Python."""
    code = "import search, sys; assert not {'numpy', 'pandas', 'hydra', 'search.api'} & set(sys.modules)"

    def seconds(what: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", what], check=True)
        return time.perf_counter() - start

    pairs = [(seconds(code), seconds("pass")) for _ in range(5)]
    assert min(a for a, _ in pairs) - min(b for _, b in pairs) < 0.05


def test_the_door_lists_what_it_offers():
    assert {"run", "evaluate", "InputError"} <= set(dir(search))
    assert search.run is api.run
    with pytest.raises(AttributeError, match="has no attribute 'sorch'"):
        search.sorch  # noqa: B018
