"""Everything that a plan is scored against."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from costmodel.architecture import Architecture, Setting
from costmodel.blocks.decode_context import Dealing, dealing
from costmodel.cluster import Cluster
from costmodel.drafts.drafter import Drafter
from costmodel.efficiency import EfficiencyLaw
from costmodel.engine import Engine
from costmodel.hardware import Accelerator
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans


@dataclass(frozen=True)
class Limits:
    """A plan is feasible when it keeps all of them; ``None`` is no limit. ``memory_fraction`` of what the driver
    reports is for everything (``all``), for weights and cache without activations and reserve (``static``: SGLang's
    ``mem_fraction_static``), or it is the cache's share of what all else leaves (``free``: TensorRT-LLM's
    ``free_gpu_memory_fraction``); ``ttft_statistic`` and its like say which statistic a latency's limit bounds: the
    mean, that of a burst, or at a rate a percentile. ``goodput``: share of the requests that keep every limit on a
    latency; ``overflow_risk``: chance that the caches in flight outgrow the memory."""

    memory_fraction: float = 0.9
    memory_of: Literal["all", "free", "static"] = "all"
    ttft_s: float | None = None
    ttft_statistic: str = "mean"
    tpot_s: float | None = None
    tpot_statistic: str = "mean"
    e2e_s: float | None = None
    e2e_statistic: str = "mean"
    goodput: float | None = None
    overflow_risk: float | None = None
    min_requests_per_s: float | None = None


STATISTICS = ("mean", "p50", "p90", "p95", "p99")


@dataclass(frozen=True)
class Demand:
    """``requests_per_s`` of the whole deployment arrive, with gaps of coefficient of variation ``gap_cv``.
    ``headroom``: look for the most requests within the limits too, which takes longer."""

    requests_per_s: float
    gap_cv: float = 1.0
    headroom: bool = True


@dataclass(frozen=True)
class Scenario:
    """One model on one kind of accelerator under one workload.

    ``waves``: requests that a client sends in all, over its concurrency. All begin at once, so the first of the waves
    is a burst; a server in production has seen infinitely many. ``synchronised``: all requests are equally long, as in
    a benchmark with fixed lengths: those that were prefilled together end together, come back together and are
    prefilled together again; ``together``: all of those that are in flight began at once. ``demand``: requests arrive
    at a rate, and ``batch`` is the most that a replica runs at a time; without it the loop is closed.
    ``drafter``: what proposes the engine's ``drafts``, where its work is listed (``costmodel.drafts.drafting``);
    ``decode_ranks`` of a tp group share the cache of a sequence that decodes (``costmodel.blocks.decode_context``)."""

    model: Architecture
    accelerator: Accelerator
    cluster: Cluster
    engine: Engine
    lengths: FixedLengths
    limits: Limits
    law: EfficiencyLaw
    waves: float = math.inf
    synchronised: bool = False
    together: bool = False
    drafter: Drafter | None = None
    decode_ranks: int = 1
    demand: Demand | None = None

    @property
    def lockstep(self) -> bool:
        """True where all requests are prefilled before anybody decodes, again and again."""
        return self.synchronised and self.together and bool(self.engine.prefill_first)

    @property
    def unmixed(self) -> bool:
        """True where steps that prefill are passes of prompts alone, each followed by one of decodes."""
        return bool(self.engine.prefill_first) and not self.lockstep

    @property
    def dealing(self) -> Dealing:
        """How the cache of decodes is dealt."""
        return dealing(self.engine.name, self.decode_ranks)

    def layout(self, plans: Plans) -> Layout:
        return Layout.of(plans, self.engine.dense_split, self.engine.routing)

    def setting(self, layout: Layout) -> Setting:
        """What the model's blocks are told when they list their operations."""
        cache = self.model.kv_format
        in_cache_format = self.engine.attention_format == "cache" and cache.name == "fp8"
        attends_in = cache.compute if in_cache_format else "bf16"
        return Setting(
            self.model.hidden,
            layout,
            self.model.quantization,
            cache.bytes_per_element,
            attends_in,
            self.lengths,
            self.engine.exchange,
            self._expert_rows(),
            # TensorRT-LLM quantises queries, keys and values of latent prompts for an FP8 cache by itself
            # (mFP8ContextMLA, cpp/tensorrt_llm/common/attentionOp.cpp), which takes up the gain on Hopper: in its
            # tables prompts of 1,024 tokens on take 0.83 to 1.06 times the law's time in bf16, 0.96 to 1.46 times
            # that in FP8 (H100, H200; from 16 heads on); 0.99 to 1.18 on the B200 (``context_mla``, 1.3.0rc20).
            "bf16" if self.accelerator.hopper else attends_in,
        )

    def _expert_rows(self) -> str:
        """All, where the engine takes portable kernels for experts: on accelerators without FP4 units, and for
        block-scaled FP8 on those with them. In the kernel tables shipped with AIConfigurator 0.12, SGLang 0.5.14 and
        vLLM 0.19 and 0.24 take 0.7 to 1.2 times the bytes of ``costmodel.blocks.moe.elsewhere`` at the bandwidth there,
        from an ep of 8 and 2048 tokens on; other formats on B200 and TensorRT-LLM take none of it. The laws are fitted
        with these bytes."""
        blocks = self.model.has_experts and self.model.quantization.of("experts.up").name == "fp8_block"
        native = "fp4" in self.accelerator.peak_flops and not blocks
        return "local" if native or self.engine.exchange != "allgather" else self.engine.expert_rows
