"""``launch/`` of a run: the recommended plan for each engine."""

from __future__ import annotations

from costmodel.plans import Plans
from costmodel.scores import Scores
from search.optimizer.outcome import Outcome
from search.optimizer.rules.facts import facts_of
from search.render.launch.engines import LAUNCHED, refusal
from search.render.launch.script import refused_script, refused_yaml, script
from search.render.launch.server import server_of
from search.render.launch.shell import comment
from search.render.launch.trtllm import yaml_text


def launch_files(outcome: Outcome) -> dict[str, str]:
    """Names below ``launch/`` and their texts; none without a recommended plan. What an engine refuses is written as
    a script that says so and fails."""
    if outcome.choice is None:
        return {}
    row = outcome.choice.recommended
    plan: Plans = outcome.plans.take([row])
    scores: Scores = outcome.scores.take([row])
    facts = facts_of(outcome.scenario)
    server = server_of(outcome.config, outcome.scenario, plan, scores, 0)
    files = {}
    for engine in LAUNCHED:
        refused = refusal(server, plan, facts, engine)
        if refused is None:
            files[f"{engine}.sh"] = script(server, engine, outcome.config)
        else:
            files[f"{engine}.sh"] = refused_script(refused, engine, server)
        if engine == "trtllm":
            head = comment(f"{server.model} on {server.hardware}; plan: {server.words}")
            files["trtllm.yaml"] = f"{head}\n{yaml_text(server)}" if refused is None else refused_yaml(refused, server)
    return files
