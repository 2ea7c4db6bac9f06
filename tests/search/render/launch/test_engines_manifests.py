"""Kubernetes' own schemas on every manifest: whole objects of its own kinds, and the pods that objects of others have.
Slow and optional as ``test_engines_own``; the environment is that of ``test_engines_routers``."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from test_engines_own import interpreter
from test_scripts import two_nodes
from test_split_launch import DRAFTS, outcome_of
from test_split_slurm import TWO

from costmodel.engine import ENGINES
from search.render.launch.split import split_files

pytestmark = pytest.mark.slow

OTHERS = ("LeaderWorkerSet", "DynamoGraphDeployment")
KUBERNETES = ("1.30", "1.37")


def pods(item):
    """Whole pods of the templates in an object."""
    if isinstance(item, dict):
        if "containers" in item.get("spec", {}):
            meta = {"name": "x", **item.get("metadata", {})}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": item["spec"]}
        for value in item.values():
            yield from pods(value)
    elif isinstance(item, list):
        for value in item:
            yield from pods(value)


def objects(texts):
    for name, text in texts.items():
        if name.endswith((".kubernetes.yaml", ".dynamo.yaml", ".llm-d.yaml")):
            for item in yaml.safe_load_all(text):
                yield from ([item] if item["kind"] not in OTHERS else pods(item))


def ask(repo, items):
    cases = [
        {"id": f"{n} {version} {item['kind']}", "object": item, "kubernetes": version}
        for n, item in enumerate(items)
        for version in KUBERNETES
    ]
    result = subprocess.run(
        [interpreter("routers"), str(repo / "scripts" / "engines" / "manifests_take.py")],
        input="\n".join(json.dumps(case) for case in cases), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(cases), result.stderr[-2000:]
    return [f"{a['id']}: {a['error']}" for a in answers if a["error"]]


def test_kubernetes_knows_every_field(repo, run_of, capsys):
    interpreter("routers")
    items = []
    for engine in ENGINES:
        for outcome in (outcome_of(f"engine={engine}", *DRAFTS), outcome_of(*TWO[1:], f"engine={engine}")):
            items += objects(split_files(outcome))
    folders = [two_nodes(run_of, engine) for engine in ENGINES]
    folders.append(
        run_of("+experiment=llama_70b_h100", "space.gpus=8", "space.dp=2", "space.pp=1", "space.tp=4") / "launch"
    )
    for folder in folders:
        items += objects({path.name: path.read_text() for path in folder.glob("*.yaml")})
    assert ask(repo, items) == []
    spoiled = {**items[0], "spek": 1}
    assert len(ask(repo, [spoiled])) == len(KUBERNETES)
    with capsys.disabled():
        kinds = sorted({item["kind"] for item in items})
        print(f"\nKubernetes {' and '.join(KUBERNETES)} take {len(items)} objects: {', '.join(kinds)}")
