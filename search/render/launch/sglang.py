"""A server in SGLang's words, 0.5.23 (sglang/srt/arg_groups/fields/, sglang/srt/arg_groups/parallel_hook.py)."""

from __future__ import annotations

import math

from search.optimizer.rules.start import CACHE_DTYPES, HOLDS
from search.render.launch.flags import SERVERS, SGLANG
from search.render.launch.server import Server
from search.render.launch.shell import Command, Expansion, Variable, Word

# host:port, as sglang/srt/server_args.py, 0.5.23, wants it.
MEETING = Expansion('"${MASTER_ADDR}:${MASTER_PORT}"')

CASTS = ("fp8",)  # sglang/srt/layers/quantization/fp8.py: bf16 weights become FP8 while they load


def command(server: Server) -> Command:
    """``sglang.launch_server`` for one node of one server. It divides ``--max-running-requests`` and
    ``--chunked-prefill-size`` by the attention groups, so both are given times as many."""
    flags: list[tuple[Word, ...]] = [
        (SGLANG["model"].name, Variable("MODEL")),
        (SGLANG["width"].name, server.width),
    ]
    for degree, value in (("pp", server.pp), ("attn_dp", server.attn_dp), ("ep", server.ep), ("sp", server.sp)):
        if value > 1:
            flags.append((SGLANG[degree].name, value))
    if server.sp > 1:
        # parallel_hook.py handle_context_parallelism: DeepSeek V3.2 has interleave alone, MiMo V2 zigzag alone.
        order = "interleave" if server.sparse else "zigzag"
        flags += [(SGLANG["prefill_cp"].name,), (SGLANG["prefill_cp_order"].name, order)]
    flags += [
        (SGLANG["batch"].name, server.group_batch * server.attn_dp),
        (SGLANG["tokens"].name, server.tokens * server.attn_dp),
        (SGLANG["prefill_tokens"].name, server.tokens),
        (SGLANG["graphs"].name, server.group_batch),
        *_prefill_graphs(server),
        (SGLANG["memory"].name, f"{math.floor(server.static_share * 1e4) / 1e4:g}"),
        (SGLANG["length"].name, server.length),
        (SGLANG["dtype"].name, server.checkpoint.dtype),
        (SGLANG["kv_cache"].name, CACHE_DTYPES["sglang"][server.checkpoint.cache]),
    ]
    if server.checkpoint.cast in CASTS:
        flags.append((SGLANG["weights"].name, "fp8"))
    if server.stream_interval > 1:
        flags.append((SGLANG["stream"].name, server.stream_interval))
    if server.hold_steps:
        flags.append((SGLANG["hold"].name, round(HOLDS["sglang"] * server.hold_steps)))
    flags += [("--host", Variable("HOST")), ("--port", Variable("PORT"))]
    if server.nodes > 1:
        flags += [
            (SGLANG["nodes"].name, server.nodes),
            (SGLANG["node_rank"].name, Variable("NODE")),
            (SGLANG["master"].name, MEETING),
        ]
    return Command(SERVERS["sglang"], tuple(flags))


def _prefill_graphs(server: Server) -> list[tuple[Word, ...]]:
    """Nothing where its own rules are what the figures take, or where they are another engine's."""
    if server.scored_for != "sglang" or server.prefill_graphs != "counted":
        return []
    if not server.captured_tokens:
        return [(SGLANG["no_prefill_graphs"].name,)]
    return [(SGLANG["prefill_graphs"].name, server.captured_tokens)]


def log_line(server: Server) -> str:
    """What each attention group logs (sglang/srt/managers/scheduler.py), after the divisions."""
    return f"max_total_num_tokens={server.capacity_tokens}, chunked_prefill_size={server.tokens}"
