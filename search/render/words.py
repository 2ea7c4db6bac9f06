"""What people call the program's figures, blocks, laws and rules: names from within never reach a document."""

from __future__ import annotations

LABELS = {
    "output_tokens_per_s": "output tokens/s",
    "output_tokens_per_s_per_gpu": "output tokens/s per GPU",
    "requests_per_s": "requests/s",
    "ttft_s": "TTFT",
    "burst_ttft_s": "TTFT in a burst",
    "tpot_s": "TPOT",
    "weights_bytes_per_gpu": "weights per GPU",
    "kv_cache_bytes_per_gpu": "KV cache per GPU",
    "kv_capacity_tokens": "KV capacity, tokens",
    "activation_bytes_per_gpu": "activations per GPU",
    "memory_bytes_per_gpu": "memory per GPU",
    "memory_utilization": "memory used",
    "decode_mfu": "MFU of decode",
    "prefill_mfu": "MFU of prefill",
    "decode_bandwidth_utilization": "bandwidth used in decode",
    "limit_ttft_s": "limit of TTFT",
    "limit_burst_ttft_s": "limit of TTFT in a burst",
    "limit_tpot_s": "limit of TPOT",
    "limit_output_tokens_per_s": "limit of output tokens/s",
    "share_of_limit": "share of the physical limit",
    "gpus": "GPUs",
    "usd_per_million_output_tokens": "cost per million output tokens",
    "joules_per_output_token": "energy per output token, at most",
    **{f"{name}_s_p{p}": f"{name.upper()}, p{p}" for name in ("ttft", "tpot") for p in (50, 90, 95, 99)},
    "e2e_s": "end to end",
    **{f"e2e_s_p{p}": f"end to end, p{p}" for p in (50, 90, 95, 99)},
    "goodput": "requests that keep every limit",
    "requests_in_flight": "requests in flight",
    "seat_wait_chance": "requests that wait for a seat",
    "overflow_risk": "chance that caches overflow",
    "capacity_requests_per_s": "requests/s at most",
    "max_requests_per_s": "requests/s within the limits",
    "rate_headroom": "headroom over the rate",
    "preemptions_per_s": "preemptions/s",
    "prefill_again": "prompts that are prefilled again",
    "prefix_hit": "prompt tokens found in the cache",
    "prefix_capacity_tokens": "room for cached prompts, tokens",
    "prefix_bytes_per_gpu": "idle prefixes per GPU",
}
BLOCKS = {
    "GroupedQueryAttention": "grouped-query attention",
    "LatentAttention": "multi-head latent attention",
    "DenseFfn": "dense feed-forward",
    "MoeFfn": "mixture of experts",
    "Mamba1": "Mamba",
    "Mamba2": "Mamba 2",
}
LAWS = {
    "ShapedLaw": "efficiency by the shape of each operation, from measured kernels",
    "FlatLaw": "one efficiency for all computing and one for all memory traffic",
}
ENGINES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM"}
LIMITS = {"memory": "memory per GPU", "ttft": "TTFT", "tpot": "TPOT", "e2e": "end to end", "goodput": "goodput",
          "overflow": "cache overflow", "requests": "requests/s"}  # fmt: skip
DIRECTIONS = {"max": "highest", "min": "lowest"}


def figure_words(name: str) -> str:
    """A figure by its column's name; what is no column's name stays as it is."""
    return LABELS.get(name) or spaced(name)


def block_words(name: str) -> str:
    """A block of a layer by its class: ``KimiDeltaAttention`` is ``kimi delta attention``."""
    if name in BLOCKS or not name.isidentifier():
        return BLOCKS.get(name, name)
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def law_words(name: str) -> str:
    return LAWS.get(name, name)


def limit_words(name: str) -> str:
    return LIMITS.get(name, name)


def engine_list(names: str) -> str:
    """``vllm, sglang`` in their own spelling."""
    return ", ".join(ENGINES.get(name, name) for name in names.split(", "))


def rule_words(name: str) -> str:
    """A rule by its name, several that each engine has of its own joined by a plus: ``vllm.experts_whole`` is ``vLLM:
    experts whole``."""
    parts = []
    for one in name.split(" + "):
        engine, dot, rule = one.rpartition(".")
        parts.append(f"{ENGINES[engine]}: {spaced(rule)}" if dot and engine in ENGINES else spaced(one))
    return "; ".join(parts)


def spaced(name: str) -> str:
    """A name from within as words; anything else as it is."""
    return name.replace("_", " ") if name.isidentifier() else name
