"""What the host needs to launch a pass, where no captured graph does it for the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.architecture import Architecture
from costmodel.blocks.mla import LatentAttention
from costmodel.engine import Engine
from costmodel.graphs import captured_tokens
from costmodel.hardware import Accelerator
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.step import Step


def eager_seconds(scenario: Scenario, stages: Stages, step: Step) -> Any:
    """Seconds of launching a pass that holds prompts, shape of the step. Decode steps replay captured graphs; with
    prompts the operations of layers with experts are launched one after the other, which takes longer than those of a
    short prompt (TensorRT-LLM 1.x captures decode batches only unless told otherwise, as SGLang did until 0.5.9; vLLM
    0.33 passes of up to 512 rows). Choosing experts, sorting tokens by them and adding up their answers are launches
    that no operation lists: ``eager_experts_s``, unless one kernel does it all."""
    engine = scenario.engine
    if not (engine.eager_launch_s or engine.eager_experts_s):
        return np.zeros_like(step.tokens)
    setting = scenario.setting(step.layout)
    beside = 0.0 if _routed_inside(engine, scenario.model, scenario.accelerator) else engine.eager_experts_s
    host: Any = 0.0
    for count, kind in zip(stages.totals, scenario.model.kinds, strict=True):
        if kind.has_experts or engine.eager_layers == "all":
            launches = engine.eager_launch_s * kind.host_launches(setting)
            host = host + count * (launches + beside * kind.has_experts)
    captured = captured_tokens(engine, scenario.model, scenario.accelerator, step.layout)
    if not engine.decode_graphs:
        return host * (step.tokens > 0)
    return host * ((step.prompts > 0) & (step.tokens > captured))


def _routed_inside(engine: Engine, model: Architecture, accelerator: Accelerator) -> bool:
    """True where experts are chosen and computed by one call. SGLang does so on Blackwell with FlashInfer's generated
    kernels, which take the router's logits (``TopKOutputFormat.BYPASSED`` in sglang/srt/layers/moe/topk.py), by default
    for DeepSeek-V3's architecture and for experts of four bits (``moe_runner_backend`` in server_args.py, 0.5.14).
    Indexers stay with ``eager_experts_s``: theirs are launches that no operation lists either."""
    four_bits = model.quantization.of("experts.up").bits == 4
    by_default = four_bits or (model.has_mixer(LatentAttention) and not model.sparse)
    return engine.expert_kernels == "sglang" and accelerator.blackwell and by_default
