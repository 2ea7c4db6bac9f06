"""A split plan in Kubernetes: each pool as a StatefulSet, or a LeaderWorkerSet where a server takes several nodes, both
of which give servers addresses of their own; the router of ``split.router.sh`` in front of them."""

from __future__ import annotations

from typing import Any

from search.render.launch import mpi
from search.render.launch.containers import PORT, image
from search.render.launch.kubernetes import workload, written
from search.render.launch.split_flags import BOOTSTRAP_PORT
from search.render.launch.split_parts import ROUTERS, PoolServers, asked

FOLDER = "/router"


def manifest(engine: str, pools: list[PoolServers], about: list[str], router: str) -> str:
    """``router``: the text of the router's script."""
    objects: list[dict[str, Any]] = []
    for pool in pools:
        objects += workload(_name(engine, pool), pool.server, engine, pool.part, stable=True)
    notes = [*about, *asked(engine, pools), *_notes(engine, pools)]
    return written(notes, [*objects, *_router(engine, pools, router)])


def _name(engine: str, pool: PoolServers) -> str:
    return f"servefront-{engine}-{pool.name}"


def _notes(engine: str, pools: list[PoolServers]) -> list[str]:
    lines = ["kubectl apply -f this; kubectl delete -f this stops it. A Secret hf-token (key token) opens gated models"]
    if engine in ROUTERS:
        lines.append(f"ROUTER_IMAGE: put an image that has {ROUTERS[engine]} (the package of that name)")
    lines.append("Caches travel over RDMA where pods may use it: add your cluster's resource for it to the limits")
    if any(pool.server.nodes > 1 for pool in pools):
        lines.append("Needs the LeaderWorkerSet controller")
        if engine == "trtllm":
            lines += [*mpi.notes(), f"  kubectl create secret generic {mpi.SECRET} --from-file=ssh"]
    return lines


def _router(engine: str, pools: list[PoolServers], script: str) -> list[dict[str, Any]]:
    name = f"servefront-{engine}-router"
    addresses = {
        pool.name.upper(): " ".join(
            f"{_name(engine, pool)}-{i}.{_name(engine, pool)}:{pool.part.port}" for i in range(pool.server.dp)
        )
        for pool in pools
    }
    told = {**addresses, "HOST": "0.0.0.0", "PORT": str(PORT), "FILE": "/tmp/split.router.yaml"}
    told |= {"BOOTSTRAP_PORT": str(BOOTSTRAP_PORT), "SERVERS_A_NODE": "1"} if engine == "sglang" else {}
    container = {
        "name": "router",
        "image": "ROUTER_IMAGE" if engine in ROUTERS else image(pools[0].server, engine) or "IMAGE",
        "command": ["bash", f"{FOLDER}/split.router.sh"],
        "env": [{"name": key, "value": value} for key, value in told.items()],
        "ports": [{"containerPort": PORT}],
        "volumeMounts": [{"name": "script", "mountPath": FOLDER}],
    }
    labels = {"app": name}
    return [
        {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"split.router.sh": script},
        },
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": PORT, "targetPort": PORT}]},
        },
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "containers": [container],
                        "volumes": [{"name": "script", "configMap": {"name": name}}],
                    },
                },
            },
        },
    ]  # fmt: skip
