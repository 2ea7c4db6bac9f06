"""How a server was started, as far as it changes what its memory holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from costmodel.plans import Plans
from costmodel.scenario import Scenario


@dataclass(frozen=True)
class Server:
    """``fraction`` of the accelerator's usable memory, and what it is for (``costmodel.scenario.Limits``);
    ``sequences`` at most at once in an attention group and ``tokens`` of a pass: the profile run has so many;
    ``length``: the longest request that it must be able to hold; ``captured``: largest batch with a graph (``None``:
    twice the sequences, at most 512); ``eager``: no graphs; ``vision``: the encoder is loaded; ``cache_bytes``: given
    instead of a share; ``cache_blocks``: their number given; ``cache_ranks``: ranks over which a sequence's cache is
    spread (decode context parallelism); ``draft_bytes`` of a
    speculator of ``draft_layers`` layers, which proposes ``draft_tokens`` at a time; ``taken_bytes``: held by other
    programs, ``unsure_bytes``: one standard deviation of that;
    ``encoder_bytes``: the vision encoder's peak where it is known; ``shortens``: starts with a shorter context where
    the longest request does not fit, as SGLang and TensorRT-LLM do; ``host_bytes`` of the weights in host memory."""

    fraction: float
    share: Literal["all", "free", "static"] = "all"
    sequences: Any = 256.0
    tokens: float = 8192.0
    length: float = 8192.0
    captured: int | None = None
    eager: bool = False
    vision: bool = True
    cache_bytes: float | None = None
    cache_blocks: int | None = None
    cache_ranks: int = 1
    draft_bytes: float = 0.0
    draft_tokens: int = 0
    draft_layers: int = 0
    taken_bytes: float = 0.0
    unsure_bytes: float = 0.0
    encoder_bytes: float | None = None
    shortens: bool = False
    host_bytes: float = 0.0

    @classmethod
    def of(cls, scenario: Scenario, sequences: Any) -> Server:
        """The server that a search means: so many sequences a group, and the workload's length as the longest."""
        return cls(
            fraction=scenario.limits.memory_fraction,
            share=scenario.limits.memory_of,
            sequences=sequences,
            tokens=float(scenario.engine.max_batched_tokens),
            length=float(scenario.lengths.total),
        )

    @classmethod
    def for_plans(cls, scenario: Scenario, plans: Plans) -> Server:
        """The same, for plans."""
        return cls.of(scenario, np.ceil(plans.batch / plans.attn_dp))


def graph_sizes(server: Server) -> Any:
    """How many batch sizes are captured: 1, 2, 4, then every 8 up to 256, every 16 beyond (vllm/config/vllm.py
    _set_cudagraph_sizes, 0.33; SGLang's and TensorRT-LLM's lists are alike)."""
    captured = np.minimum(2.0 * server.sequences, 512.0) if server.captured is None else float(server.captured)
    small = np.minimum(np.floor(np.log2(np.maximum(captured, 1.0))) + 1.0, 3.0)
    return (
        small + np.floor(np.minimum(captured, 256.0) / 8.0) + np.floor(np.maximum(captured - 256.0, 0.0) / 16.0)
    ) * (captured > 0)
