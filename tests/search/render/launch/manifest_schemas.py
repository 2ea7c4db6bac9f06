"""What the readers of manifests take, stated here by fields, types and what has to be there.

Kubernetes 1.30 (core/v1, apps/v1); LeaderWorkerSet v1 (kubernetes-sigs/lws api/leaderworkerset/v1); Dynamo 1.6
``nvidia.com/v1beta1`` (deploy/operator/api/v1beta1/dynamographdeployment_types.go, dynamocomponentdeployment_types.go,
common.go); the values of llm-d's chart llm-d-router-standalone (llm-d-router config/charts/routerlib/values.yaml) and
its EndpointPickerConfig (pkg/epp). A name with ``!`` is required. The API servers refuse a wrong type, and kubectl an
unknown field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Schema = Any  # a type, an ``Of``, a list of one schema for all items, or a dict by fields


@dataclass(frozen=True)
class Of:
    """Text of a pattern; any object with values of ``values``; a number from ``least``."""

    pattern: str | None = None
    values: Schema = None
    least: int | None = None


DNS_LABEL = Of(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
QUANTITY = Of(r"[0-9]+(\.[0-9]+)?([KMGT]i?)?")
PORT = Of(least=1)
TEXTS = Of(values=str)
NAMED = {"name!": str, "key!": str, "optional": bool}
ENV = {
    "name!": Of(r"[A-Za-z_][A-Za-z0-9_]*"), "value": str,
    "valueFrom": {"fieldRef": {"fieldPath!": str}, "secretKeyRef": NAMED},
}  # fmt: skip
PROBE = {
    "httpGet!": {"path!": Of("/.*"), "port!": PORT}, "periodSeconds": Of(least=1), "timeoutSeconds": Of(least=1),
    "failureThreshold": Of(least=1),
}  # fmt: skip
CONTAINER = {
    "name!": DNS_LABEL, "image!": Of(r"\S+"), "command": [str], "args": [str], "env": [ENV],
    "envFrom": [{"secretRef": {"name!": str}}], "ports": [{"containerPort!": PORT}],
    "resources": {"limits": Of(values=(int, QUANTITY))},
    "volumeMounts": [{"name!": DNS_LABEL, "mountPath!": Of("/.*")}],
    "startupProbe": PROBE, "readinessProbe": PROBE,
}  # fmt: skip
SIDECAR = CONTAINER | {
    "restartPolicy": Of("Always"), "securityContext": {"allowPrivilegeEscalation": bool, "runAsNonRoot": bool},
}  # fmt: skip
VOLUME = {
    "name!": DNS_LABEL, "emptyDir": {"medium": Of("Memory")}, "configMap": {"name!": str},
    "secret": {"secretName!": str, "defaultMode": Of(least=0)},
}  # fmt: skip
POD = {
    "containers!": [CONTAINER], "initContainers": [SIDECAR], "volumes": [VOLUME],
    "terminationGracePeriodSeconds": Of(least=0),
}  # fmt: skip
TEMPLATE = {"metadata!": {"labels!": TEXTS}, "spec!": POD}
SELECTOR = {"matchLabels!": TEXTS}


def _object(version: str, kind: str, **more: Schema) -> dict[str, Schema]:
    return {
        "apiVersion!": Of(re.escape(version)), "kind!": Of(kind), "metadata!": {"name!": DNS_LABEL},
        **{f"{name}!": schema for name, schema in more.items()},
    }  # fmt: skip


REPLICAS = Of(least=0)
COMPONENT = {
    "name!": Of(r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"), "type": Of("frontend|worker|prefill|decode|planner|epp"),
    "replicas": REPLICAS, "multinode": {"nodeCount!": Of(least=2)}, "podTemplate": {"spec!": POD},
}  # fmt: skip
SCHEMAS = {
    "ConfigMap": _object("v1", "ConfigMap", data=TEXTS),
    "Service": _object("v1", "Service", spec={
        "clusterIP": Of("None"), "publishNotReadyAddresses": bool, "selector!": TEXTS,
        "ports": [{"name": str, "port!": PORT, "targetPort": PORT}],
    }),
    "Deployment": _object("apps/v1", "Deployment", spec={
        "replicas": REPLICAS, "selector!": SELECTOR, "template!": TEMPLATE,
    }),
    "StatefulSet": _object("apps/v1", "StatefulSet", spec={
        "replicas": REPLICAS, "selector!": SELECTOR, "template!": TEMPLATE, "serviceName!": DNS_LABEL,
        "podManagementPolicy": Of("OrderedReady|Parallel"),
    }),
    "LeaderWorkerSet": _object("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", spec={
        "replicas": REPLICAS,
        "leaderWorkerTemplate!": {
            "size": Of(least=1), "restartPolicy": Of("RecreateGroupOnPodRestart|RecreateGroupAfterStart|None"),
            "leaderTemplate": TEMPLATE, "workerTemplate!": TEMPLATE,
        },
    }),
    "DynamoGraphDeployment": _object("nvidia.com/v1beta1", "DynamoGraphDeployment", spec={
        "backendFramework": Of("sglang|vllm|trtllm"), "components": [COMPONENT],
    }),
}  # fmt: skip
PLUGINS = {"pluginRef!": str, "weight": float}
PICKER = {
    "apiVersion!": Of(r"llm-d\.ai/v1(alpha1)?"), "kind!": Of("EndpointPickerConfig"),
    "plugins!": [{"type!": str, "name": str, "parameters": {"deciders": TEXTS}}],
    "schedulingProfiles!": [{"name!": str, "plugins!": [PLUGINS]}],
}  # fmt: skip
# The chart fails on the older names, inferenceExtension and inferencePool.
VALUES = {
    "router!": {
        "epp!": {"replicas": Of(least=1), "pluginsConfigFile!": str, "pluginsCustomConfig!": TEXTS},
        "modelServers!": {
            "type": Of("vllm|sglang|triton-tensorrt-llm|trtllm-serve|triton"), "matchLabels!": TEXTS,
            "targetPorts": [{"number!": PORT}],
        },
    },
}  # fmt: skip


def faults(found: Any, schema: Schema, where: str = "") -> list[str]:
    """Everything in ``found`` that the schema does not take, by its place."""
    if isinstance(schema, tuple):
        each = [faults(found, one, where) for one in schema]
        return [] if [] in each else each[0]
    if isinstance(schema, type):
        right = type(found) is schema or (schema is float and type(found) is int)
        return [] if right else [f"{where} is no {schema.__name__}: {found!r}"]
    if isinstance(schema, Of):
        return _faults_of(found, schema, where)
    if isinstance(schema, list):
        if not isinstance(found, list) or not found:
            return [f"{where} is no list of anything"]
        return [x for i, item in enumerate(found) for x in faults(item, schema[0], f"{where}[{i}]")]
    if not isinstance(found, dict):
        return [f"{where} is no object: {found!r}"]
    known = {name.rstrip("!"): one for name, one in schema.items()}
    wrong = [f"{where}.{name} is unknown" for name in found if name not in known]
    wrong += [f"{where}.{name[:-1]} is missing" for name in schema if name.endswith("!") and name[:-1] not in found]
    return wrong + [x for name in found if name in known for x in faults(found[name], known[name], f"{where}.{name}")]


def _faults_of(found: Any, schema: Of, where: str) -> list[str]:
    if schema.values is not None:
        if not isinstance(found, dict):
            return [f"{where} is no object: {found!r}"]
        return [x for name, value in found.items() for x in faults(value, schema.values, f"{where}.{name}")]
    if schema.least is not None:
        return [] if type(found) is int and found >= schema.least else [f"{where}: {found!r} below {schema.least}"]
    right = isinstance(found, str) and re.fullmatch(schema.pattern or ".*", found)
    return [] if right else [f"{where}: {found!r} is not of {schema.pattern}"]
