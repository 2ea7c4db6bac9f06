"""What ``search.render.launch`` writes, ``search.commands.audit`` reads back as the same plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from costmodel.engine import ENGINES
from search.commands.audit.command import read_command
from search.commands.audit.inputs import with_model
from search.commands.audit.settings import launched
from search.inputs.compose import composed
from search.optimizer.outcome import Outcome
from search.optimizer.run import run
from search.render.launch.refusals import start_refusal
from search.render.launch.script import inline
from search.render.launch.server import server_of
from search.render.launch.vllm import graph_tokens
from search.render.launch.write import launch_files

CASES = {
    "worked case": ["+experiment=qwen3_235b"],
    "block FP8": ["+experiment=qwen3_235b", "model=qwen3_235b_fp8", "hardware=h200_sxm", "engine=vllm"],
    "dense": ["+experiment=llama_70b_h100"],
    "pipelines": ["+experiment=qwen3_235b", "hardware=h200_sxm", "space.pp=[1,2,4]", "space.sp=[1,2]"],
    "latent": [
        "engine=any",
        "model=deepseek_v3",
        "hardware=b200_sxm",
        "space=two_nodes",
        "space.sp=[1,2]",
        "space.batch=[64,100]",
    ],
}
MOST = 50


@pytest.fixture(scope="module", params=CASES)
def outcome(request: pytest.FixtureRequest) -> Outcome:
    return run(composed([*CASES[request.param], "strategy=exact"]))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_plan_is_read_back(outcome: Outcome, engine: str) -> None:
    takes = np.flatnonzero(outcome.engines[ENGINES.index(engine)])
    chosen = np.random.default_rng(0).permutation(takes)[:MOST]
    read = 0
    for row in chosen:
        server = server_of(outcome.config, outcome.scenario, outcome.plans, outcome.scores, int(row))
        if start_refusal(server, engine) is not None:
            continue
        command = read_command(engine, inline(server, engine, "trtllm.yaml"))
        named = [] if "MODEL" not in command.model else ["model=given"]  # TensorRT-LLM casts nothing: bring your own
        config, _ = with_model(outcome.config, command, named)
        found = launched(command, config, server.dp)
        plan = outcome.plans.row(int(row))
        group = -(-plan["batch"] // server.attn_dp)
        assert found.layout | {"batch": found.batch} == plan | {"batch": group * server.attn_dp}
        assert found.config.engine.max_batched_tokens == server.tokens
        assert not found.unmodelled
        assert not found.findings
        assert found.config.engine.stream_interval == outcome.config.engine.stream_interval
        if engine == "vllm":
            told = graph_tokens(server) if server.captured_tokens else min(2 * group, 512)
            assert found.config.engine.captured_tokens == min(told, server.tokens)
            assert found.config.limits.memory_fraction == pytest.approx(outcome.config.limits.memory_fraction)
        read += 1
    assert read >= 20


def test_weights_and_cache_are_read_back() -> None:
    """The worked case's model is not in the hub as it is: the command names the published one and casts it."""
    outcome = run(composed([*CASES["worked case"], "strategy=exact"]))
    server = server_of(outcome.config, outcome.scenario, outcome.plans, outcome.scores, int(outcome.front[0]))
    command = read_command("vllm", inline(server, "vllm", ""))
    config, _ = with_model(outcome.config, command, [])
    model = launched(command, config, server.dp).config.model
    assert (model.name, model.weights, model.kv_cache) == ("Qwen/Qwen3-235B-A22B", "fp8", "fp8")


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_script_of_a_run_is_read_too(engine: str, tmp_path: Path) -> None:
    """With its variables: the model's name stands in one."""
    outcome = run(composed([*CASES["worked case"], "hardware=h200_sxm", "strategy=exact"]))
    assert outcome.choice is not None
    row = outcome.choice.recommended
    text = launch_files(outcome)[f"{engine}.sh"]
    command = read_command(engine, text)
    assert command.model == "Qwen/Qwen3-235B-A22B"
    found = launched(command, with_model(outcome.config, command, [])[0], int(outcome.plans.dp[row]))
    assert found.layout | {"batch": found.batch} == outcome.plans.row(row)
    other = replace(outcome.choice, recommended=int(outcome.front[-1]))
    assert launch_files(replace(outcome, choice=other))[f"{engine}.sh"] != text
