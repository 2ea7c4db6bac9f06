"""Texts cut as a shell cuts them: bash itself says what the words are."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.base.errors import InputError
from search.commands.audit.command import Command, read_command
from search.commands.audit.shell import simple_commands

PIECES = [
    "vllm",
    "serve",
    "a",
    " ",
    " ",
    "\n",
    "\\\n",
    "'",
    '"',
    "\\",
    "#",
    ";",
    "&&",
    "|",
    " > f ",
    " 2>&1 ",
    "=",
    "-x",
]


def by_bash(text: str) -> list[list[str]] | None:
    """The words of each command as bash has them, every program being one that prints them; ``None``: an error. Pipes
    and conditions go on to the next, so that all of them are seen."""
    names = "vllm serve a -x ="
    functions = "\n".join(
        # in one piece: the commands of a pipe run side by side
        f"function {n} {{ printf '%s\\0' {n} \"$@\" $'\\1' >&9; return 0; }}"
        for n in names.split()[:3]
    )
    result = subprocess.run(
        ["bash", "-c", f"exec 9>&1; cd /dev/shm; {functions}\neval \"$1\"", "bash", text],
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    if result.stderr:
        return None
    return [call.split("\0")[:-1] for call in result.stdout.split("\1\0")[:-1]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
@example("vllm serve 'a b' \\\n  -x \"c # d\" # not\nserve a;vllm")
@example("vllm serve a 2>&1 | serve a")
@example("vllm a#b '#c' \\# \\'")
def test_words_are_those_of_bash(text: str) -> None:
    expected = by_bash(text)
    if expected is None:
        return
    found = [list(c.words) for c in simple_commands(text) if c.words[0] in ("vllm", "serve", "a")]
    assert sorted(found) == sorted(expected)


SERVER = "vllm serve Qwen/Qwen3-32B -tp 2"
K8S = """
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
      - name: sidecar
        image: busybox
        command: ["sleep", "1"]
      - name: server
        image: vllm/vllm-openai:v0.33.0
        env:
        - name: NAME
          value: Qwen/Qwen3-32B
        args: ["--model", "$(NAME)", "--tensor-parallel-size", "2"]
"""
COMPOSE = """
services:
  one:
    image: vllm/vllm-openai
    environment: [TP=2]
    command: >
      --model Qwen/Qwen3-32B
      --tensor-parallel-size ${TP}
"""
TEXTS = [
    SERVER,
    f"{SERVER} \\",
    f"{SERVER} # the old one: -tp 8",
    f"# -tp 4\n{SERVER}\nvllm bench serve --model Qwen/Qwen3-8B -tp 8",
    f"export A=1 && {SERVER} && echo -tp 4",
    f"nohup {SERVER} > log.txt 2>&1 &",
    "vllm serve -tp 2 Qwen/Qwen3-32B",
    "vllm serve --trust-remote-code --enable-auto-tool-choice Qwen/Qwen3-32B -tp=2",
    "vllm serve --some-new-switch Qwen/Qwen3-32B -tp 2",
    "python -m vllm.entrypoints.openai.api_server --model Qwen/Qwen3-32B --tensor_parallel_size=2",
    "docker pull vllm/vllm-openai:v0.33.0\ndocker run -e A=b vllm/vllm-openai:v0.33.0 --model Qwen/Qwen3-32B -tp 2",
    "docker run --rm nvidia/vllm:25 vllm serve Qwen/Qwen3-32B -tp 2",
    "docker exec box bash -lc 'vllm serve Qwen/Qwen3-32B -tp 2 --port 1'",
    "TP=2; M=Qwen/Qwen3-32B\nvllm serve $M -tp ${TP} --host ${HOST:-0.0.0.0}",
    "vllm serve Qwen/Qwen3-32B -tp ${TP:-2}",
    "docker run --entrypoint vllm vllm/vllm-openai:v0.33.0 serve Qwen/Qwen3-32B -tp 2",
    K8S,
    f"kubectl create namespace a\nkubectl apply -f - <<'EOF'\n{K8S}EOF\nkubectl wait -n a pod/b",
    f"cat > pod.yaml <<EOF\n{K8S}EOF\nkubectl apply -f pod.yaml",
    f"ssh node1 bash -s <<EOF\ncd models\n{SERVER}\nEOF\n",
    COMPOSE,
    '["vllm", "serve", "Qwen/Qwen3-32B", "-tp", "2"]',
    'command: ["/bin/sh", "-c"]\nargs: ["exec vllm serve Qwen/Qwen3-32B -tp 2"]',
    "- --model\n- Qwen/Qwen3-32B\n- --tensor-parallel-size\n- '2'\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_every_way_to_write_one_server(text: str) -> None:
    read = read_command("vllm", text)
    assert (read.model, dict(read.given)) == ("Qwen/Qwen3-32B", {"tp": "2"})


def test_what_is_pulled_or_shown_is_no_server() -> None:
    for text in (
        "docker pull vllm/vllm-openai",
        "echo vllm-openai",
        "docker images vllm/vllm-openai",
        "echo 'x vllm serve y'",
        "cat <<EOF\nvllm serve y\nEOF",
    ):
        with pytest.raises(InputError, match="starts no vllm server"):
            read_command("vllm", text)


def test_several_servers_are_listed_and_one_is_chosen() -> None:
    text = "vllm serve A/a -tp 2 --api-key sk-x &\nvllm serve B/b -tp 4\n"
    first, second = read_command("vllm", text), read_command("vllm", text, 2)
    assert (first.model, second.model) == ("A/a", "B/b")
    assert any("2 servers" in n and "A/a" in n and "B/b" in n and "--command N" in n for n in first.notes)
    assert "sk-x" not in repr(first) + repr(second)
    for wrong in (0, 3):
        with pytest.raises(InputError, match="--command: "):
            read_command("vllm", text, wrong)


OTHERS = [
    ("sglang",
     "python3 -m sglang.launch_server --model M --tp 4 --dp 4 --ep 4 --enable-dp-attention --cuda-graph-max-bs 64",
     {"width": "4", "dp": "4", "ep": "4", "old_attn_dp": "", "graphs": "64"}),
    ("sglang", "sglang serve --model-path M --tp-size=8", {"width": "8"}),
    ("trtllm", "trtllm-serve M --tp_size 4 --ep_size 4 --max_batch_size 64 --kv_cache_free_gpu_memory_fraction 0.8",
     {"width": "4", "ep": "4", "batch": "64", "memory": "0.8"}),
    ("trtllm", "mpirun -n 8 trtllm-llmapi-launch trtllm-serve serve M --backend pytorch --pp_size 2", {"pp": "2"}),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "text", "given_"), OTHERS)
def test_other_engines_and_older_flags(engine: str, text: str, given_: dict[str, str]) -> None:
    read: Command = read_command(engine, text)
    assert (read.model, dict(read.given)) == ("M", given_)


def test_aliases_in_yaml_are_not_followed() -> None:
    text = "args: &a [x]\n" + "\n".join(f"b{i}: [*a, *a]" for i in range(3)) + "\nimage: vllm/vllm-openai\n"
    with pytest.raises(InputError, match="aliases"):
        read_command("vllm", text)
