"""Scripts that build their command: arrays, arithmetic, branches, arguments, files in several pieces."""

from __future__ import annotations

import pytest

from search.commands.audit.command import Command, read_command

FLAGS = {"tp": "4", "tokens": "8192"}


def read(text: str) -> Command:
    return read_command("vllm", text)


@pytest.mark.parametrize(
    "text",
    [
        "F=(-tp 4)\nF+=(--max-num-batched-tokens 8192)\nvllm serve M \"${F[@]}\"",
        "F='-tp 4 --max-num-batched-tokens 8192'; vllm serve M $F",
        "N=2\nvllm serve M -tp $((N * 2)) --max-num-batched-tokens $(( 16384 / N ))",
        "ARGS=\"-tp 4\"\nARGS=\"$ARGS --max-num-batched-tokens 8192\"\nCMD=\"vllm serve M $ARGS\"\n$CMD",
        "W=8\nif [ $W -gt 4 ]; then T=4\nelse T=2\nfi\nvllm serve M -tp $T --max-num-batched-tokens 8192",
        "K=a; if [[ $K == b ]]; then T=2; elif [[ $K == a ]]; then T=4; fi\n"
        "vllm serve M -tp $T --max-num-batched-tokens 8192",
        "T=2; [ -n \"$T\" ] && T=4; vllm serve M -tp $T --max-num-batched-tokens 8192",
        "bash -c 'exec vllm serve M \"$@\"' x -tp 4 --max-num-batched-tokens 8192",
        "E=\"\"; vllm serve M $E -tp 4 --max-num-batched-tokens 8192",
    ],
)  # fmt: skip
def test_words_of_variables(text: str) -> None:
    found = read(text)
    assert found.model == "M"
    assert {name: found.given[name] for name in FLAGS} == FLAGS
    assert not found.unmodelled


def test_a_branch_that_is_not_taken_starts_nothing() -> None:
    text = "P=1\nif [ $P -eq 2 ]; then\n  vllm serve A -tp 2\nelse\n  vllm serve B -tp 8\nfi"
    found = read(text)
    assert (found.model, found.given["tp"]) == ("B", "8")


def test_a_quoted_variable_stays_one_word() -> None:
    found = read("N='Qwen/Qwen3 32B'; vllm serve \"$N\" -tp 2")
    assert found.model == "Qwen/Qwen3 32B"


def test_a_placeholder_is_a_word() -> None:
    found = read("vllm serve M -tp 2 --port <port> --max-num-seqs 7")
    assert found.given["batch"] == "7"


def test_a_file_in_two_pieces() -> None:
    text = "echo 'tensor-parallel-size: 4' > c.yaml\necho 'max-num-seqs: 9' >> c.yaml\nvllm serve M --config c.yaml"
    found = read(text)
    assert (found.given["tp"], found.given["batch"]) == ("4", "9")
