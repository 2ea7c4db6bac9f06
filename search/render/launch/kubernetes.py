"""A plan in Kubernetes: a Deployment where a server fits on a node, a LeaderWorkerSet where it takes several.

Kubernetes 1.30 and later (apps/v1, v1); LeaderWorkerSet v1 of the LWS project, which gives each pod the variables
LWS_LEADER_ADDRESS and LWS_WORKER_INDEX.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from search.render.launch import mpi
from search.render.launch.containers import (
    CACHE_FOLDER,
    OPTIONS_FOLDER,
    PORT,
    RESOURCES,
    Part,
    Shell,
    checkpoint,
    image,
    line,
    part_of,
    words,
)
from search.render.launch.nodes import MEETING_PORT
from search.render.launch.server import Server
from search.render.launch.shell import comment

START_TRIES, EVERY_S = 360, 10  # an hour to load


class _Plain(yaml.SafeDumper):
    """Without aliases, which not every reader of manifests knows; files as the lines that they are."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def manifest(server: Server, engine: str, about: list[str]) -> str:
    """The file. ``about`` says what the plan is and what to expect of it."""
    name, part = f"servefront-{engine}", part_of(server, engine)
    return written([*about, *_notes(server, engine)], [_service(name, server), *workload(name, server, engine, part)])


def written(notes: Sequence[str], objects: Sequence[dict[str, Any]]) -> str:
    """Notes as comments, then the objects."""
    text = yaml.dump_all(objects, Dumper=_Plain, sort_keys=False, width=100, allow_unicode=False)
    return "\n".join([*(comment(n) for n in notes), text])


def workload(
    name: str, server: Server, engine: str, part: Part, labels: dict[str, str] | None = None, stable: bool = False
) -> list[dict[str, Any]]:
    """What runs the servers, with its file of options. ``labels`` of every pod that answers; ``stable``: server i has
    the address ``NAME-i.NAME`` (of a LeaderWorkerSet its leader has it anyway)."""
    objects: list[dict[str, Any]] = []
    if part.options is not None:
        objects.append(
            {
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-options"},
                "data": {"trtllm.yaml": part.options},
            }
        )  # fmt: skip
    if server.nodes > 1:
        return [*objects, _several(name, server, engine, part, labels or {})]
    found = _deployment(name, server, engine, part, labels or {})
    return [*objects, *(stateful(found) if stable else [found])]


def stateful(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """The same pods by number, behind a Service without an address of its own."""
    name, spec = deployment["metadata"]["name"], deployment["spec"]
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": spec["selector"]["matchLabels"]},
    }  # fmt: skip
    more = {"serviceName": name, "podManagementPolicy": "Parallel"}
    return [service, {**deployment, "kind": "StatefulSet", "spec": {**more, **spec}}]


def _notes(server: Server, engine: str) -> list[str]:
    lines = ["kubectl apply -f this; kubectl delete -f this stops it. A Secret hf-token (key token) opens gated models"]
    if image(server, engine) is None:
        lines.append("IMAGE: put the image with the engine for these accelerators")
    if checkpoint(server, engine) is None:
        lines.append(f"MODEL: put the {server.checkpoint.wanted}")
    if server.dp > 1:
        lines.append("The Service picks a server at random; a gateway that counts requests in flight does better")
    if server.nodes > 1 and engine == "trtllm":
        lines += [*mpi.notes(), f"  kubectl create secret generic {mpi.SECRET} --from-file=ssh"]
    if server.nodes > 1:
        lines.append("Needs the LeaderWorkerSet controller. A fast network between nodes may need more resources here")
    return lines


def _service(name: str, server: Server) -> dict[str, Any]:
    several = {"leaderworkerset.sigs.k8s.io/name": name, "role": "leader"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": several if server.nodes > 1 else {"app": name},
            "ports": [{"name": "http", "port": PORT, "targetPort": PORT}],
        },
    }


def _deployment(name: str, server: Server, engine: str, part: Part, labels: dict[str, str]) -> dict[str, Any]:
    values = {**_values(server, engine, part), "OPTIONS": f"{OPTIONS_FOLDER}/trtllm.yaml"}
    command = part.command(server, engine)
    found = [_escaped(w) for w in words(command, values)]
    program = len(command.program)
    container = _container(server, engine, part, server.gpus_each)
    container |= {"command": found[:program], "args": found[program:]}
    pod = _pod(container | _probes(part.port), name, engine, part)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": server.dp,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name, **labels}}, "spec": pod},
        },
    }


