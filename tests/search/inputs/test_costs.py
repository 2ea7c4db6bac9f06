"""Money and energy from end to end: files, intervals, objectives, and what is said where a price is missing."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from costmodel.scores import COSTS
from search.base.paths import conf_dir
from search.evidence.measured.intervals import CLASSES, load_intervals
from search.inputs.typed import typed
from search.optimizer.outcome import Outcome
from search.optimizer.run import run
from search.render.document import collect, render_plan
from search.render.front_table import three_digits
from search.render.terminal import print_outcome

PRICED = "hardware.price_per_hour=2.5"
DATED = "hardware.price_as_of=a quote"
POWERED = "hardware.power_w=550"
WORKED = ("+experiment=qwen3_235b", "strategy=exact")


def outcome_of(*overrides: str) -> Outcome:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return run(typed(compose("config", list(overrides))))


@pytest.fixture(scope="module")
def priced() -> Outcome:
    return outcome_of(*WORKED, PRICED, POWERED, "objective=cost")


def rows(path: Path) -> list[dict[str, str]]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return list(csv.DictReader(text.splitlines()))


def test_columns_hold_price_and_power_over_throughput(search, tmp_path):
    code, out, err = search(*WORKED, PRICED, DATED, POWERED, "hydra.run.dir=r")
    assert code == 0, err
    for name in ("pareto.csv", "candidates.csv.gz"):
        for row in rows(tmp_path / "r" / name):
            for end, other in (("", ""), ("_low", "_high"), ("_high", "_low")):
                speed = float(row["output_tokens_per_s" + other]) / int(row["gpus"])
                assert float(row["usd_per_million_output_tokens" + end]) == pytest.approx(2.5 / 0.0036 / speed)
                assert float(row["joules_per_output_token" + end]) == pytest.approx(550 / speed)
    best = rows(tmp_path / "r" / "pareto.csv")[0]
    assert f"USD {three_digits(float(best['usd_per_million_output_tokens']))} (" in out
    assert f"USD {three_digits(2.5 * int(best['gpus']))} an hour for {best['gpus']} GPUs" in out
    assert f"at most {three_digits(float(best['joules_per_output_token']))} (" in out


def test_unknown_figures_are_empty_cells_and_said_nowhere(search, tmp_path):
    code, out, err = search(*WORKED, PRICED, DATED, "hydra.run.dir=r")
    assert code == 0, err
    for name in ("pareto.csv", "candidates.csv.gz"):
        found = rows(tmp_path / "r" / name)
        assert {row["joules_per_output_token" + end] for row in found for end in ("", "_low", "_high")} == {""}
        assert all(row["usd_per_million_output_tokens"] for row in found)
    assert " J " not in out
    page = (tmp_path / "r" / "plan.md").read_text()
    assert "an hour at 2.50 USD a GPU" in page
    assert " J |" not in page


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("objective=cost", "objective.columns.usd_per_million_output_tokens"),
        ("objective=energy", "objective.columns.joules_per_output_token"),
        ("+objective.ties.joules_per_output_token=min", "objective.ties.joules_per_output_token"),
        (
            "baselines=[{name: x, layout: {gpus: 8, tp: 8}, batch: 1, claims: {usd_per_million_output_tokens: 2}}]",
            "baselines[0].claims.usd_per_million_output_tokens",
        ),
    ],
)
def test_a_figure_without_its_price_is_refused_in_one_line(search, tmp_path, asked, message):
    code, out, err = search(*WORKED, asked)
    field = "power_w=WATTS" if "joules" in message else "price_per_hour=USD"
    assert code == 2
    assert err.startswith(f"error: {message}: hardware 'Worked case, 64 GB accelerator' has hardware.")
    assert f"set hardware.{field}" in err
    assert err.count("\n") == 1
    assert not out
    assert not list(tmp_path.rglob("pareto.csv"))


@pytest.mark.parametrize("hardware", ["hardware=h100_sxm", "hardware=gh200"])  # with a price in the catalog; without
def test_a_price_has_a_date_of_its_own(search, tmp_path, hardware):
    code, _, err = search("model=qwen3_8b", hardware, PRICED, "hydra.run.dir=r")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("error: hardware.price_per_hour: 2.5 has no date and place")
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("text", ["-1", "0", "nan", "inf"])
@pytest.mark.parametrize("field", ["price_per_hour", "power_w"])
def test_a_price_is_above_zero(search, field, text):
    code, _, err = search(*WORKED, f"hardware.{field}={text}")
    assert code == 2
    assert err.startswith(f"error: hardware.{field}: ")


def test_the_cheapest_plan_is_recommended(priced: Outcome) -> None:
    cost = priced.scores.usd_per_million_output_tokens
    assert cost is not None
    assert priced.choice is not None
    kept = np.flatnonzero(priced.scores.feasible)
    assert cost[priced.choice.recommended] == cost[kept].min()
    assert priced.objectives.names[0] == "usd_per_million_output_tokens"


def test_intervals_turn_over_with_the_throughput(priced: Outcome) -> None:
    """At the high end of the throughput a token costs least."""
    for c in range(len(CLASSES)):
        classes, one = np.array([c]), np.array([1.0])
        low, high = load_intervals().of("output_tokens_per_s", classes, one)
        for figure in COSTS:
            cheap, dear = load_intervals().of(figure, classes, one)
            assert cheap[0] <= 1.0 <= dear[0]
            np.testing.assert_allclose([cheap[0] * high[0], dear[0] * low[0]], 1.0)


def test_a_runner_up_is_told_apart_by_the_interval_of_its_cost(priced: Outcome) -> None:
    """The deciding figure is a cost: its interval decides whether the two can be told apart, as it does for speed."""
    by_speed = outcome_of(*WORKED).choice
    assert by_speed is not None
    assert priced.choice is not None
    assert priced.choice.runner_up_apart == by_speed.runner_up_apart is False


def test_the_document_has_the_figures_and_their_inputs(priced: Outcome) -> None:
    values, text = collect(priced), render_plan(priced)
    for name in COSTS:
        assert f"recommended.{name}" in values
        assert f"baseline.0.{name}" in values
        assert f"front.0.{name}_low" in values or name == "joules_per_output_token"
    assert "at most 550 W a GPU" in text
    assert "the energy is a bound" in text
    assert "| a million tokens |" in text


def test_a_claimed_cost_is_judged_from_the_price(priced: Outcome) -> None:
    claim = (
        "baselines=[{name: x, layout: {gpus: 8, tp: 4, ep: 8}, batch: 64, claims: {usd_per_million_output_tokens: %s}}]"
    )
    for claimed, verdict in ((0.001, "fails"), (1000.0, "holds, with room")):
        text = render_plan(outcome_of(*WORKED, PRICED, claim % claimed))
        (row,) = [
            line
            for line in text.splitlines()
            if line.startswith("| cost per million output tokens | ") and "**" in line
        ]
        assert f"**{verdict}**" in row
        assert "2.50 USD an hour over" in row


def test_the_terminal_says_both(priced: Outcome, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    print_outcome(priced, tmp_path)
    assert "USD " in capsys.readouterr().out
