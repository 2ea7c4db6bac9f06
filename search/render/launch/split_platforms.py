"""A split plan on platforms that route by themselves: llm-d and Dynamo.

llm-d: pods by their label ``llm-d.ai/role``, a routing sidecar in front of each server that decodes
(llm-d-router/pkg/sidecar/proxy/options.go), and the values of the router's chart llm-d-router-standalone, as llm-d's
guides/pd-disaggregation has both (September 2026). Dynamo 1.6: one DynamoGraphDeployment, ``nvidia.com/v1beta1``
(deploy/operator/api/v1beta1 and examples/backends/*/deploy/v1beta1); its operator adds what several nodes need.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from search.render.launch.containers import OPTIONS_FOLDER, PORT, RESOURCES, checkpoint, words
from search.render.launch.flags import SGLANG
from search.render.launch.kubernetes import environment, workload, written
from search.render.launch.shell import Word
from search.render.launch.split_parts import PoolServers, asked

GUIDE = "servefront-split"
SIDECAR = "ghcr.io/llm-d/llm-d-router-disagg-sidecar:v0.10.0"
CHART = "llm-d-router-standalone"
CONNECTORS = {"vllm": "nixlv2", "sglang": "sglang"}
BEHIND = 8200  # where a server answers its sidecar
DYNAMO = {"vllm": "vllm-runtime", "sglang": "sglang-runtime", "trtllm": "tensorrtllm-runtime"}
DYNAMO_VERSION = "1.6.0"  # has vLLM 0.31.0, SGLang 0.5.21 and TensorRT-LLM 1.3.0rc29
# Flags of an API server, or of nodes, that Dynamo's workers get from it.
_NOT_DYNAMOS = ("--host", "--port", "--backend", "--nnodes", "--node-rank", "--master-addr", "--master-port",
                "--dist-init-addr", "--data-parallel-address", "--data-parallel-rpc-port", "--data-parallel-size-local",
                "--data-parallel-start-rank")  # fmt: skip


def llm_d(engine: str, pools: list[PoolServers], about: list[str]) -> dict[str, str]:
    """``split.llm-d.yaml`` and the router's values; nothing for an engine that it does not serve."""
    if engine not in CONNECTORS:
        return {}
    objects: list[dict[str, Any]] = []
    for pool in pools:
        labels = {"llm-d.ai/inference-serving": "true", "llm-d.ai/guide": GUIDE, "llm-d.ai/role": pool.name}
        part = pool.part if engine != "sglang" else replace(pool.part, flags=(*pool.part.flags, ("--enable-metrics",)))
        found = workload(f"{GUIDE}-{pool.name}", pool.server, engine, part, labels)
        if pool.name == "decode":
            for item in found:
                _with_sidecar(item, engine)
        objects += found
    notes = [
        *about,
        *asked(engine, pools),
        f"kubectl apply -f this; helm install {GUIDE} the chart {CHART} with -f split.llm-d.values.yaml (llm-d, "
        "guides/pd-disaggregation)",
        "A Secret hf-token (key token) opens gated models; RDMA needs your cluster's resource for it in the limits",
    ]
    return {"split.llm-d.yaml": written(notes, objects), "split.llm-d.values.yaml": written(about, [_values(engine)])}


def _with_sidecar(item: dict[str, Any], engine: str) -> None:
    """The sidecar sends a prompt to a server that prefills before it asks the one beside it."""
    spec = item.get("spec", {})
    leader = spec.get("leaderWorkerTemplate", {}).get("leaderTemplate", spec.get("template"))
    if leader is None:
        return
    told = {"port": PORT, "model-server-port": BEHIND, "kv-connector": CONNECTORS[engine], "secure-proxy": "false"}
    args = [f"--{name}={value}" for name, value in told.items()]
    leader["spec"]["initContainers"] = [
        {
            "name": "routing-proxy", "image": SIDECAR, "args": args,
            "ports": [{"containerPort": PORT}], "restartPolicy": "Always",
            "securityContext": {"allowPrivilegeEscalation": False, "runAsNonRoot": True},
        }
    ]  # fmt: skip


