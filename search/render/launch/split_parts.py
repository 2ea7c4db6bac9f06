"""A split plan in containers: its pools as parts, and what of both every way of starting them needs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from costmodel.drafts.drafter import Drafter
from search.render.launch.containers import PORT, Part, checkpoint, image
from search.render.launch.server import Server
from search.render.launch.split_flags import (
    BOOTSTRAP_PORT,
    DRAFT,
    SIDE_PORTS,
    Alike,
    has_checkpoint,
    options,
    pool_flags,
)

NODE_LABEL = "accelerator"  # the label of the Kubernetes page on scheduling GPUs
ROUTERS = {"vllm": "vllm-router", "sglang": "sglang-router"}  # packages that bring the router


@dataclass(frozen=True)
class PoolServers:
    """The servers of one pool: what they are, what drafts in them, and the ``part`` that a container of one is."""

    name: str
    server: Server
    drafter: Drafter | None
    part: Part


def pool_servers(
    engine: str,
    name: str,
    server: Server,
    drafter: Drafter | None,
    ranks: int,
    alike: Alike,
    nodes: Mapping[str, str],
    port: int = PORT,
) -> PoolServers:
    """``DRAFT`` stands where a drafter's checkpoint has to be named; ``nodes``: labels of the pool's own."""
    flags = pool_flags(engine, name, drafter, ranks, str(BOOTSTRAP_PORT), "DRAFT", alike)
    environment: dict[str, str | None] = {}
    if engine == "vllm":
        environment = {
            "VLLM_NIXL_SIDE_CHANNEL_HOST": None,
            "VLLM_NIXL_SIDE_CHANNEL_PORT": str(SIDE_PORTS[name]),
        }
    told = options(server, name, drafter, ranks) if engine == "trtllm" else None
    return PoolServers(name, server, drafter, Part(tuple(flags), environment, told, port, nodes))


def together(servers: Sequence[Server]) -> bool:
    """Whether one node holds the servers of both pools, which are of one kind then."""
    return (
        len({server.hardware for server in servers}) == 1
        and sum(server.gpus for server in servers) <= servers[0].node_size
    )


def labels(servers: Mapping[str, Server]) -> dict[str, dict[str, str]]:
    """By pool, the label of its nodes in Kubernetes, where there are two kinds of them."""
    kinds = {name: re.sub(r"[^a-z0-9]+", "-", server.hardware.lower()).strip("-") for name, server in servers.items()}
    return {name: {NODE_LABEL: kind} if len(set(kinds.values())) > 1 else {} for name, kind in kinds.items()}


def asked(engine: str, pools: list[PoolServers]) -> list[str]:
    """What people have to put in."""
    server = pools[0].server
    lines = []
    if image(server, engine) is None:
        lines.append("IMAGE: put the image with the engine for these accelerators")
    if checkpoint(server, engine) is None:
        lines.append(f"MODEL: put the {server.checkpoint.wanted}")
    if any(has_checkpoint(engine, pool.drafter) for pool in pools):
        lines.append(f"DRAFT: put the {DRAFT}")
    for pool in pools:
        for key, value in pool.part.nodes.items():
            lines.append(f"Nodes that {pool.name}: kubectl label nodes NODE ... {key}={value}")
    return lines
