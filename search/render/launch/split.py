"""``launch/split.*`` of a run: the servers of both pools of the best split plan, and the router in front of them.

vLLM 0.33: NixlConnector (docs/features/nixl_connector_usage.md) and vllm-router, which sends a request to a server that
prefills and then to one that decodes. SGLang 0.5.23: ``--disaggregation-mode`` (docs/advanced_features/
pd_disaggregation.md) and sglang_router. TensorRT-LLM 1.2: ``cache_transceiver_config`` of both servers and
``trtllm-serve disaggregated`` (docs/source/features/disagg-serving.md).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from costmodel.drafts.drafter import Drafter
from costmodel.drafts.drafting import with_drafter
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.split.prefill import prefill_only
from search.inputs.split.machines import POOLS
from search.optimizer.outcome import Outcome
from search.optimizer.rules.facts import facts_of
from search.optimizer.split.search import SplitPlans
from search.render.document.split_words import plan_in_words
from search.render.launch import split_compose, split_kubernetes, split_platforms, split_slurm
from search.render.launch.containers import PORT
from search.render.launch.engines import LAUNCHED, refusal
from search.render.launch.kubernetes import EVERY_S, START_TRIES
from search.render.launch.script import Pool, pool_script, refused_script
from search.render.launch.server import Server, server_of
from search.render.launch.shell import Command, Expansion, Variable, Word, comment, word
from search.render.launch.split_flags import (
    BOOTSTRAP_PORT,
    DRAFT,
    PORTS,
    SIDE_PORTS,
    Alike,
    drafter_in,
    has_checkpoint,
    options,
    pool_flags,
)
from search.render.launch.split_parts import PoolServers, labels, pool_servers, together

ROUTER_PORT = 8000
# Seconds that a router waits for its servers, and TensorRT-LLM's for an answer: 600 (vllm-router), 1800 (sglang_router)
# and 180 unless told, and large checkpoints take longer to load.
PATIENCE_S = START_TRIES * EVERY_S


def split_files(outcome: Outcome) -> dict[str, str]:
    """Names below ``launch/`` and their texts; none without a split plan. What the engine refuses is written as a
    script that says so and fails."""
    found = outcome.split
    if found is None or found.best is None:
        return {}
    best, engine = found.best, outcome.scenario.engine.name
    files: dict[str, str] = {}
    servers, drafters = {}, {}
    dealt = {"prefill": 1, "decode": int(best.decode.ranks[best.d[0]])}
    alike = Alike.of(*best.pools)
    for name, scenario in zip(POOLS, best.pools, strict=True):
        server, plan, drafters[name] = _server(outcome, scenario, best, name)
        servers[name] = server
        refused = refusal(server, plan, facts_of(scenario), engine)
        if refused is not None:
            return {f"split.{name}.sh": refused_script(refused, engine, server)}
    alone = together([*servers.values()])
    for name, server in servers.items():
        device = servers["prefill"].gpus if alone and name == "decode" else 0
        pool = replace(_pool(server, engine, name, drafters[name], dealt[name], alike), device=device)
        files[f"split.{name}.sh"] = pool_script(server, engine, pool)
        if engine == "trtllm":
            files[pool.options] = options(server, name, drafters[name], dealt[name])
    words = plan_in_words(best)
    files |= _router(servers, engine, words)
    told = [words, *_predicted(servers["decode"])]
    return files | _manifests(engine, servers, drafters, dealt, alike, told, files)


def _predicted(server: Server) -> list[str]:
    return [
        f"Predicted: TTFT {server.ttft_s:.3g} s, TPOT {server.tpot_s * 1e3:.3g} ms, "
        f"{server.output_tokens_per_s:,.0f} output tokens/s of the whole deployment"
    ]


def _manifests(
    engine: str,
    servers: dict[str, Server],
    drafters: dict[str, Drafter | None],
    dealt: dict[str, int],
    alike: Alike,
    told: list[str],
    files: dict[str, str],
) -> dict[str, str]:
    """The same pools in containers."""

    def pools(**ports: int) -> list[PoolServers]:
        return [
            pool_servers(engine, n, servers[n], drafters[n], dealt[n], alike, nodes[n], ports.get(n, PORT))
            for n in POOLS
        ]

    nodes, kinds = labels(servers), dict.fromkeys(server.hardware for server in servers.values())
    about = [f"{LAUNCHED[engine].title}: {servers['decode'].model} on {' and '.join(kinds)}", *told]
    found = {
        "split.kubernetes.yaml": split_kubernetes.manifest(engine, pools(), about, files["split.router.sh"]),
        "split.dynamo.yaml": split_platforms.dynamo(engine, pools(), about),
        **split_platforms.llm_d(engine, pools(decode=split_platforms.BEHIND), about),
    }
    more = {
        "split.compose.yaml": split_compose.compose(engine, pools(), about),
        split_slurm.FILE: split_slurm.slurm(engine, pools(), about),
    }
    return found | {name: text for name, text in more.items() if text is not None}


def _server(
    outcome: Outcome, scenario: Scenario, best: SplitPlans, name: str
) -> tuple[Server, Plans, Drafter | None]:  # fmt: skip
    """One pool, whose own ``scenario`` it is, as servers: as many replicas as it has instances, and what was predicted
    of the whole plan."""
    drafter = drafter_in(name, best.drafter)
    if name == "prefill":
        row, count, one = int(best.p[0]), int(best.x[0]), best.prefill.plans.row(int(best.p[0]))
        budget = int(best.prefill.budget[row])
        scenario = replace(scenario, engine=replace(scenario.engine, max_batched_tokens=budget))
        prompts = max(-(-budget // max(int(scenario.lengths.new), 1)), 1)
        group = one["gpus"] // (one["tp"] * one["sp"] * one["pp"])
        one["batch"] = 2 * prompts * group  # those of a pass, and as many whose cache has not left yet
        scored = with_drafter(replace(scenario, lengths=prefill_only(scenario.lengths)), drafter)
    else:
        row, count, one = int(best.d[0]), int(best.y[0]), best.decode.plans.row(int(best.d[0]))
        scored = replace(with_drafter(scenario, drafter), decode_ranks=int(best.decode.ranks[row]))
    plan = Plans.of(**(one | {"dp": count, "gpus": one["gpus"] * count}))
    f = best.figures
    own = replace(
        evaluate(scored, plan),
        ttft_s=np.array([f.ttft_s[0]]),
        tpot_s=np.array([f.tpot_s[0]]),
        output_tokens_per_s=best.column("output_tokens_per_s"),
    )
    return server_of(outcome.config, scenario, plan, own, 0), plan, drafter


def _pool(server: Server, engine: str, name: str, drafter: Drafter | None, ranks: int, alike: Alike) -> Pool:
    settings: list[str] = []
    local = "${LOCAL:-0}" if server.per_node > 1 else "0"
    match engine:
        case "vllm":
            first = f"$(({SIDE_PORTS[name]} + {max(server.attn_dp, 1)} * {local}))"
            settings += [
                "# Where the other pool finds it: NODE_IP or the node's first address, where HOST is all of them",
                'OWN=$HOST; if [[ "$HOST" == 0.0.0.0 ]]; then OWN=${NODE_IP:-$(hostname -I | cut -d" " -f1)}; fi',
                'export VLLM_NIXL_SIDE_CHANNEL_HOST=${VLLM_NIXL_SIDE_CHANNEL_HOST:-"$OWN"}',
                f"export VLLM_NIXL_SIDE_CHANNEL_PORT=${{VLLM_NIXL_SIDE_CHANNEL_PORT:-{first}}}",
            ]
        case "sglang" if name == "prefill":
            settings.append(f"BOOTSTRAP_PORT=${{BOOTSTRAP_PORT:-$(({BOOTSTRAP_PORT} + {local}))}}")
    if has_checkpoint(engine, drafter):
        settings.append(f"DRAFT=${{DRAFT:?{DRAFT}}}")
    flags = pool_flags(engine, name, drafter, ranks, Variable("BOOTSTRAP_PORT"), Variable("DRAFT"), alike)
    front = (
        f"One of the servers that {name}; split.router.sh stands in front of both pools. Caches travel over NVLink or",
        "RDMA (UCX) between them: start both before the router.",
    )
    return Pool(f"split.{name}.sh", tuple(flags), tuple(settings), PORTS[name], front, f"split.{name}.yaml")


def _router(servers: dict[str, Server], engine: str, plan: str) -> dict[str, str]:
    """The router: every server of both pools by its address, HOSTS_PREFILL and HOSTS_DECODE naming the nodes."""
    told = [
        f"{LAUNCHED[engine].title}: router of {plan}",
        "PREFILL and DECODE: addresses (host:port) of the servers, with spaces between; by default all on this machine",
        "MODEL, HOST and PORT as for the servers; HOST=0.0.0.0 lets other machines in",
    ]
    addresses = {
        name: " ".join(f"127.0.0.1:{PORTS[name] + i}" for i in range(server.dp)) for name, server in servers.items()
    }
    head = [
        "#!/usr/bin/env bash",
        *(comment(line) for line in told),
        "set -euo pipefail",
        "HOST=${HOST:-127.0.0.1}",
        f"PORT=${{PORT:-{ROUTER_PORT}}}",
        *(f'read -ra {name.upper()} <<< "${{{name.upper()}:-{text}}}"' for name, text in addresses.items()),
    ]
    if engine == "trtllm":
        return {"split.router.sh": "\n".join([*head, *_written_yaml(), ""])}
    program: tuple[Word, ...] = ("vllm-router", "--vllm-pd-disaggregation")
    add = 'FLAGS+=(--prefill "http://$address")'
    if engine == "sglang":
        program = ("python3", "-m", "sglang_router.launch_router", "--pd-disaggregation")
        first = f"{BOOTSTRAP_PORT}"
        head += [f"BOOTSTRAP_PORT=${{BOOTSTRAP_PORT:-{first}}}", "n=0"]
        # Servers of one node count up from the port.
        each = f"${{SERVERS_A_NODE:-{servers['prefill'].per_node}}}"
        add = f'FLAGS+=(--prefill "http://$address" "$((BOOTSTRAP_PORT + n % {each}))"); n=$((n + 1))'
    head += [
        "FLAGS=()",
        f'for address in "${{PREFILL[@]}}"; do {add}; done',
        'for address in "${DECODE[@]}"; do FLAGS+=(--decode "http://$address"); done',
    ]
    flags: tuple[tuple[Word, ...], ...] = (
        (Expansion('"${FLAGS[@]}"'),), ("--host", Variable("HOST")), ("--port", Variable("PORT")),
        ("--worker-startup-timeout-secs", PATIENCE_S),
    )  # fmt: skip
    command = Command(program, flags).many_lines()
    return {"split.router.sh": "\n".join([*head, f'exec {command} \\\n  "$@"', ""])}


def _written_yaml() -> list[str]:
    """TensorRT-LLM's router reads addresses from a file, which the script writes beside itself."""
    return [
        'FILE=${FILE:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/split.router.yaml}',
        "{",
        f'  echo "hostname: $HOST"; echo "port: $PORT"; echo {word("backend: pytorch")}',
        '  echo "context_servers:"; echo "  num_instances: ${#PREFILL[@]}"; echo "  urls:"',
        '  for address in "${PREFILL[@]}"; do echo "    - \'$address\'"; done',
        '  echo "generation_servers:"; echo "  num_instances: ${#DECODE[@]}"; echo "  urls:"',
        '  for address in "${DECODE[@]}"; do echo "    - \'$address\'"; done',
        '} > "$FILE"',
        f'exec trtllm-serve disaggregated \\\n  -c "$FILE" \\\n  -t {PATIENCE_S} -r {PATIENCE_S} \\\n  "$@"',
    ]
