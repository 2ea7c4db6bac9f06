"""What ``scalar_reference`` serves: the worked case's model, accelerator, networks and lengths as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """The worked case. ``networks`` are (domain, alpha in s, beta in bytes/s) from the inside out; ``latencies`` of one
    pass and two of a node's all-reduce, ``norm_latencies`` with the norm in it, in alphas; ``switch_s``: it adds up."""

    layers: int = 94
    hidden: int = 4096
    vocabulary: int = 151936
    heads: int = 64
    kv_heads: int = 4
    head_dim: int = 128
    experts: int = 128
    top_k: int = 8
    inner: int = 1536
    flops_per_s: float = 400e12 * 0.6
    bytes_per_s: float = 1.8e12 * 0.8
    memory_bytes: float = 64e9
    memory_fraction: float = 0.9
    networks: tuple[tuple[int, float, float], ...] = ((8, 3e-6, 400e9 * 0.8), (4096, 8e-6, 50e9 * 0.8))
    isl: int = 2048
    osl: int = 2048
    budget: int = 8192
    block: int = 16
    reserve_bytes: float = 0.0
    step_overhead_s: float = 0.0
    layer_overhead_s: float = 0.0
    sequence_overhead_s: float = 0.0
    request_overhead_s: float = 0.0
    prompt_token_s: float = 0.0
    stream_token_s: float = 0.0
    steps_ahead: float = 0.0
    imbalance: float = 1.0
    latencies: tuple[float, float] = (1.0, 2.0)
    norm_latencies: tuple[float, float] | None = None
    switch_s: float | None = None
