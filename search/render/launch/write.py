"""``launch/`` of a run: the recommended plan for each engine."""

from __future__ import annotations

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.inputs.config import read_scenario
from search.inputs.own_engine import as_launched
from search.inputs.schema import Config
from search.optimizer.outcome import Outcome
from search.optimizer.rules.facts import facts_of
from search.render.launch.compose import compose
from search.render.launch.engines import LAUNCHED, refusal
from search.render.launch.kubernetes import manifest
from search.render.launch.script import about, inline, refused_script, refused_yaml, script
from search.render.launch.server import Server, server_of
from search.render.launch.shell import comment
from search.render.launch.slurm import slurm
from search.render.launch.trtllm import yaml_text


def launch_files(outcome: Outcome) -> dict[str, str]:
    """Names below ``launch/`` and their texts; none without a recommended plan. What an engine refuses is written as
    a script that says so and fails."""
    if outcome.choice is None:
        return {}
    row = outcome.choice.recommended
    plan: Plans = outcome.plans.take([row])
    files = {}
    for engine in LAUNCHED:
        config, scenario, scores = scored_for(
            engine, outcome.config, outcome.scenario, plan, outcome.scores.take([row])
        )
        server = server_of(config, scenario, plan, scores, 0)
        refused = refusal(server, plan, facts_of(scenario), engine)
        if refused is None:
            files[f"{engine}.sh"] = script(server, engine, config)
            told = about(server, engine)
            files[f"{engine}.kubernetes.yaml"] = manifest(server, engine, told)
            files[f"{engine}.compose.yaml"] = compose(server, engine, told)
            files[f"{engine}.slurm"] = slurm(server, engine, told)
        else:
            files[f"{engine}.sh"] = refused_script(refused, engine, server)
        if engine == "trtllm":
            files["trtllm.yaml"] = _options(server) if refused is None else refused_yaml(refused, server)
    return files


def start_lines(outcome: Outcome) -> dict[str, str]:
    """By engine that takes the recommended plan, its own first: the command that starts one server."""
    if outcome.choice is None:
        return {}
    plan: Plans = outcome.plans.take([outcome.choice.recommended])
    scores, lines = outcome.scores.take([outcome.choice.recommended]), {}
    for engine in sorted(LAUNCHED, key=lambda name: name != outcome.engine):
        config, scenario, own = scored_for(engine, outcome.config, outcome.scenario, plan, scores)
        server = server_of(config, scenario, plan, own, 0)
        if refusal(server, plan, facts_of(scenario), engine) is None:
            lines[engine] = inline(server, engine)
    return lines


def scored_for(
    engine: str, config: Config, scenario: Scenario, plan: Plans, scores: Scores
) -> tuple[Config, Scenario, Scores]:
    """A plan as one engine would run it, which its own script predicts."""
    if scenario.engine.name == engine:
        return config, scenario, scores
    config = as_launched(config, engine)
    scenario = read_scenario(config, scenario.model)
    return config, scenario, evaluate(scenario, plan)


def _options(server: Server) -> str:
    head = comment(f"{server.model} on {server.hardware}; plan: {server.words}")
    return f"{head}\n{yaml_text(server)}"
