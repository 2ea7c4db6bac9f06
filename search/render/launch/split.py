"""``launch/split.*`` of a run: the servers of both pools of the best split plan, and the router in front of them.

vLLM 0.33: NixlConnector (docs/features/nixl_connector_usage.md) and vllm-router, which sends a request to a server that
prefills and then to one that decodes. SGLang 0.5.23: ``--disaggregation-mode`` (docs/advanced_features/
pd_disaggregation.md) and sglang_router. TensorRT-LLM 1.2: ``cache_transceiver_config`` of both servers and
``trtllm-serve disaggregated`` (docs/source/features/disagg-serving.md).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from costmodel.drafts.drafter import Drafter
from costmodel.drafts.drafting import with_drafter
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.split.prefill import prefill_only
from search.optimizer.outcome import Outcome
from search.optimizer.rules.facts import facts_of
from search.optimizer.split.search import SplitPlans
from search.render.document.split_words import plan_in_words
from search.render.launch import trtllm
from search.render.launch.engines import LAUNCHED, refusal
from search.render.launch.script import Pool, pool_script, refused_script
from search.render.launch.server import Server, server_of
from search.render.launch.shell import Command, Expansion, Variable, Word, comment, word

PORTS = {"prefill": 8100, "decode": 8200}
ROUTER_PORT = 8000
BOOTSTRAP_PORT = 8998  # sglang/srt/server_args.py disaggregation_bootstrap_port, 0.5.23
SIDE_PORTS = {"prefill": 5600, "decode": 6600}  # vLLM's NIXL handshake, one for each attention group
DRAFT = "path or name of the checkpoint that drafts"
# SGLang has one algorithm for its own modules and for EAGLE-3 heads each (sglang/srt/speculative/spec_info.py, 0.5.23).
SGLANG_ALGORITHMS = {"mtp": "EAGLE", "eagle3": "EAGLE3", "ngram": "NGRAM"}


def split_files(outcome: Outcome) -> dict[str, str]:
    """Names below ``launch/`` and their texts; none without a split plan. What the engine refuses is written as a
    script that says so and fails."""
    found = outcome.split
    if found is None or found.best is None:
        return {}
    best, engine = found.best, outcome.scenario.engine.name
    files: dict[str, str] = {}
    servers = {}
    for name in PORTS:
        server, plan, drafter = _server(outcome, best, name)
        servers[name] = server
        refused = refusal(server, plan, facts_of(outcome.scenario), engine)
        if refused is not None:
            return {f"split.{name}.sh": refused_script(refused, engine, server)}
        pool = _pool(server, engine, name, drafter)
        files[f"split.{name}.sh"] = pool_script(server, engine, pool)
        if engine == "trtllm":
            files[pool.options] = _options(server, name, drafter)
    return files | _router(servers, engine, plan_in_words(best))


def _server(outcome: Outcome, best: SplitPlans, name: str) -> tuple[Server, Plans, Drafter | None]:
    """One pool as servers: as many replicas as it has instances, and what was predicted of the whole plan."""
    scenario: Scenario = outcome.scenario
    drafter = None
    if name == "prefill":
        row, count, one = int(best.p[0]), int(best.x[0]), best.prefill.plans.row(int(best.p[0]))
        budget = int(best.prefill.budget[row])
        scenario = replace(scenario, engine=replace(scenario.engine, max_batched_tokens=budget))
        prompts = max(-(-budget // max(int(scenario.lengths.new), 1)), 1)
        group = one["gpus"] // (one["tp"] * one["sp"] * one["pp"])
        one["batch"] = 2 * prompts * group  # those of a pass, and as many whose cache has not left yet
        scored = replace(scenario, lengths=prefill_only(scenario.lengths))
    else:
        row, count, one = int(best.d[0]), int(best.y[0]), best.decode.plans.row(int(best.d[0]))
        which = int(best.decode.drafter[row])
        drafter = best.drafters[which - 1] if which else None
        scored = with_drafter(scenario, drafter)
    plan = Plans.of(**(one | {"dp": count, "gpus": one["gpus"] * count}))
    f = best.figures
    own = replace(
        evaluate(scored, plan),
        ttft_s=np.array([f.ttft_s[0]]),
        tpot_s=np.array([f.tpot_s[0]]),
        output_tokens_per_s=best.column("output_tokens_per_s"),
    )
    return server_of(outcome.config, scenario, plan, own, 0), plan, drafter


def _pool(server: Server, engine: str, name: str, drafter: Drafter | None) -> Pool:
    flags: list[tuple[Word, ...]] = []
    settings: list[str] = []
    local = "${LOCAL:-0}" if server.per_node > 1 else "0"
    match engine:
        case "vllm":
            flags.append(("--kv-transfer-config", json.dumps({"kv_connector": "NixlConnector", "kv_role": "kv_both"})))
            first = f"$(({SIDE_PORTS[name]} + {max(server.attn_dp, 1)} * {local}))"
            settings += [
                'export VLLM_NIXL_SIDE_CHANNEL_HOST=${VLLM_NIXL_SIDE_CHANNEL_HOST:-"$HOST"}',
                f"export VLLM_NIXL_SIDE_CHANNEL_PORT=${{VLLM_NIXL_SIDE_CHANNEL_PORT:-{first}}}",
            ]
        case "sglang":
            flags += [("--disaggregation-mode", name), ("--disaggregation-transfer-backend", "nixl")]
            if name == "prefill":
                flags.append(("--disaggregation-bootstrap-port", Variable("BOOTSTRAP_PORT")))
                settings.append(f"BOOTSTRAP_PORT=${{BOOTSTRAP_PORT:-$(({BOOTSTRAP_PORT} + {local}))}}")
    if drafter is not None:
        flags += _draft_flags(engine, drafter)
        if drafter.kind == "eagle3" and engine != "trtllm":
            settings.append(f"DRAFT=${{DRAFT:?{DRAFT}}}")
    front = (
        f"One of the servers that {name}; split.router.sh stands in front of both pools. Caches travel over NVLink or",
        "RDMA (UCX) between them: start both before the router.",
    )
    return Pool(f"split.{name}.sh", tuple(flags), tuple(settings), PORTS[name], front, f"split.{name}.yaml")


def _draft_flags(engine: str, drafter: Drafter) -> list[tuple[Word, ...]]:
    match engine:
        case "vllm":
            told: dict[str, Any] = {"method": drafter.kind, "num_speculative_tokens": drafter.tokens}
            if drafter.kind == "ngram":
                told["prompt_lookup_max"] = 4
            if drafter.kind != "eagle3":
                return [("--speculative-config", json.dumps(told))]
            text = json.dumps(told)[:-1].replace('"', '\\"')
            return [("--speculative-config", Expansion(f'"{text}, \\"model\\": \\"${{DRAFT}}\\"}}"'))]
        case "sglang":
            flags: list[tuple[Word, ...]] = [("--speculative-algorithm", SGLANG_ALGORITHMS[drafter.kind])]
            if drafter.kind == "ngram":
                return [*flags, ("--speculative-num-draft-tokens", drafter.tokens + 1)]
            if drafter.kind == "eagle3":
                flags.append(("--speculative-draft-model-path", Variable("DRAFT")))
            flags += [("--speculative-num-steps", drafter.tokens), ("--speculative-eagle-topk", 1)]
            return [*flags, ("--speculative-num-draft-tokens", drafter.tokens + 1)]
    return []


def _options(server: Server, name: str, drafter: Drafter | None) -> str:
    """TensorRT-LLM's file of options for a server of a pool."""
    values = trtllm.options(server)
    values["cache_transceiver_config"] = {"backend": "UCX", "max_tokens_in_buffer": server.length}
    if name == "prefill":
        values["disable_overlap_scheduler"] = True
    if drafter is not None:
        values["speculative_config"] = {
            "mtp": {"decoding_type": "MTP", "num_nextn_predict_layers": drafter.tokens},
            "eagle3": {"decoding_type": "Eagle", "max_draft_len": drafter.tokens, "speculative_model_dir": DRAFT},
            "ngram": {"decoding_type": "NGram", "max_draft_len": drafter.tokens},
        }[drafter.kind]
    head = comment(f"{server.model} on {server.hardware}; {name}: {server.words}")
    return f"{head}\n{_yaml(values)}"


def _yaml(values: dict[str, Any], indent: str = "") -> str:
    lines = ""
    for key, value in values.items():
        inner = isinstance(value, dict)
        lines += f"{indent}{key}:\n{_yaml(value, indent + '  ')}" if inner else f"{indent}{key}: {json.dumps(value)}\n"
    return lines


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
        add = 'FLAGS+=(--prefill "http://$address" "$((BOOTSTRAP_PORT + n))"); n=$((n + 1))'
    head += [
        "FLAGS=()",
        f'for address in "${{PREFILL[@]}}"; do {add}; done',
        'for address in "${DECODE[@]}"; do FLAGS+=(--decode "http://$address"); done',
    ]
    flags: tuple[tuple[Word, ...], ...] = (
        (Expansion('"${FLAGS[@]}"'),), ("--host", Variable("HOST")), ("--port", Variable("PORT")),
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
        'exec trtllm-serve disaggregated \\\n  -c "$FILE" \\\n  "$@"',
    ]
