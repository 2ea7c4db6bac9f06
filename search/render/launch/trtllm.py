"""A server in TensorRT-LLM's words, 1.x: a file of options (tensorrt_llm/llmapi/llm_args.py) and ``trtllm-serve``
(tensorrt_llm/commands/serve.py), which lets the file's values win over its own options."""

from __future__ import annotations

import json
import math
from typing import Any

from costmodel.serving.closed_loop import HELD_FULL
from search.optimizer.rules.start import CACHE_DTYPES, HOLDS
from search.render.launch.flags import SERVERS, TRTLLM
from search.render.launch.server import Server
from search.render.launch.shell import Command, Variable, Word

PREFILL_STEP = 256
CASTS: tuple[str, ...] = ()  # its PyTorch backend loads weights in the checkpoint's format


def options(server: Server) -> dict[str, Any]:
    """The file's content. ``max_batch_size`` counts the sequences of one attention group."""
    values: dict[str, Any] = {"width": server.width // server.sp, "pp": server.pp}
    if server.sp > 1:
        values["sp"] = server.sp  # Ulysses unless cp_config says otherwise (mapping.py)
    if server.moe_tp * server.ep > 1:
        values |= {"moe_tp": server.moe_tp, "ep": server.ep}
    if server.nodes > 1:
        values["nodes"] = server.node_size
    values |= {
        "attn_dp": server.attn_dp > 1,
        "batch": server.group_batch,
        "tokens": server.tokens,
        "length": server.length,
        "chunks": True,
        "dtype": server.checkpoint.dtype,
        "graphs": server.group_batch,
        "padding": True,
        "kv_cache": CACHE_DTYPES["trtllm"][server.checkpoint.cache],
        "memory": math.floor(server.free_share * 1e4) / 1e4,
    }
    if server.captured_tokens and server.scored_for == "trtllm":
        values |= {"prefill_graphs": True, "prefill_sizes": prefill_sizes(min(server.captured_tokens, server.tokens))}
    if server.generated_experts and server.scored_for == "trtllm":
        values["experts"] = "TRTLLM"
    if server.stream_interval > 1:
        values["stream"] = server.stream_interval
    if server.hold_steps:
        values |= {"hold": round(HOLDS["trtllm"] * server.hold_steps), "hold_full": HELD_FULL}
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *outer, key = TRTLLM[name].name.split(".")
        place = nested
        for step in outer:
            place = place.setdefault(step, {})
        place[key] = value
    return nested


def prefill_sizes(most: int) -> list[int]:
    """Rows of the graphs of passes with prompts, each padded to the next: finer where passes are short."""
    steps = {*(2**i for i in range(8)), *range(PREFILL_STEP, most, PREFILL_STEP), most}
    return sorted(size for size in steps if size <= most)


def yaml_text(server: Server) -> str:
    """The file: fixed keys, numbers, booleans and words from fixed lists."""
    lines = []
    for key, value in options(server).items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {k}: {json.dumps(v)}" for k, v in value.items())]
        else:
            lines.append(f"{key}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def command(server: Server) -> Command:
    """``trtllm-serve`` for one server; over several nodes mpirun starts all its ranks."""
    program: tuple[Word, ...] = (*SERVERS["trtllm"], Variable("MODEL"))
    if server.nodes > 1:
        start = ("mpirun", "-n", server.gpus_each, "--map-by", f"ppr:{server.node_size}:node", "--hostfile")
        program = (*start, Variable("HOSTFILE"), "trtllm-llmapi-launch", *program)
    flags: list[tuple[Word, ...]] = [
        ("--backend", "pytorch"),
        ("--extra_llm_api_options", Variable("OPTIONS")),
        ("--host", Variable("HOST")),
        ("--port", Variable("PORT")),
    ]
    return Command(program, tuple(flags))


def log_line(server: Server) -> str:
    """What each rank logs (cpp/tensorrt_llm/batch_manager/kvCacheManager.cpp)."""
    gib = server.cache_bytes / 2**30
    return f"[MemUsageChange] Allocated {gib:.2f} GiB for max tokens in paged KV cache ({server.capacity_tokens})."
