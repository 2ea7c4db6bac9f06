"""A server in vLLM's words, 0.33.0 (vllm/engine/arg_utils.py, vllm/config/parallel.py, vllm/config/scheduler.py)."""

from __future__ import annotations

from search.optimizer.rules.start import CACHE_DTYPES
from search.render.launch.flags import SERVERS, VLLM
from search.render.launch.server import Server
from search.render.launch.shell import Command, Variable, Word

CASTS = ("fp8",)  # vllm/model_executor/layers/quantization/fp8.py: bf16 weights become FP8 while they load

GRAPH_STEP = 16  # vllm/config/vllm.py: sizes of captured graphs from 256 rows on


def command(server: Server) -> Command:
    """``vllm serve`` for one node of one server; ``--max-num-seqs`` counts the sequences of one attention group."""
    flags: list[tuple[Word, ...]] = [(VLLM["tp"].name, server.tp)]
    for degree, value in (("pp", server.pp), ("attn_dp", server.attn_dp), ("sp", server.sp)):
        if value > 1:
            flags.append((VLLM[degree].name, value))
    if server.ep > 1:
        flags.append((VLLM["ep"].name,))
    flags += [
        (VLLM["batch"].name, server.group_batch),
        (VLLM["tokens"].name, server.tokens),
        (VLLM["memory"].name, f"{server.memory_share:g}"),
        (VLLM["length"].name, server.length),
        (VLLM["dtype"].name, server.checkpoint.dtype),
        (VLLM["kv_cache"].name, CACHE_DTYPES["vllm"][server.checkpoint.cache]),
    ]
    if server.checkpoint.cast in CASTS:
        flags.append((VLLM["weights"].name, "fp8"))
    if server.checkpoint.text_only:
        flags.append((VLLM["text_only"].name,))
    if server.captured_tokens:
        flags.append((VLLM["graphs"].name, graph_tokens(server)))
    if server.stream_interval > 1:
        flags.append((VLLM["stream"].name, server.stream_interval))
    flags += [("--host", Variable("HOST")), ("--port", Variable("PORT"))]
    if server.nodes > 1:
        flags += [
            (VLLM["nodes"].name, server.nodes),
            (VLLM["node_rank"].name, Variable("NODE")),
            (VLLM["master"].name, Variable("MASTER_ADDR")),
            (VLLM["master_port"].name, Variable("MASTER_PORT")),
            (Variable("HEADLESS[@]"),),
        ]
    return Command((*SERVERS["vllm"], Variable("MODEL")), tuple(flags))


def graph_tokens(server: Server) -> int:
    """Rows of the largest graph: all decode batches and, as predicted, passes with prompts replay one."""
    rows = max(server.captured_tokens, server.group_batch)
    return min(-(-rows // GRAPH_STEP) * GRAPH_STEP, server.tokens)


def log_line(server: Server) -> str:
    """What each attention group logs (vllm/v1/core/kv_cache_utils.py update_kv_cache_capacity)."""
    tokens, length = server.capacity_tokens, server.length
    return (
        f"GPU KV cache size: {tokens:,} tokens, "
        f"Maximum concurrency for {length:,} tokens per request: {tokens / length:.2f}x"
    )
