"""Dynamo's worker for vLLM on the components of its graph, every layout of both pools; slow and optional as
``test_engines_own``. ``SERVEFRONT_DYNAMO`` names the interpreter of an environment with ai-dynamo and its vLLM."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest
import yaml
from test_engines_own import interpreter
from test_engines_pools import BASE, SPACES, pairs

from search.inputs.compose import composed
from search.optimizer.run import run
from search.render.launch.split import split_files

pytestmark = pytest.mark.slow

COMPONENTS = {"prefill": ("prefill", "kv_producer"), "decode": ("backend", "kv_consumer")}  # Dynamo's name, vLLM's role


def components(found):
    """Arguments of every component of every pair, and its type."""
    seen = {}
    for own, _ in pairs(found):
        files = split_files(replace(found, split=replace(found.split, best=own)))
        *_, graph = yaml.safe_load_all(files["split.dynamo.yaml"])
        for one in graph["spec"]["components"][1:]:
            (container,) = one["podTemplate"]["spec"]["containers"]
            seen[tuple(container["args"])] = one["type"]
    return seen


@pytest.mark.parametrize("experiment", SPACES)
def test_dynamo_takes_every_component(repo, capsys, experiment):
    python = interpreter("dynamo")
    architecture, space = SPACES[experiment]
    found = run(composed([f"+experiment={experiment}", "engine=vllm", *BASE, *space], None))
    model = {**found.config.model.published, "architectures": [architecture], "torch_dtype": "bfloat16"}
    seen = components(found)
    cases = [{"id": str(i), "argv": list(args), "model": model} for i, args in enumerate(seen)]
    wrong = {**cases[0], "id": "wrong", "argv": [*cases[0]["argv"], "--attn-dp-size", "2"]}
    result = subprocess.run(
        [python, str(repo / "scripts" / "engines" / "dynamo_takes.py")],
        input="\n".join(json.dumps(case) for case in [*cases, wrong]), capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    answers = [json.loads(line) for line in result.stdout.splitlines() if line.startswith('{"id"')]
    assert len(answers) == len(cases) + 1, result.stderr[-2000:]
    assert [(a["id"], a["error"]) for a in answers if a["error"]] == [("wrong", answers[-1]["error"])]
    for answer, kind in zip(answers, seen.values(), strict=False):
        assert (answer["component"], answer["part"]) == COMPONENTS[kind]
    with capsys.disabled():
        print(f"\nDynamo {answers[0]['version']} takes {len(cases)} components of vLLM ({experiment})")
