"""Quantiles in which a family weighs as the square root of its rows, and the command on a small file."""

import csv

import numpy as np
import pytest

from search.commands.fidelity import main
from search.evidence.measured.interval_fit import quantiles


def test_families_weigh_as_the_square_root_of_their_rows():
    """A thousand rows of one family at zero do not drown a hundred of another at one, which are 9 % of all rows."""
    values = np.concatenate([np.zeros(1000), np.ones(100)])
    labels = np.array(["many"] * 1000 + ["few"] * 100)
    low, high = quantiles(values, labels)
    assert (low, high) == (0.0, 1.0)
    assert quantiles(np.linspace(0, 1, 1001), np.array(["a"] * 1001)) == pytest.approx((0.1, 0.9), abs=1e-3)


def test_rows_that_are_no_numbers_do_not_count():
    assert quantiles(np.array([1.0, np.nan, 1.0]), np.array(["a", "b", "a"])) == (1.0, 1.0)


def test_command_on_two_families(data, tmp_path, capsys):
    with (data / "silicon_dev.csv").open(newline="") as file:
        rows = [
            r for r in csv.DictReader(file) if r["mode"] == "agg" and "70B" in r["model"] and r["system"] != "b200_sxm"
        ]
    path = tmp_path / "few.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[::6])
    peer = tmp_path / "peer.csv"
    peer.write_text("row,pred_ttft_ms,pred_tpot_ms\n" + "".join(f"{r['row']},1,1\n" for r in rows[::12]))
    assert main([str(path), "--rounds", "1", "--compare", str(peer)]) == 0
    printed = capsys.readouterr().out
    assert "leave one family out" in printed
    assert "80 % intervals of TPOT" in printed
    for title in ("all rows in the fit", "one family", "one model", "one system", "one engine"):
        assert f"{title}, rows of peer.csv: {len(rows[::12])} rows" in printed


def test_bad_file(tmp_path, capsys):
    assert main([str(tmp_path / "absent.csv")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
