"""A split plan in docker compose: the servers of one node of each pool, by profiles, on the host's own network."""

from __future__ import annotations

from typing import Any

import yaml

from search.render.document.formats import plural
from search.render.launch.compose import container
from search.render.launch.containers import OPTIONS_FOLDER, checkpoint, image, words
from search.render.launch.shell import comment
from search.render.launch.split_flags import PORTS, SIDE_PORTS
from search.render.launch.split_parts import ROUTERS, PoolServers, asked, together


def compose(engine: str, pools: list[PoolServers], about: list[str]) -> str | None:
    """The file; ``None`` where a server takes several nodes (scripts and Kubernetes start those)."""
    if any(pool.server.nodes > 1 for pool in pools):
        return None
    alone = together([pool.server for pool in pools])
    services: dict[str, Any] = {}
    first = 0
    for pool in pools:
        for local in range(pool.server.per_node):
            services[f"{pool.name}{local}"] = _server(engine, pool, local, first)
        first += pool.server.gpus if alone else 0
    services["router"] = _router(engine, pools)
    told = [line for line in asked(engine, pools) if line.startswith("DRAFT")]
    text = yaml.safe_dump({"services": services}, sort_keys=False, width=100, allow_unicode=False)
    return "\n".join([*(comment(n) for n in [*about, *told, *_notes(pools, alone)]), text])


def _notes(pools: list[PoolServers], alone: bool) -> list[str]:
    up = "docker compose -f split.compose.yaml"
    if alone:
        return [f"{up} --profile prefill --profile decode --profile router up -d starts all, ... down stops it"]
    counts = " and ".join(f"{plural(str(-(-p.server.dp // p.server.per_node)), 'node')} that {p.name}" for p in pools)
    return [
        f"{counts}. On each: {up} --profile prefill (or decode) up -d,",
        "with HOST=0.0.0.0 and NODE_IP, its address, in the environment; the router on one of them: --profile router,",
        "with PREFILL and DECODE, the addresses (host:port) of all servers",
    ]


def _server(engine: str, pool: PoolServers, local: int, first: int) -> dict[str, Any]:
    server, port = pool.server, PORTS[pool.name] + local
    model = checkpoint(server, engine) or f"${{MODEL:?{server.checkpoint.wanted}}}"
    values = {
        "MODEL": model, "HOST": "${HOST:-127.0.0.1}", "PORT": str(port), "OPTIONS": f"{OPTIONS_FOLDER}/trtllm.yaml",
    }  # fmt: skip
    command = pool.part.command(server, engine)
    found = [w if w.startswith(("${MODEL:?", "${HOST:-")) else w.replace("$", "$$") for w in words(command, values)]
    bootstrap = found.index("--disaggregation-bootstrap-port") + 1 if "--disaggregation-bootstrap-port" in found else 0
    if bootstrap:
        found[bootstrap] = str(int(found[bootstrap]) + local)
    program = len(command.program)
    told = {}
    if engine == "vllm":
        side = SIDE_PORTS[pool.name] + max(server.attn_dp, 1) * local
        told = {
            "VLLM_NIXL_SIDE_CHANNEL_HOST": "${NODE_IP:-127.0.0.1}", "VLLM_NIXL_SIDE_CHANNEL_PORT": str(side),
        }  # fmt: skip
    options = None if pool.part.options is None else f"split.{pool.name}.yaml"
    devices = [str(first + server.gpus_each * local + g) for g in range(server.gpus_each)]
    service = container(server, engine, options, port, devices)
    service["environment"] |= told
    return service | {
        "profiles": [pool.name], "entrypoint": found[:program], "command": found[program:], "network_mode": "host",
    }  # fmt: skip


def _router(engine: str, pools: list[PoolServers]) -> dict[str, Any]:
    """``split.router.sh`` in a container."""
    own = image(pools[0].server, engine) or "${IMAGE:?image with the engine}"
    told = {pool.name.upper(): f"${{{pool.name.upper()}:-{_here(pool)}}}" for pool in pools}
    return {
        "image": f"${{ROUTER_IMAGE:?image that has {ROUTERS[engine]}}}" if engine in ROUTERS else own,
        "profiles": ["router"],
        "entrypoint": ["bash", "/split.router.sh"],
        "environment": {
            **told,
            "HOST": "${HOST:-127.0.0.1}",
            "PORT": "${PORT:-8000}",
            "FILE": "/tmp/split.router.yaml",
        },
        "volumes": ["./split.router.sh:/split.router.sh:ro"],
        "network_mode": "host",
    }


def _here(pool: PoolServers) -> str:
    return " ".join(f"127.0.0.1:{PORTS[pool.name] + i}" for i in range(pool.server.per_node))