def _values(engine: str) -> dict[str, Any]:
    """Every request is prefilled and decoded apart; of each pool the server with the fewest in flight takes it."""
    decider, scorer, picker = "always-disagg-pd-decider", "active-request-scorer", "max-score-picker"

    def profile(name: str) -> dict[str, Any]:
        return {"name": name, "plugins": [{"pluginRef": x} for x in (f"{name}-filter", scorer, picker)]}

    config = {
        "apiVersion": "llm-d.ai/v1alpha1",
        "kind": "EndpointPickerConfig",
        "plugins": [
            {"type": decider},
            {"type": "disagg-profile-handler", "parameters": {"deciders": {"prefill": decider}}},
            *({"type": x} for x in ("prefill-filter", "decode-filter", scorer, picker)),
        ],
        "schedulingProfiles": [profile("prefill"), profile("decode")],
    }  # fmt: skip
    return {
        "router": {
            "epp": {
                "replicas": 1,
                "pluginsConfigFile": "pd-config.yaml",
                "pluginsCustomConfig": {"pd-config.yaml": written([], [config])},
            },
            "modelServers": {
                "type": engine,
                "targetPorts": [{"number": PORT}],
                "matchLabels": {"llm-d.ai/guide": GUIDE},
            },
        }
    }


def dynamo(engine: str, pools: list[PoolServers], about: list[str]) -> str:
    """``split.dynamo.yaml``."""
    runtime = f"nvcr.io/nvidia/ai-dynamo/{DYNAMO[engine]}:{DYNAMO_VERSION}"
    front = {
        "name": "Frontend", "type": "frontend", "replicas": 1,
        "podTemplate": {"spec": {"containers": [{"name": "main", "image": runtime}]}},
    }  # fmt: skip
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{GUIDE}-{pool.name}-options"},
            "data": {"trtllm.yaml": pool.part.options},
        }
        for pool in pools
        if pool.part.options is not None
    ]  # fmt: skip
    objects.append(
        {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeployment",
            "metadata": {"name": GUIDE},
            "spec": {
                "backendFramework": engine,
                "components": [front, *(_component(engine, pool, runtime) for pool in pools)],
            },
        }
    )
    notes = [
        *about,
        *(line for line in asked(engine, pools) if not line.startswith("IMAGE")),
        "kubectl apply -f this, with Dynamo's operator in the cluster; a Secret hf-token-secret has HF_TOKEN",
    ]
    return written(notes, objects)


def _component(engine: str, pool: PoolServers, runtime: str) -> dict[str, Any]:
    server, part = pool.server, pool.part
    each = -(-server.gpus_each // server.nodes)
    container: dict[str, Any] = {
        "name": "main",
        "image": runtime,
        "command": ["python3", "-m", f"dynamo.{engine}"],
        "args": _arguments(engine, pool),
        "envFrom": [{"secretRef": {"name": "hf-token-secret"}}],
        "resources": {"limits": {RESOURCES.get(server.vendor, "nvidia.com/gpu"): str(each)}},
    }
    if part.environment:
        container["env"] = [x for x in environment(part) if "PORT" not in x["name"]]
    spec: dict[str, Any] = {"containers": [container]} | ({"nodeSelector": dict(part.nodes)} if part.nodes else {})
    if part.options is not None:
        container["volumeMounts"] = [{"name": "options", "mountPath": OPTIONS_FOLDER}]
        spec["volumes"] = [{"name": "options", "configMap": {"name": f"{GUIDE}-{pool.name}-options"}}]
    found: dict[str, Any] = {"name": pool.name, "type": pool.name, "replicas": server.dp}
    if server.nodes > 1:
        found["multinode"] = {"nodeCount": server.nodes}
    return found | {"podTemplate": {"spec": spec}}


def _arguments(engine: str, pool: PoolServers) -> list[str]:
    """The engine's own arguments, less those of its API server and of its nodes."""
    model = checkpoint(pool.server, engine) or "MODEL"
    mode = ["--disaggregation-mode", pool.name]
    if engine == "trtllm":
        return ["--model-path", model, "--served-model-name", model, *mode,
                "--extra-engine-args", f"{OPTIONS_FOLDER}/trtllm.yaml"]  # fmt: skip
    command = pool.part.command(pool.server, engine)
    flags = tuple(flag for flag in command.flags if flag[0] not in _NOT_DYNAMOS and _spoken(flag[0]))
    if engine == "sglang":
        return words(type(command)((), tuple(_older(flag) for flag in flags)), {"MODEL": model})
    return ["--model", model, *mode, *words(type(command)((), flags), {"MODEL": model})]


def _older(flag: tuple[Word, ...]) -> tuple[Word, ...]:
    """Dynamo's SGLang knows attention data parallelism by the older name alone (sglang/srt/arg_groups/fields/
    parallel.py, 0.5.21)."""
    name, *value = flag
    return (SGLANG["dp"].name, *value, SGLANG["old_attn_dp"].name) if name == SGLANG["attn_dp"].name else flag


def _spoken(flag: Any) -> bool:
    """Whether a flag is text: shell that stands for ``--headless`` is not."""
    return isinstance(flag, str)
