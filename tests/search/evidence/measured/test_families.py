"""Errors, ranks and regret, by hand."""

import math

import pytest
from measured_cases import PUBLISHED, SILICON

from search.evidence.measured.errors import age, errors
from search.evidence.measured.families import Option, ranking, ranks, regret, spearman
from search.evidence.measured.peers import read_peer
from search.evidence.measured.predict import Figure, Prediction
from search.evidence.measured.rows import read_rows


def option(layout, tpot, speed, guessed_tpot, guessed_speed, setting="s"):
    return Option((setting,), (layout,), tpot / 1e3, speed, guessed_tpot / 1e3, guessed_speed)


def test_ranks_share_ties():
    assert ranks([10, 30, 20, 20]).tolist() == [1.0, 4.0, 2.5, 2.5]
    assert spearman([1, 2, 3], [1, 4, 9]) == pytest.approx(1.0)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert math.isnan(spearman([1, 2], [5, 5]))


def test_regret_by_hand():
    rows = [
        option("a", 14, 100, 12, 100),  # the truth's best at 15 ms
        option("b", 18, 300, 14, 200),  # promised at 15 ms, keeps only 20
        option("b", 25, 200, 26, 400),  # promised and kept at 30 ms, slower than the other b
        option("c", 60, 600, 40, 900),  # promised at 50 ms, keeps only 100
    ]
    # limit:  15        20       30        50          100
    # pick:   b18       b18      b25       c60         c60
    # best:   a 100     b 300    b 300     b 300       c 600
    # loss:   0         0        1/3       0           0
    # kept:   no        yes      yes       no          yes
    found = regret(rows)
    assert (found.settings, found.decisions, found.abstained, found.hopeless) == (1, 5, 0, 0)
    assert found.loss == pytest.approx(1 / 15)
    assert found.loss_kept == pytest.approx(1 / 9)
    assert found.kept == pytest.approx(3 / 5)
    assert found.nearly_kept == pytest.approx(3 / 5)


def test_abstaining_is_no_decision_and_one_layout_is_no_choice():
    rows = [option("a", 40, 100, 60, 100), option("b", 90, 200, 95, 200)]
    found = regret(rows)
    assert (found.decisions, found.abstained) == (1, 4)
    assert regret(rows[:1]).settings == 0
    # Promised where nothing measured keeps the limit: a broken limit without a loss.
    broken = regret([option("a", 200, 1, 10, 1), option("b", 300, 2, 500, 2)])
    assert (broken.decisions, broken.hopeless, broken.kept) == (5, 5, 0.0)
    assert math.isnan(broken.loss)


def test_ranking_looks_inside_settings():
    rows = [option(i, 1, speed, 1, speed if s == "x" else -speed, s) for s in "xy" for i, speed in enumerate((1, 2, 3))]
    found = ranking(rows)
    assert (found.settings, found.mean, found.worst) == (2, pytest.approx(0.0), pytest.approx(-1.0))


def test_errors_by_hand(table):
    changes = [{"row": "1"}, {"row": "2"}, {"row": "3", "system": "h100_sxm"}]
    rows = read_rows(table(SILICON, *changes, {"row": "4", "tpot_ms": ""}))
    truth = 0.012
    guesses = [Figure(truth * 1.1, truth, truth * 1.2), Figure(truth * 0.7, truth * 0.6, truth * 0.8)]
    guesses += [Figure(truth * 1.5), Figure(truth)]
    found = errors([Prediction(m, tpot_s=g) for m, g in zip(rows, guesses, strict=True)])
    e = found["tpot_s"]
    assert (e.rows, e.families, e.intervals) == (3, 2, 2)  # a row that does not measure TPOT is not compared
    assert e.mean == pytest.approx(0.3)
    assert e.median == pytest.approx(0.3)
    assert e.bias == pytest.approx(0.1)
    assert e.family_mean == pytest.approx((0.2 + 0.5) / 2)
    assert e.inside == pytest.approx(0.5)
    assert found["ttft_s"].rows == 0


@pytest.mark.parametrize(
    ("engine", "version", "said"),
    [
        ("vLLM", "0.8.5", "modern"),
        ("vllm", "0.7.3", "older"),
        ("sglang", "v0.5.9-rocm700-mi35x", "modern"),
        ("TensorRT-LLM", "post-1.0 (1.1/1.2 era)", "modern"),
        ("TensorRT-LLM", "0.17", "older"),
        ("TensorRT-LLM", "mid-2024", "version not known"),
        ("SGLang", "", "version not known"),
        ("atom", "1.0", "version not known"),
    ],
)
def test_age_of_an_engine(table, engine, version, said):
    (row,) = read_rows(table(PUBLISHED, {"engine": engine, "engine_version": version}))
    assert age(row) == said


PEERS = [("peer_predictions_dev.csv", 950, 0.242, 0.147, 0.478, 0.441),
         ("peer_aisimulate_dev.csv", 276, 0.136, 0.091, 0.463, 0.320)]  # fmt: skip


@pytest.mark.parametrize(("name", "rows", "tpot", "tpot_median", "ttft", "ttft_median"), PEERS)
def test_the_peers_errors_are_those_the_data_states(data, name, rows, tpot, tpot_median, ttft, ttft_median):
    found = errors(read_peer(data / name, read_rows(data / "silicon_dev.csv")))
    half = 0.0006  # the README gives one decimal of a percentage
    assert found["tpot_s"].rows == found["ttft_s"].rows == rows
    assert found["tpot_s"].mean == pytest.approx(tpot, abs=half)
    assert found["tpot_s"].median == pytest.approx(tpot_median, abs=half)
    assert found["ttft_s"].mean == pytest.approx(ttft, abs=half)
    assert found["ttft_s"].median == pytest.approx(ttft_median, abs=half)


# Losses, losses over picks that keep their limit, limits kept, kept within 5 %: measured here on these rows.
REGRETS = [("peer_predictions_dev.csv", 296, 0.077, 0.084, 0.895, 0.943),
           ("peer_aisimulate_dev.csv", 238, 0.026, 0.026, 0.912, 0.937)]  # fmt: skip


@pytest.mark.parametrize(("name", "decisions", "loss", "loss_kept", "kept", "nearly"), REGRETS)
def test_the_peers_regret_is_what_is_published_of_it(data, name, decisions, loss, loss_kept, kept, nearly):
    from search.evidence.measured.families import options

    found = regret(options(read_peer(data / name, read_rows(data / "silicon_dev.csv"))))
    assert found.decisions == decisions
    assert found.loss == pytest.approx(loss, abs=0.001)
    assert found.loss_kept == pytest.approx(loss_kept, abs=0.001)
    assert found.kept == pytest.approx(kept, abs=0.001)
    assert found.nearly_kept == pytest.approx(nearly, abs=0.001)
