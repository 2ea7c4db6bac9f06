"""The scripts of a run: comments that say what to expect and how to measure it, then one command."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from search.inputs.schema import Config
from search.render.launch import trtllm
from search.render.launch.engines import LAUNCHED
from search.render.launch.measure import calibrate, check, predicted, series, under_traffic
from search.render.launch.nodes import (
    MEETING_PORT,
    network_settings,
    network_usage,
    remember_process,
    watching,
)
from search.render.launch.refusals import Refusal
from search.render.launch.server import Server
from search.render.launch.shell import Command, Expansion, Values, Word, comment, word

FIRST_PORT = 8000
# Which accelerators a process sees (vllm/platforms/{cuda,rocm}.py device_control_env_var; vllm-ascend).
DEVICES = {
    "NVIDIA": "CUDA_VISIBLE_DEVICES",
    "AMD": "CUDA_VISIBLE_DEVICES",
    "unspecified": "CUDA_VISIBLE_DEVICES",
    "Huawei": "ASCEND_RT_VISIBLE_DEVICES",
}
ADDRESS = "name or address of the first node"
HOSTFILE = "file with the names of the nodes, one a line"


def about(server: Server, engine: str) -> list[str]:
    """The first comments of whatever is written for a plan."""
    many = f"{server.dp} servers" if server.dp > 1 else "one server"
    gpus = f"{server.gpus_each} GPUs" if server.gpus_each > 1 else "one GPU"
    groups = f"{server.attn_dp} attention groups" if server.attn_dp > 1 else "one attention group"
    return [
        f"{LAUNCHED[engine].title}: {server.model} on {server.hardware}",
        f"Plan: {server.words}; {many} of {gpus} with {groups} each",
        f"Predicted for engine {server.scored_for}: TTFT {server.ttft_s:.3g} s, TPOT {server.tpot_s * 1e3:.3g} ms, "
        f"{server.output_tokens_per_s:,.0f} output tokens/s of the whole deployment",
        f"At start {'each attention group' if server.attn_dp > 1 else 'the engine'} should log, as far as the memory "
        "model is right:",
        f"  {LAUNCHED[engine].log_line(server)}",
    ]


def balancer(server: Server) -> list[str]:
    """What stands in front of several servers."""
    if server.dp == 1:
        return []
    place = f"{server.per_node} on a node" if server.nodes == 1 else f"each on {server.nodes} nodes"
    ports = " ".join(
        f"server HOST{r // server.per_node}:{FIRST_PORT + r % server.per_node};" for r in range(min(server.dp, 4))
    )
    return [
        f"{server.dp} independent servers, {place}. In front of them a balancer that sends a request where fewest are",
        "in flight, for example nginx:",
        f"  upstream plan {{ least_conn; {ports}{' ...' if server.dp > 4 else ''} }}",
    ]


def measuring(server: Server, engine: str, config: Config, values: Values) -> list[str]:
    """How to see whether the prediction holds, and what to do if not."""
    traffic = under_traffic(server, config.workload, values)
    return [
        f"Measure one server with vllm bench serve (of the deployment's tokens/s it should give 1/{server.dp}):",
        f"  {predicted(server, values)}",
        *(["And under its part of the traffic that was planned for:", f"  {traffic}"] if traffic else []),
        "Set what was measured against what was predicted, RUN being the run's folder:",
        f"  {check(server, engine)}",
        "Calibrate the model to a series of such runs:",
        f"  {series(server, values)}",
        f"  {calibrate(server, engine, config)}",
    ]


def bench_values(server: Server, engine: str) -> Values:
    """What stands for the variables of the benchmark."""
    return {"MODEL": _model(server, engine), "URL": f"http://127.0.0.1:{FIRST_PORT}"}


def inline(server: Server, engine: str, options: str = "trtllm.yaml") -> str:
    """The first server's command on one line, complete: only what is not known is asked for by the shell."""
    values: dict[str, Word] = {
        "MODEL": _model(server, engine),
        "HOST": "127.0.0.1",
        "PORT": FIRST_PORT,
        "NODE": Expansion('"${NODE:-0}"'),
        "HEADLESS[@]": Expansion('$([ "${NODE:-0}" = 0 ] || echo --headless)'),
        "MASTER_ADDR": Expansion(f'"${{MASTER_ADDR:?{ADDRESS}}}"'),
        "MASTER_PORT": Expansion(f'"${{MASTER_PORT:-{MEETING_PORT[engine]}}}"'),
        "HOSTFILE": Expansion(f'"${{HOSTFILE:?{HOSTFILE}}}"'),
        "OPTIONS": options,
    }
    line = _command(server, engine).one_line(values)
    if server.per_node > 1 and server.vendor in DEVICES:
        line = f"{DEVICES[server.vendor]}={_devices(server, 0)} {line}"
    if engine == "trtllm":
        content = json.dumps(trtllm.options(server))  # JSON is YAML, and stays on its line
        line = f"printf %s {word(content)} > {word(options)} && {line}"
    return line


@dataclass(frozen=True)
class Pool:
    """What a server of a split plan is told beside what any server is: ``flags``, shell ``settings`` before the
    command, its script's ``name`` and file of ``options``, the first of its ports and what stands in front of it;
    ``device``: the first accelerator of its servers, where both pools are on one node."""

    name: str
    flags: tuple[tuple[Word, ...], ...]
    settings: tuple[str, ...]
    port: int
    front: tuple[str, ...]
    options: str = "trtllm.yaml"
    device: int = 0


