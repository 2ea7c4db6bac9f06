"""A plan in Kubernetes: a Deployment where a server fits on a node, a LeaderWorkerSet where it takes several.

Kubernetes 1.30 and later (apps/v1, v1); LeaderWorkerSet v1 of the LWS project, which gives each pod the variables
LWS_LEADER_ADDRESS and LWS_WORKER_INDEX.
"""

from __future__ import annotations

from typing import Any

import yaml

from search.render.launch import mpi
from search.render.launch.containers import OPTIONS_FOLDER, PORT, RESOURCES, Shell, checkpoint, image, line, words
from search.render.launch.engines import LAUNCHED
from search.render.launch.nodes import MEETING_PORT
from search.render.launch.server import Server
from search.render.launch.shell import comment
from search.render.launch.trtllm import yaml_text

START_TRIES, EVERY_S = 360, 10  # an hour to load


def manifest(server: Server, engine: str, about: list[str]) -> str:
    """The file. ``about`` says what the plan is and what to expect of it."""
    name = f"servefront-{engine}"
    objects = [_service(name, server)]
    if engine == "trtllm":
        objects.append(
            {
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-options"},
                "data": {"trtllm.yaml": yaml_text(server)},
            }
        )  # fmt: skip
    objects.append(_several(name, server, engine) if server.nodes > 1 else _deployment(name, server, engine))
    notes = [*about, *_notes(server, engine)]
    text = yaml.safe_dump_all(objects, sort_keys=False, width=100, allow_unicode=False)
    return "\n".join([*(comment(n) for n in notes), text])


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


def _deployment(name: str, server: Server, engine: str) -> dict[str, Any]:
    values = {**_values(server, engine), "OPTIONS": f"{OPTIONS_FOLDER}/trtllm.yaml"}
    found = [_escaped(w) for w in words(LAUNCHED[engine].command(server), values)]
    program = len(LAUNCHED[engine].command(server).program)
    container = _container(server, engine, server.gpus_each) | {"command": found[:program], "args": found[program:]}
    pod = _pod(container | _probes(), name, engine)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": server.dp,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def _several(name: str, server: Server, engine: str) -> dict[str, Any]:
    values = {
        **_values(server, engine),
        "NODE": Shell('"$LWS_WORKER_INDEX"'),
        "MASTER_ADDR": Shell('"$LWS_LEADER_ADDRESS"'),
        "MASTER_PORT": str(MEETING_PORT[engine]),
    }
    each = -(-server.gpus_each // server.nodes)

    def template(headless: str | None, role: str) -> dict[str, Any]:
        text = _node_text(server, engine, {**values, "HEADLESS[@]": headless}, role)
        container = _container(server, engine, each) | {"command": ["bash", "-c", text]}
        if role == "leader":
            container |= _probes()
        return {"metadata": {"labels": {"role": role}}, "spec": _pod(container, name, engine)}

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


def _node_text(server: Server, engine: str, values: dict[str, str | Shell | None], role: str) -> str:
    """Shell that a pod of several runs."""
    command = LAUNCHED[engine].command(server)
    if engine != "trtllm":
        return f"exec {line(command, values)}"
    if role != "leader":
        return mpi.worker()
    # Worker i of the leader NAME.SUBDOMAIN is NAME-i.SUBDOMAIN.
    more = [f'"${{LWS_LEADER_ADDRESS%%.*}}-{i}.${{LWS_LEADER_ADDRESS#*.}}"' for i in range(1, server.nodes)]
    told = line(command, {**values, "HOSTFILE": mpi.HOSTS, "OPTIONS": f"{OPTIONS_FOLDER}/trtllm.yaml"})
    return mpi.leader(server, " ".join(['"$LWS_LEADER_ADDRESS"', *more]), told)


def _values(server: Server, engine: str) -> dict[str, str | Shell | None]:
    return {"MODEL": checkpoint(server, engine) or "MODEL", "HOST": "0.0.0.0", "PORT": str(PORT)}


def _container(server: Server, engine: str, gpus: int) -> dict[str, Any]:
    resource = RESOURCES.get(server.vendor, "nvidia.com/gpu")
    mounts = [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "cache", "mountPath": "/root/.cache/huggingface"}]
    if engine == "trtllm":
        mounts.append({"name": "options", "mountPath": OPTIONS_FOLDER})
    token = {"name": "hf-token", "key": "token", "optional": True}
    variables: list[dict[str, Any]] = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}}]
    if engine == "trtllm" and server.nodes > 1:
        mounts.append({"name": "ssh", "mountPath": mpi.SSH_FOLDER})
        variables += [{"name": name, "value": value} for name, value in mpi.ENVIRONMENT.items()]
    return {
        "name": "server",
        "image": image(server, engine) or "IMAGE",
        "env": variables,
        "ports": [{"containerPort": PORT}],
        "resources": {"limits": {resource: gpus}},
        "volumeMounts": mounts,
    }


def _probes() -> dict[str, Any]:
    def health(**more: int) -> dict[str, Any]:
        return {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": EVERY_S, **more}

    return {"startupProbe": health(failureThreshold=START_TRIES), "readinessProbe": health(timeoutSeconds=5)}


def _pod(container: dict[str, Any], name: str, engine: str) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [
        {"name": "shm", "emptyDir": {"medium": "Memory"}}, {"name": "cache", "emptyDir": {}},
    ]  # fmt: skip
    if engine == "trtllm":
        volumes.append({"name": "options", "configMap": {"name": f"{name}-options"}})
    if any(mount["name"] == "ssh" for mount in container["volumeMounts"]):
        volumes.append({"name": "ssh", "secret": {"secretName": mpi.SECRET, "defaultMode": 0o400}})
    return {"terminationGracePeriodSeconds": 60, "containers": [container], "volumes": volumes}


def _escaped(word: str) -> str:
    """``$(NAME)`` in arguments is a variable to Kubernetes, ``$$`` a dollar."""
    return word.replace("$", "$$")
