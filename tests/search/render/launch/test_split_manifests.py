"""Split plans in containers: the files hold fields that their readers know, and start what the scripts start."""

from __future__ import annotations

import engine_tables
import pytest
import yaml
from manifest_schemas import PICKER, SCHEMAS, VALUES, faults
from stubs import bash
from test_split_launch import DRAFTS, outcome_of

from search.render.launch.split import split_files

PROGRAM = {"vllm": ["vllm", "serve"], "sglang": ["python3", "-m", "sglang.launch_server"], "trtllm": ["trtllm-serve"]}


@pytest.fixture(scope="module", params=["vllm", "sglang", "trtllm", "two nodes"])
def written(request, tmp_path_factory):
    engine = "vllm" if request.param == "two nodes" else request.param
    more = [
        "space.gpus=[32]",
        "space.split.prefill_gpus=16",
        "space.split.decode_gpus=16",
        "space.ep=[16]",
        "space.dp=2",
    ]
    outcome = outcome_of(f"engine={engine}", *(more if request.param == "two nodes" else DRAFTS))
    folder = tmp_path_factory.mktemp("split")
    files = split_files(outcome)
    for name, text in files.items():
        (folder / name).write_text(text)
    return engine, outcome, folder, files


def objects(files, name):
    return list(yaml.safe_load_all(files[name]))


def test_every_field_is_one_that_its_reader_takes(written):
    engine, _, _, files = written
    names = ["split.kubernetes.yaml", "split.dynamo.yaml", *(["split.llm-d.yaml"] if engine != "trtllm" else [])]
    for name in names:
        assert not any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(files[name]))
        for item in objects(files, name):
            assert faults(item, SCHEMAS[item["kind"]], item["kind"]) == []
            assert _unmounted(item) == []


def _unmounted(item):
    """Mounts of volumes that a pod does not have."""
    spec = item.get("spec", {})
    several = spec.get("leaderWorkerTemplate", {})
    pods = [
        t["spec"] for t in (spec.get("template"), several.get("leaderTemplate"), several.get("workerTemplate")) if t
    ]
    pods += [c["podTemplate"]["spec"] for c in spec.get("components", [])]
    return [
        mount["name"]
        for pod in pods
        for container in (*pod["containers"], *pod.get("initContainers", []))
        for mount in container.get("volumeMounts", [])
        if mount["name"] not in {volume["name"] for volume in pod.get("volumes", [])}
    ]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda d: d["spec"].update(replica=1), "Deployment.spec.replica is unknown"),
        (lambda d: d["spec"].update(replicas="1"), "Deployment.spec.replicas: '1' below 0"),
        (lambda d: d["spec"].pop("selector"), "Deployment.spec.selector is missing"),
        (lambda d: d["metadata"].update(name="Upper"), "Deployment.metadata.name: 'Upper' is not of"),
        (lambda d: d["spec"]["template"]["spec"].update(containers=[]), "containers is no list of anything"),
        (lambda d: d["spec"]["template"]["spec"]["containers"][0].update(args=[1]), "args[0] is no str: 1"),
    ],
)
def test_a_spoiled_manifest_has_a_fault(spoil, fault):
    container = {"name": "c", "image": "i", "args": ["a"]}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container]}}
    item = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "x"}}, "template": template},
    }  # fmt: skip
    assert faults(item, SCHEMAS["Deployment"], "Deployment") == []
    spoil(item)
    (found,) = faults(item, SCHEMAS["Deployment"], "Deployment")
    assert fault in found


def words(item, role="leaderTemplate"):
    """The command of a pod, and its variables."""
    spec = item["spec"]
    template = spec["leaderWorkerTemplate"][role] if "leaderWorkerTemplate" in spec else spec["template"]
    (container,) = template["spec"]["containers"]
    return container["command"], container.get("args", []), {e["name"]: e.get("value") for e in container["env"]}


def test_pools_start_what_the_scripts_start(written, tmp_path):
    """In Kubernetes, and in llm-d but for the port."""
    engine, outcome, folder, files = written
    best = outcome.split.best
    for name, count in (("prefill", int(best.x[0])), ("decode", int(best.y[0]))):
        called = bash(tmp_path, str(folder / f"split.{name}.sh"), HOST="0.0.0.0", PORT="8000", MASTER_ADDR="a")
        assert called[0].returncode == 0, called[0].stderr
        expected = called[1][0][1]
        found = objects(files, "split.kubernetes.yaml")
        (item,) = [x for x in found if x["metadata"]["name"].endswith(name) and x["kind"] in ("StatefulSet",
                   "LeaderWorkerSet")]  # fmt: skip
        assert item["spec"]["replicas"] == count
        command, arguments, variables = words(item)
        if item["kind"] == "LeaderWorkerSet":
            _, calls = bash(tmp_path, text=command[-1], LWS_WORKER_INDEX="0", LWS_LEADER_ADDRESS="a")
            assert sorted(calls[0][1]) == sorted(expected)
            continue
        if engine == "trtllm":
            assert command[0] == "trtllm-serve"
            assert yaml.safe_load(found[0]["data"]["trtllm.yaml"])["cache_transceiver_config"]["backend"] == "UCX"
            continue
        assert [*command, *arguments] == [PROGRAM[engine][0], *expected]
        if engine == "vllm":
            assert variables["VLLM_NIXL_SIDE_CHANNEL_HOST"] is None  # the pod's own
        (other,) = [x for x in objects(files, "split.llm-d.yaml") if x["metadata"]["name"].endswith(name)]
        theirs = words(other)[1]
        port = theirs.index("--port") + 1
        assert theirs[port] == ("8200" if name == "decode" else "8000")
        more = ["--enable-metrics"] if engine == "sglang" else []  # which llm-d's router reads
        assert [*theirs[:port], "8000", *theirs[port + 1 :]] == [*arguments, *more]