def script(server: Server, engine: str, config: Config) -> str:
    """A bash script that starts one server, or one node's part of it."""
    lines = [*_usage(server, engine, f"{engine}.sh"), *balancer(server), *watching(FIRST_PORT)]
    lines += measuring(server, engine, config, bench_values(server, engine))
    settings = _settings(server, engine, FIRST_PORT, "trtllm.yaml")
    return _script([*about(server, engine), *lines], settings, _command(server, engine))


def pool_script(server: Server, engine: str, pool: Pool) -> str:
    """The same for a server of one pool of a split plan."""
    lines = [*about(server, engine), *_usage(server, engine, pool.name), *pool.front, *watching(pool.port)]
    command = _command(server, engine)
    command = replace(command, flags=(*command.flags, *pool.flags))
    settings = _settings(server, engine, pool.port, pool.options, pool.device)
    return _script(lines, [*settings, *pool.settings], command)


def _script(told: list[str], settings: list[str], command: Command) -> str:
    lines = [comment(line) for line in told]
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            *lines,
            "set -euo pipefail",
            *settings,
            remember_process(),
            f'exec {command.many_lines()} \\\n  "$@"',
            "",
        ]
    )


def refused_script(refusal: Refusal, engine: str, server: Server) -> str:
    """What stands in its place where the engine cannot start the plan."""
    text = f"{LAUNCHED[engine].title} cannot start this plan: rule {refusal.rule}: {refusal.text}"
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            comment(f"{server.model} on {server.hardware}; plan: {server.words}"),
            f"echo {word(f'error: {text}')} >&2",
            "exit 1",
            "",
        ]
    )


def refused_yaml(refusal: Refusal, server: Server) -> str:
    """The same for a file of options: no options at all."""
    text = f"{LAUNCHED['trtllm'].title} cannot start this plan: rule {refusal.rule}: {refusal.text}"
    return f"{comment(f'{server.model}; plan: {server.words}')}\n{comment(text)}\n"


def _command(server: Server, engine: str) -> Command:
    return LAUNCHED[engine].command(server)


def _model(server: Server, engine: str) -> Word:
    known = server.checkpoint.name(LAUNCHED[engine].casts)
    return Expansion(f'"${{MODEL:?{server.checkpoint.wanted}}}"') if known is None else known


def _usage(server: Server, engine: str, script: str) -> list[str]:
    name = f"launch/{script}"
    lines = [
        "MODEL, HOST and PORT in the environment win over what stands below; HOST=0.0.0.0 lets other machines in",
        f"{name}{' REPLICA' if server.dp > 1 else ''} [FLAGS]: FLAGS are handed on, for instance --trust-remote-code",
    ]
    if server.dp > 1:
        lines.append(f"REPLICA is the number of the server to start, 0 to {server.dp - 1}")
    if server.nodes > 1:
        how = (
            "with HOSTFILE, once a server" if engine == "trtllm" else "with NODE and MASTER_ADDR, on each of its nodes"
        )
        lines.append(f"A server takes {server.nodes} nodes of {server.node_size} GPUs: start it {how}")
    return [*lines, *network_usage(server, engine)]


def _settings(server: Server, engine: str, first: int, options: str, device: int = 0) -> list[str]:
    known = server.checkpoint.name(LAUNCHED[engine].casts)
    model = f":-{word(known)}" if known is not None else f":?{server.checkpoint.wanted}"
    lines = [f"MODEL=${{MODEL{model}}}", "HOST=${HOST:-127.0.0.1}"]
    port = f"{first}"
    if server.dp > 1:
        last = server.dp - 1
        lines += [
            "REPLICA=${1:-0}",
            f'if ! [[ "$REPLICA" =~ ^[0-9]{{1,6}}$ ]] || (( 10#$REPLICA > {last} )); then',
            f'  echo "error: REPLICA: $REPLICA is not allowed; give 0 to {last}" >&2',
            "  exit 2",
            "fi",
            "if (( $# > 0 )); then shift; fi",
        ]
        if server.per_node > 1:
            lines.append(f"LOCAL=$((10#$REPLICA % {server.per_node}))")
            port = f"$(({first} + LOCAL))"
    lines.append(f"PORT=${{PORT:-{port}}}")
    if server.per_node > 1 or device:
        lines += _visible(server, device)
    if server.nodes > 1 and engine == "trtllm":
        lines.append(f"HOSTFILE=${{HOSTFILE:?{HOSTFILE}}}")
        lines += network_settings(server, engine)
    elif server.nodes > 1:
        lines += ["NODE=${NODE:-0}", f"MASTER_ADDR=${{MASTER_ADDR:?{ADDRESS}}}"]
        lines += network_settings(server, engine)
        if engine == "vllm":
            lines += ["HEADLESS=()", 'if [[ "$NODE" != 0 ]]; then HEADLESS=(--headless); fi']
    if engine == "trtllm":
        lines.append('OPTIONS=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/' + options)
    return lines


def _visible(server: Server, first: int) -> list[str]:
    variable = DEVICES.get(server.vendor)
    if variable is None:
        begin = f"{first} + " if first else ""
        which = f"{begin}{server.gpus_each} * LOCAL" if server.per_node > 1 else f"{first}"
        return [comment(f"Give server REPLICA the accelerators {which} and after, as its platform does")]
    if server.per_node == 1:
        return [f"export {variable}={_devices(server, 0, first)}"]
    cases = [f"  {i}) export {variable}={_devices(server, i, first)} ;;" for i in range(server.per_node)]
    return ['case "$LOCAL" in', *cases, "esac"]


def _devices(server: Server, local: int, first: int = 0) -> str:
    return ",".join(str(first + server.gpus_each * local + g) for g in range(server.gpus_each))