def _several(name: str, server: Server, engine: str, part: Part, labels: dict[str, str]) -> dict[str, Any]:
    values = {
        **_values(server, engine, part),
        "NODE": Shell('"$LWS_WORKER_INDEX"'),
        "MASTER_ADDR": Shell('"$LWS_LEADER_ADDRESS"'),
        "MASTER_PORT": str(MEETING_PORT[engine]),
    }
    each = -(-server.gpus_each // server.nodes)

    def template(headless: str | None, role: str) -> dict[str, Any]:
        text = _node_text(server, engine, part, {**values, "HEADLESS[@]": headless}, role)
        container = _container(server, engine, part, each) | {"command": ["bash", "-c", text]}
        told = {"role": role}
        if role == "leader":
            container |= _probes(part.port)
            told |= labels
        return {"metadata": {"labels": told}, "spec": _pod(container, name, engine, part)}

    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": server.dp,
            "leaderWorkerTemplate": {
                "size": server.nodes,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": template(None, "leader"),
                "workerTemplate": template("--headless", "worker"),
            },
        },
    }


def _node_text(server: Server, engine: str, part: Part, values: dict[str, str | Shell | None], role: str) -> str:
    """Shell that a pod of several runs."""
    command = part.command(server, engine)
    if engine != "trtllm":
        return f"exec {line(command, values)}"
    if role != "leader":
        return mpi.worker()
    # Worker i of the leader NAME.SUBDOMAIN is NAME-i.SUBDOMAIN.
    more = [f'"${{LWS_LEADER_ADDRESS%%.*}}-{i}.${{LWS_LEADER_ADDRESS#*.}}"' for i in range(1, server.nodes)]
    told = line(command, {**values, "HOSTFILE": mpi.HOSTS, "OPTIONS": f"{OPTIONS_FOLDER}/trtllm.yaml"})
    return mpi.leader(server, " ".join(['"$LWS_LEADER_ADDRESS"', *more]), told)


def _values(server: Server, engine: str, part: Part) -> dict[str, str | Shell | None]:
    return {"MODEL": checkpoint(server, engine) or "MODEL", "HOST": "0.0.0.0", "PORT": str(part.port)}


def environment(part: Part) -> list[dict[str, Any]]:
    """A part's variables; a pod's address comes from the pod."""
    address = {"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    return [
        {"name": name, **(address if value is None else {"value": value})} for name, value in part.environment.items()
    ]


def _container(server: Server, engine: str, part: Part, gpus: int) -> dict[str, Any]:
    resource = RESOURCES.get(server.vendor, "nvidia.com/gpu")
    mounts = [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "cache", "mountPath": CACHE_FOLDER}]
    if engine == "trtllm":
        mounts.append({"name": "options", "mountPath": OPTIONS_FOLDER})
    token = {"name": "hf-token", "key": "token", "optional": True}
    variables = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}}, *environment(part)]
    if engine == "trtllm" and server.nodes > 1:
        mounts.append({"name": "ssh", "mountPath": mpi.SSH_FOLDER})
        variables += [{"name": name, "value": value} for name, value in mpi.ENVIRONMENT.items()]
    return {
        "name": "server",
        "image": image(server, engine) or "IMAGE",
        "env": variables,
        "ports": [{"containerPort": part.port}],
        "resources": {"limits": {resource: gpus}},
        "volumeMounts": mounts,
    }


def _probes(port: int) -> dict[str, Any]:
    def health(**more: int) -> dict[str, Any]:
        return {"httpGet": {"path": "/health", "port": port}, "periodSeconds": EVERY_S, **more}

    return {"startupProbe": health(failureThreshold=START_TRIES), "readinessProbe": health(timeoutSeconds=5)}


def _pod(container: dict[str, Any], name: str, engine: str, part: Part) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [
        {"name": "shm", "emptyDir": {"medium": "Memory"}}, {"name": "cache", "emptyDir": {}},
    ]  # fmt: skip
    if engine == "trtllm":
        volumes.append({"name": "options", "configMap": {"name": f"{name}-options"}})
    if any(mount["name"] == "ssh" for mount in container["volumeMounts"]):
        volumes.append({"name": "ssh", "secret": {"secretName": mpi.SECRET, "defaultMode": 0o400}})
    place = {"nodeSelector": dict(part.nodes)} if part.nodes else {}
    return {"terminationGracePeriodSeconds": 60, **place, "containers": [container], "volumes": volumes}


def _escaped(word: str) -> str:
    """``$(NAME)`` in arguments is a variable to Kubernetes, ``$$`` a dollar."""
    return word.replace("$", "$$")
