"""Which passes with prompts replay captured graphs. The others are launched operation by operation."""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.architecture import Architecture
from costmodel.blocks.delta_net import GatedDeltaNet
from costmodel.blocks.mla import LatentAttention
from costmodel.engine import Engine
from costmodel.hardware import Accelerator
from costmodel.layout import Layout

# SGLang captures no larger ones in models with latent attention (sglang/srt/arg_groups/memory_hook.py, 0.5.23).
LATENT_TOKENS = 2048


def captured_tokens(engine: Engine, model: Architecture, accelerator: Accelerator, layout: Layout) -> Any:
    """Rows of the largest pass with prompts that replays a captured graph, a number or one a plan; 0: none does.

    ``counted``: ``Engine.captured_tokens``, for every model. ``breakable`` and ``piecewise`` are SGLang's two ways, up
    to the token budget, on NVIDIA's accelerators and without pipeline parallelism (cuda_graph_hook.py beside the file
    above). ``breakable`` leaves out models with vision but Qwen3.5 and Kimi K2.5, and on Blackwell MLA without an
    indexer, whose kernel it does not suit. ``piecewise`` leaves out attention data parallelism and models with vision,
    an indexer or gated delta nets."""
    if engine.prefill_graphs == "counted":
        return engine.captured_tokens
    latent, recurrent = model.has_mixer(LatentAttention), model.has_mixer(GatedDeltaNet)
    vision = model.vision_parameters > 0
    without = layout.pp > 1  # plans that have no graphs
    if engine.prefill_graphs == "piecewise":
        without = without | (layout.attn_dp > 1)
        possible = not (vision or model.sparse or recurrent)
    else:
        unsuited = latent and not model.sparse and accelerator.blackwell
        possible = not unsuited and (not vision or recurrent or latent)
    if not (possible and accelerator.nvidia):
        return 0
    most = min(engine.max_batched_tokens, LATENT_TOKENS) if latent else engine.max_batched_tokens
    return np.where(without, 0, most)