def test_the_router_reaches_every_server(written, tmp_path):
    engine, outcome, _, files = written
    found = objects(files, "split.kubernetes.yaml")
    (router,) = [x for x in found if x["kind"] == "Deployment"]
    (script,) = [x["data"]["split.router.sh"] for x in found if "split.router.sh" in x.get("data", {})]
    variables = words(router)[2]
    variables["FILE"] = str(tmp_path / "router.yaml")
    result, calls = bash(tmp_path, text=script, **variables)
    assert result.returncode == 0, result.stderr
    told = " ".join(calls[0][1]) + (tmp_path / "router.yaml").read_text() if engine == "trtllm" else str(calls)
    for name, count in (("prefill", int(outcome.split.best.x[0])), ("decode", int(outcome.split.best.y[0]))):
        for i in range(count):
            assert f"servefront-{engine}-{name}-{i}.servefront-{engine}-{name}:8000" in told
    services = {x["metadata"]["name"] for x in found if x["kind"] == "Service"}
    sets = {x["metadata"]["name"] for x in found if x["kind"] == "StatefulSet"}
    assert sets <= services


def test_dynamo_gets_the_engines_arguments(written):
    engine, outcome, _, files = written
    *_, graph = objects(files, "split.dynamo.yaml")
    front, *pools = graph["spec"]["components"]
    assert front["type"] == "frontend"
    assert [pool["name"] for pool in pools] == ["prefill", "decode"]
    for pool in pools:
        (container,) = pool["podTemplate"]["spec"]["containers"]
        arguments = container["args"]
        at = arguments.index("--disaggregation-mode")
        assert arguments[at + 1] == pool["type"]
        assert not {"--host", "--port", "--nnodes", "--headless"} & set(arguments)
        if engine == "vllm":
            told = [a for a in arguments if a not in ("--model", "--disaggregation-mode", pool["type"])]
            engine_tables.parse(engine_tables.VLLM | {"--kv-transfer-config": str, "--speculative-config": str}, told,
                                positional=True)  # fmt: skip
    if outcome.scenario.cluster.node_size < int(outcome.split.best.decode.plans.gpus[outcome.split.best.d[0]]):
        assert pools[1]["multinode"] == {"nodeCount": 2}
        assert pools[1]["podTemplate"]["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "8"}


def test_compose_starts_what_the_scripts_start(written, tmp_path):
    engine, _, folder, files = written
    if "split.compose.yaml" not in files:
        return  # a server of two nodes
    services = yaml.safe_load(files["split.compose.yaml"])["services"]
    assert services["router"]["entrypoint"] == ["bash", "/split.router.sh"]
    seen = set()
    for name, service in services.items():
        if name == "router":
            continue
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert not seen & {(service["profiles"][0], d) for d in device["device_ids"]}
        seen |= {(service["profiles"][0], d) for d in device["device_ids"]}
        if engine == "trtllm":
            continue
        _, calls = bash(tmp_path, str(folder / f"split.{service['profiles'][0]}.sh"))
        found = [w.replace("${HOST:-127.0.0.1}", "127.0.0.1") for w in service["command"]]
        assert [*service["entrypoint"], *found] == [PROGRAM[engine][0], *calls[0][1]]


def test_llm_d_has_a_sidecar_where_it_decodes(written):
    engine, _, _, files = written
    if engine == "trtllm":
        assert "split.llm-d.yaml" not in files
        return
    sets = [x for x in objects(files, "split.llm-d.yaml") if x["kind"] != "ConfigMap"]
    for item in sets:
        spec = item["spec"]
        template = (
            spec["leaderWorkerTemplate"]["leaderTemplate"] if "leaderWorkerTemplate" in spec else spec["template"]
        )
        labels = template["metadata"]["labels"]
        sidecar = template["spec"].get("initContainers", [])
        assert bool(sidecar) is (labels["llm-d.ai/role"] == "decode")
        if sidecar:
            told = dict(argument.removeprefix("--").split("=") for argument in sidecar[0]["args"])
            connector = "sglang" if engine == "sglang" else "nixlv2"
            wanted = {"port": "8000", "model-server-port": "8200", "kv-connector": connector, "secure-proxy": "false"}
            assert told == wanted
    (values,) = objects(files, "split.llm-d.values.yaml")
    assert faults(values, VALUES) == []
    chosen = values["router"]["modelServers"]
    assert chosen["type"] == engine
    assert chosen["matchLabels"].items() <= labels.items()
    picker = yaml.safe_load(
        values["router"]["epp"]["pluginsCustomConfig"][values["router"]["epp"]["pluginsConfigFile"]]
    )
    assert faults(picker, PICKER) == []
    named = {plugin["type"]: plugin.get("parameters", {}) for plugin in picker["plugins"]}
    used = {plugin["pluginRef"] for profile in picker["schedulingProfiles"] for plugin in profile["plugins"]}
    assert used | set(named["disagg-profile-handler"]["deciders"].values()) <= set(named)
    assert {profile["name"] for profile in picker["schedulingProfiles"]} == {"prefill", "decode"}
