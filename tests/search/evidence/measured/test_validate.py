"""The command: its file, its tables, its exit codes."""

import csv

import pytest
from measured_cases import PUBLISHED, SILICON

from search.commands.validate import main

HEADER = ["ttft_ms", "tpot_ms", "output_tokens_per_s_per_gpu"]


def lines(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("base", "key"), [(SILICON, "row"), (PUBLISHED, "id")])
def test_out_has_a_line_for_every_row_in_order(table, tmp_path, capsys, base, key):
    path = table(base, {key: "b"}, {key: "=cmd()", "engine": "?"}, {key: "a"}, {key: "b"})
    out = tmp_path / "predictions.csv"
    assert main([str(path), "--out", str(out)]) == 0
    found = lines(out)
    assert list(found[0]) == [key, *(n + s for n in HEADER for s in ("", "_low", "_high")), "coverage", "skipped"]
    assert [line[key] for line in found] == ["b", "'=cmd()", "a", "b"]
    assert found[0] == found[3]
    assert float(found[0]["tpot_ms"]) > 1.0  # milliseconds
    assert found[1]["tpot_ms"] == ""
    assert "engine" in found[1]["skipped"]
    printed = capsys.readouterr().out
    assert "4 rows, 3 predicted, 1 skipped" in printed
    assert "engine '?' is not known" in printed


def test_a_peer_stands_beside(table, tmp_path, capsys):
    path = table(SILICON, {"row": "a"}, {"row": "b", "tp": "4", "attn_dp": "2", "concurrency": "64"})
    peer = tmp_path / "peer.csv"
    peer.write_text("row,pred_ttft_ms,pred_tpot_ms,tokens_s_gpu\nb,100,12.6,80\nelse,1,1,1\n")
    assert main([str(path), "--compare", str(peer)]) == 0
    printed = capsys.readouterr().out
    assert "Beside peer.csv" in printed
    assert "5.0%" in printed


BAD = [
    (["missing.csv"], "missing.csv"),
    (["wrong.csv"], "columns"),
    (["lacking.csv"], "'model'"),
    (["good.csv", "--models", "nowhere"], "--models"),
    (["good.csv", "--out", "no/where.csv"], "--out"),
    (["good.csv", "--compare", "wrong.csv"], "wrong.csv"),
    (["good.csv", "--compare", "missing.csv"], "missing.csv"),
]


@pytest.mark.parametrize(("arguments", "word"), BAD)
def test_bad_input_is_one_line_and_exit_2(table, tmp_path, monkeypatch, capsys, arguments, word):
    monkeypatch.chdir(tmp_path)
    table(SILICON, {}, name="good.csv")
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    table({k: v for k, v in SILICON.items() if k != "model"}, {}, name="lacking.csv")
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert word in captured.err


def test_a_failed_write_leaves_nothing(table, tmp_path, capsys):
    path, out = table(SILICON, {}), tmp_path / "taken"
    out.mkdir()
    before = sorted(tmp_path.iterdir())
    assert main([str(path), "--out", str(out)]) == 2
    assert sorted(tmp_path.iterdir()) == before


def test_every_row_of_the_open_files_has_a_line(data, tmp_path, capsys):
    for name in ("silicon_dev.csv", "published_dev.csv"):
        out = tmp_path / name
        assert main([str(data / name), "--out", str(out)]) == 0
        key = "row" if name.startswith("silicon") else "id"
        assert [line[key] for line in lines(out)] == [line[key] for line in lines(data / name)]
