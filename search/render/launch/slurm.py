"""A plan in Slurm: a job for each server of several nodes, or for each node with its servers. It runs the shell script
that lies beside it."""

from __future__ import annotations

from search.render.launch.containers import checkpoint
from search.render.launch.engines import LAUNCHED
from search.render.launch.server import Server
from search.render.launch.shell import Variable, comment, word


def slurm(server: Server, engine: str, about: list[str]) -> str:
    """The file for ``sbatch``."""
    jobs = server.dp if server.nodes > 1 else -(-server.dp // server.per_node)
    mpi = engine == "trtllm" and server.nodes > 1
    gpus = (
        -(-server.gpus_each // server.nodes) if server.nodes > 1 else server.gpus_each * min(server.per_node, server.dp)
    )
    head = ["#!/usr/bin/env bash", f"#SBATCH --job-name=servefront-{engine}", f"#SBATCH --nodes={server.nodes}"]
    head += [
        f"#SBATCH --ntasks-per-node={gpus if mpi else 1}",
        f"#SBATCH --gpus-per-node={gpus}",
        "#SBATCH --exclusive",
    ]
    head += [f"#SBATCH --array=0-{jobs - 1}"] if jobs > 1 else []
    notes = [
        *about,
        f"cd to this folder, sbatch {engine}.slurm; scancel JOB stops it. Partition, account and time are up to you",
        "HOST=0.0.0.0 lets other machines in; a container of the engine goes before bash, as your cluster starts them",
    ]
    body = _ranks(server) if mpi else _nodes(server, engine) if server.nodes > 1 else _servers(server, engine)
    return "\n".join([*head, *(comment(n) for n in notes), "set -euo pipefail", *body, ""])


FOLDER = 'HERE=${SLURM_SUBMIT_DIR:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)}'
INDEX = "INDEX=${SLURM_ARRAY_TASK_ID:-0}"
# Not by head, which may end before scontrol does: that would be a failed pipe.
FIRST = 'read -r MASTER_ADDR < <(scontrol show hostnames "$SLURM_JOB_NODELIST")'


def _servers(server: Server, engine: str) -> list[str]:
    """The servers of one node, each in the background; the job ends with the first that ends."""
    if server.dp == 1:
        return [FOLDER, f'exec bash "$HERE/{engine}.sh" "$@"']
    return [
        FOLDER,
        INDEX,
        f"for (( i = 0; i < {server.per_node}; i++ )); do",
        f"  REPLICA=$(( INDEX * {server.per_node} + i ))",
        f'  if (( REPLICA < {server.dp} )); then bash "$HERE/{engine}.sh" "$REPLICA" "$@" & fi',
        "done",
        "wait -n",
    ]


def _nodes(server: Server, engine: str) -> list[str]:
    """One task a node, which knows its number."""
    replica = '"$INDEX" ' if server.dp > 1 else ""
    inner = f'NODE=$SLURM_NODEID exec bash "$HERE/{engine}.sh" {replica}"$@"'
    return [FOLDER, INDEX, FIRST, "export HERE INDEX MASTER_ADDR", f'exec srun bash -c {word(inner)} {engine}.sh "$@"']


def _ranks(server: Server) -> list[str]:
    """TensorRT-LLM: a task a rank, which Slurm's MPI starts."""
    known = checkpoint(server, "trtllm")
    model = f":-{word(known)}" if known is not None else f":?{server.checkpoint.wanted}"
    command = LAUNCHED["trtllm"].command(server)
    program = [w for w in command.program if w in ("trtllm-llmapi-launch", "trtllm-serve")]
    flags = [w for flag in command.flags for w in flag]
    told = " ".join(word(w) for w in [*program, Variable("MODEL"), *flags])
    return [
        FOLDER,
        f"MODEL=${{MODEL{model}}}",
        "HOST=${HOST:-127.0.0.1}",
        "PORT=${PORT:-8000}",
        "OPTIONS=$HERE/trtllm.yaml",
        f'exec srun --mpi=pmix {told} "$@"',
    ]
