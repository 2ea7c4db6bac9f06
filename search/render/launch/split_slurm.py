"""A split plan in Slurm: one job whose nodes start the servers of both pools by their scripts, and the router. Of
accelerators of two kinds it is a heterogeneous job, a part a pool (heterogeneous_jobs of Slurm's documentation)."""

from __future__ import annotations

from search.render.launch.shell import comment
from search.render.launch.split_flags import PORTS
from search.render.launch.split_parts import PoolServers, together

FILE = "split.slurm"
NODES = 'mapfile -t NODES < <(scontrol show hostnames "$SLURM_JOB_NODELIST")'
PARTS = (
    'mapfile -t NODES < <(scontrol show hostnames "$SLURM_JOB_NODELIST_HET_GROUP_0"; '
    'scontrol show hostnames "$SLURM_JOB_NODELIST_HET_GROUP_1")'
)


def slurm(engine: str, pools: list[PoolServers], about: list[str]) -> str | None:
    """The file for ``sbatch``; ``None`` where MPI starts a server's ranks over several nodes."""
    if engine == "trtllm" and any(pool.server.nodes > 1 for pool in pools):
        return None
    alone = together([pool.server for pool in pools])
    apart = len({pool.server.hardware for pool in pools}) > 1
    nodes = 1 if alone else sum(_nodes(pool) for pool in pools)
    gpus = sum(pool.server.gpus for pool in pools) if alone else max(_gpus(pool) for pool in pools)
    asked = [_asked(nodes, gpus)] if not apart else [_asked(_nodes(pool), _gpus(pool)) for pool in pools]
    start = [f'srun bash "$HERE/{FILE}" --node "$@" &']
    if apart:
        start = [
            f'FIRST={first} srun --het-group={i} bash "$HERE/{FILE}" --node "$@" &'
            for i, first in enumerate((0, _nodes(pools[0])))
        ]
    host = "HOST=${HOST:-127.0.0.1}" if alone else "HOST=${HOST:?0.0.0.0, so that the nodes reach each other}"
    notes = [
        *about,
        f"cd to this folder, {'' if alone else 'HOST=0.0.0.0 '}sbatch {FILE}; scancel JOB stops it. Partition, account "
        "and time are up to you",
        *_places(pools, alone, apart),
        "A container of the engine goes before bash, as your cluster starts them",
    ]
    return "\n".join([
        "#!/usr/bin/env bash", "#SBATCH --job-name=servefront-split", *"\n#SBATCH hetjob\n".join(asked).split("\n"),
        *(comment(n) for n in notes), "set -euo pipefail",
        'HERE=${SLURM_SUBMIT_DIR:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)}',
        PARTS if apart else NODES, host,
        "export HERE HOST",
        'if [[ "${1:-}" == --node ]]; then  # what each node runs',
        "  shift",
        *(["  SLURM_NODEID=$(( SLURM_NODEID + FIRST ))  # counted over both parts of the job"] if apart else []),
        *(f"  {line}" for line in _node(engine, pools, alone)),
        "  wait -n",
        "  exit",
        "fi",
        *_addresses(pools, alone),
        *start,
        'bash "$HERE/split.router.sh" &',
        "wait -n",
        "",
    ])  # fmt: skip


def _asked(nodes: int, gpus: int) -> str:
    return f"#SBATCH --nodes={nodes}\n#SBATCH --ntasks-per-node=1\n#SBATCH --gpus-per-node={gpus}\n#SBATCH --exclusive"


def _nodes(pool: PoolServers) -> int:
    server = pool.server
    return server.dp * server.nodes if server.nodes > 1 else -(-server.dp // server.per_node)


def _gpus(pool: PoolServers) -> int:
    """Of one node."""
    server = pool.server
    return -(-server.gpus_each // server.nodes) if server.nodes > 1 else server.gpus_each * server.per_node


def _places(pools: list[PoolServers], alone: bool, apart: bool) -> list[str]:
    if alone:
        return ["Both pools and the router on one node"]
    counts = " and ".join(f"{_nodes(pool)} that {pool.name}" for pool in pools)
    found = [f"Nodes: {counts}, in this order; the router is on the first, port 8000"]
    if apart:
        kinds = ", ".join(f"{pool.server.hardware} that {pool.name}" for pool in pools)
        found.append(f"Each part of the job needs its own partition or constraint, before and after hetjob: {kinds}")
    return found


def _node(engine: str, pools: list[PoolServers], alone: bool) -> list[str]:
    """Starts the servers of this node in the background."""
    lines, first = [], 0
    if engine == "vllm" and not alone:
        lines.append('export VLLM_NIXL_SIDE_CHANNEL_HOST="$SLURMD_NODENAME"')
    for pool in pools:
        here = _servers(pool, 0 if alone else first)
        if alone:
            lines += here
        else:
            lines += [
                f"if (( SLURM_NODEID >= {first} && SLURM_NODEID < {first + _nodes(pool)} )); then",
                *(f"  {line}" for line in here), "fi",
            ]  # fmt: skip
        first += _nodes(pool)
    return lines


def _servers(pool: PoolServers, first: int) -> list[str]:
    """The part of a pool that is on one node, the pool's nodes beginning with number ``first``."""
    server, script = pool.server, f'"$HERE/split.{pool.name}.sh"'
    replica = '"$REPLICA" ' if server.dp > 1 else ""
    if server.nodes > 1:
        return [
            f"INDEX=$(( SLURM_NODEID - {first} )); REPLICA=$(( INDEX / {server.nodes} ))",
            f"export NODE=$(( INDEX % {server.nodes} ))",
            f'export MASTER_ADDR="${{NODES[{first} + REPLICA * {server.nodes}]}}"',
            f'bash {script} {replica}"$@" &',
        ]
    if server.dp == 1:
        return [f'bash {script} "$@" &']
    node = f"(SLURM_NODEID - {first})" if first else "SLURM_NODEID"
    return [
        f"for (( i = 0; i < {server.per_node}; i++ )); do",
        f"  REPLICA=$(( {node} * {server.per_node} + i ))",
        f'  if (( REPLICA < {server.dp} )); then bash {script} {replica}"$@" & fi',
        "done",
    ]


def _addresses(pools: list[PoolServers], alone: bool) -> list[str]:
    """Where the router finds every server: the first of its nodes."""
    lines, first = [], 0
    for pool in pools:
        server, found = pool.server, []
        for i in range(server.dp):
            node = first + (i * server.nodes if server.nodes > 1 else i // server.per_node)
            host = "127.0.0.1" if alone else f"${{NODES[{node}]}}"
            found.append(f"{host}:{PORTS[pool.name] + (i % server.per_node)}")
        lines.append(f'export {pool.name.upper()}="${{{pool.name.upper()}:-{" ".join(found)}}}"')
        first += _nodes(pool)
    return lines
