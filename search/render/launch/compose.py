"""A plan in docker compose: the servers of one node, or one node's part of a server."""

from __future__ import annotations

from typing import Any

import yaml

from costmodel.hardware import maybe_nvidia
from search.render.launch import mpi
from search.render.launch.containers import CACHE_FOLDER, OPTIONS_FOLDER, PORT, Shell, checkpoint, image, line, words
from search.render.launch.engines import LAUNCHED
from search.render.launch.nodes import MEETING_PORT, interface_names
from search.render.launch.server import Server
from search.render.launch.shell import comment

ADDRESS = "name or address of the first node"


def compose(server: Server, engine: str, about: list[str]) -> str:
    """The file. Variables of compose (``${NODE}``) come from the environment or a file ``.env`` beside it."""
    many = _many_nodes(server, engine) if server.nodes > 1 else None
    services = {"server0": many} if many else {f"server{i}": _one(server, engine, i) for i in range(server.per_node)}
    notes = [
        *about,
        f"docker compose -f {engine}.compose.yaml up -d starts it, ... down stops it, ... ps tells its health",
    ]
    if server.nodes > 1 and engine == "trtllm":
        notes += [
            *mpi.notes(),
            "On each node, with NODE (0, 1, ...) and, on the first, HOSTS (all nodes) in the environment",
        ]
    elif server.nodes > 1:
        notes.append("On each node, with NODE (0, 1, ...) and MASTER_ADDR in the environment")
    elif server.dp > server.per_node:
        notes.append(
            f"The {server.per_node} servers of one node; the same on each of {-(-server.dp // server.per_node)}"
        )
    text = yaml.safe_dump({"services": services}, sort_keys=False, width=100, allow_unicode=False)
    return "\n".join([*(comment(n) for n in notes), text])


def _one(server: Server, engine: str, local: int) -> dict[str, Any]:
    values = {**_values(server, engine), "OPTIONS": f"{OPTIONS_FOLDER}/trtllm.yaml"}
    found = [w if w.startswith("${MODEL:?") else w.replace("$", "$$") for w in words(_command(server, engine), values)]
    program = len(_command(server, engine).program)
    devices = [str(server.gpus_each * local + g) for g in range(server.gpus_each)]
    service = _service(server, engine, devices) | {"entrypoint": found[:program], "command": found[program:]}
    service["ports"] = [f"127.0.0.1:{PORT + local}:{PORT}"]
    return service


def _many_nodes(server: Server, engine: str) -> dict[str, Any]:
    values = {
        **_values(server, engine),
        "NODE": Shell('"$NODE"'),
        "MASTER_ADDR": Shell('"$MASTER_ADDR"'),
        "MASTER_PORT": str(MEETING_PORT[engine]),
        "HEADLESS[@]": Shell('$([ "$NODE" = 0 ] || echo --headless)'),
        "MODEL": Shell('"$MODEL"'),
    }
    text = f"exec {line(_command(server, engine), values)}" if engine != "trtllm" else _ranks(server, values)
    devices = [str(g) for g in range(-(-server.gpus_each // server.nodes))]
    service = _service(server, engine, devices) | {"entrypoint": ["bash", "-c"], "command": [text.replace("$", "$$")]}
    service["network_mode"] = "host"
    if engine == "trtllm":
        service["volumes"].append(f"./ssh:{mpi.SSH_FOLDER}:ro")
    model, master = checkpoint(server, engine), f"${{MASTER_ADDR:?{ADDRESS}}}"
    service["environment"] |= {
        "NODE": "${NODE:-0}",
        **({"HOSTS": "${HOSTS:-}"} | mpi.ENVIRONMENT if engine == "trtllm" else {"MASTER_ADDR": master}),
        "MODEL": f"${{MODEL:?{server.checkpoint.wanted}}}" if model is None else model.replace("$", "$$"),
    }
    service["environment"] |= dict.fromkeys(interface_names(server.vendor), "${IFACE:-}")
    return service


def _ranks(server: Server, values: dict[str, str | Shell | None]) -> str:
    """The first node starts the ranks of all, the others wait for it."""
    told = {**values, "HOSTFILE": mpi.HOSTS, "OPTIONS": f"{OPTIONS_FOLDER}/trtllm.yaml"}
    first = mpi.leader(server, "$HOSTS", line(_command(server, "trtllm"), told))
    asked = ': "${HOSTS:?names of all nodes, the first one first}"'
    return f'if [ "$NODE" = 0 ]; then {asked} && {first}; else {mpi.worker()}; fi'


def _command(server: Server, engine: str) -> Any:
    return LAUNCHED[engine].command(server)


def _values(server: Server, engine: str) -> dict[str, str | Shell | None]:
    model = checkpoint(server, engine) or f"${{MODEL:?{server.checkpoint.wanted}}}"
    return {"MODEL": model, "HOST": "0.0.0.0", "PORT": str(PORT)}


def _service(server: Server, engine: str, devices: list[str]) -> dict[str, Any]:
    return container(server, engine, "trtllm.yaml" if engine == "trtllm" else None, PORT, devices)


def container(server: Server, engine: str, options: str | None, port: int, devices: list[str]) -> dict[str, Any]:
    """What every server in docker compose has, but for its words; ``options``: TensorRT-LLM's file beside this one."""
    volumes = [f"${{HF_HOME:-~/.cache/huggingface}}:{CACHE_FOLDER}"]
    if options is not None:
        volumes.append(f"./{options}:{OPTIONS_FOLDER}/trtllm.yaml:ro")
    found: dict[str, Any] = {
        "image": image(server, engine) or "${IMAGE:?image with the engine for these accelerators}",
        "environment": {"HF_TOKEN": "${HF_TOKEN:-}"},
        "volumes": volumes,
        "ipc": "host",
        "stop_grace_period": "60s",
        "healthcheck": {
            "test": ["CMD-SHELL", f"curl -fsS http://127.0.0.1:{port}/health || exit 1"],
            "interval": "10s", "timeout": "5s", "retries": 6, "start_period": "1h",
        },
    }  # fmt: skip
    if maybe_nvidia(server.vendor):
        reserved = [{"driver": "nvidia", "device_ids": devices, "capabilities": ["gpu"]}]
        found["deploy"] = {"resources": {"reservations": {"devices": reserved}}}
    return found
