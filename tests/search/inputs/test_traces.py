"""Traces are read by the names that public ones have, line by line, and refused in one line."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from search.base.errors import InputError
from search.inputs.traces import read_trace

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:05.0319600,12,0
"""
MOONCAKE = [
    {"timestamp": 0, "input_length": 1100, "output_length": 500, "hash_ids": [0, 1, 2]},
    {"timestamp": 2500, "input_length": 1024, "output_length": 4, "hash_ids": [0, 3]},
]


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def test_azure(tmp_path: Path) -> None:
    found = read_trace(write(tmp_path / "a.csv.gz", AZURE), 10)
    assert found.arrival_s.tolist() == pytest.approx([0.0, 0.052, 1.052])
    assert found.prompt_tokens.tolist() == [4808, 3180, 12]
    assert found.answer_tokens.tolist() == [10, 8, 1], "an answer that was cut off still had its first token"
    assert found.blocks is None


def test_mooncake_has_milliseconds_and_whole_blocks(tmp_path: Path) -> None:
    found = read_trace(write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, MOONCAKE))), 10)
    assert found.arrival_s.tolist() == [0.0, 2.5]
    assert found.blocks == [(0, 1), (0, 3)] and found.block_tokens == 512


def test_our_own_columns_and_no_more_than_asked(tmp_path: Path) -> None:
    text = "arrival_s,prompt_tokens,answer_tokens\n" + "".join(f"{i},10,2\n" for i in range(100))
    assert len(read_trace(write(tmp_path / "o.csv", text), 7)) == 7


def test_servegens_requests_hold_their_lengths_one_deeper(tmp_path: Path) -> None:
    lines = [
        {"request_id": i, "timestamp": 10.0 + i, "data": {"input_tokens": 7, "output_tokens": 5}} for i in range(3)
    ]
    found = read_trace(write(tmp_path / "s.jsonl", "\n".join(map(json.dumps, lines))), 10)
    assert found.arrival_s.tolist() == [0.0, 1.0, 2.0] and set(found.prompt_tokens) == {7}
    flat = "request_id,timestamp,input_tokens,output_tokens\n0,1.5,7,5\n1,2.0,8,5\n"
    assert read_trace(write(tmp_path / "s.csv", flat), 10).arrival_s.tolist() == [0.0, 0.5]


HEAD = "arrival_s,prompt_tokens,answer_tokens\n"
BAD = {
    "empty": (HEAD, "holds no request"),
    "unsorted": (HEAD + "2,1,1\n1,1,1\n", "request 2: comes before the one above it"),
    "negative": (HEAD + "0,-5,1\n", "request 1: prompt_tokens '-5' is not allowed"),
    "negative time": (HEAD + "-1,5,1\n", "request 1: arrival_s '-1' is not allowed"),
    "a gap": (HEAD + "0,5,1\n1,,1\n", "request 2: lacks a column"),
    "no number": (HEAD + "0,many,1\n", "'many' is not allowed"),
    "half a token": (HEAD + "0,1.5,1\n", "'1.5' is not allowed"),
    "not a number": (HEAD + "nan,1,1\n", "'nan' is not allowed"),
    "no date": (HEAD + "yesterday,1,1\n", "neither seconds nor a date"),
    "no columns": ("a,b\n1,2\n", "lacks a column; give one of arrival_s"),
    "endless line": (HEAD + "1" * 1_100_000, "longer than 1000000 characters"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_one_line(name: str, tmp_path: Path) -> None:
    text, said = BAD[name]
    with pytest.raises(InputError) as error:
        read_trace(write(tmp_path / "t.csv", text), 100)
    assert said in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("line", ["[1, 2]", "{", '{"a":' * 100_000, "7"])
def test_json_that_is_no_request(line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no JSON object of one line"):
        read_trace(write(tmp_path / "t.jsonl", line), 100)


def test_a_folder_another_suffix_and_damaged_gzip(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(AZURE.encode())[:-20])
    write(tmp_path / "x.txt", AZURE)
    for name in ("x.csv", "x.csv.gz", "x.txt", "none.csv"):
        with pytest.raises(InputError, match=r"x\.|none"):
            read_trace(tmp_path / name, 10)


def test_many_requests_take_little_memory(tmp_path: Path) -> None:
    """No more than asked is read, and 24 bytes a request are kept while it is."""
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write(HEAD)
        for i in range(60_000):
            file.write(f"{i},10,2\n")
    tracemalloc.start()
    assert len(read_trace(path, 20_000)) == 20_000
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100 * 20_000 + 100_000


def test_hashes_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.inputs.traces.MOST_BLOCKS", 2)
    with pytest.raises(InputError, match="request 2: more than 2 hash_ids in all; give fewer --requests"):
        read_trace(write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, MOONCAKE))), 10)


def test_hashes_of_any_size_stay_apart(tmp_path: Path) -> None:
    """Hashes of 128 bits are as good as small ones."""
    big = (1 << 100) + 7
    rows = [[big, big + 1], [big, 3], [-5, 3]]
    lines = [
        json.dumps({"timestamp": 1000 * i, "input_length": 1024, "output_length": 4, "hash_ids": row})
        for i, row in enumerate(rows)
    ]
    path = tmp_path / "big.jsonl"
    path.write_text("\n".join(lines) + "\n")
    found = read_trace(path, 10).blocks
    assert found is not None
    (a, b), (c, d), (e, f) = found
    assert a == c and d == f and len({a, b, d, e}) == 4
    assert np.array(found).dtype == np.int64
