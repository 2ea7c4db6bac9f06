"""What the host needs to launch a pass, where no captured graph does it for the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.graphs import captured_tokens
from costmodel.scenario import Scenario
from costmodel.stages import Stages
from costmodel.step import Step


def eager_seconds(scenario: Scenario, stages: Stages, step: Step) -> Any:
    """Seconds of launching a pass that holds prompts, shape of the step. Decode steps replay captured graphs; with
    prompts the operations of layers with experts are launched one after the other, which takes longer than those of a
    short prompt (TensorRT-LLM 1.x captures decode batches only unless told otherwise, as SGLang did until 0.5.9; vLLM
    0.33 passes of up to 512 rows). Choosing experts, sorting tokens by them and adding up their answers are launches
    that no operation lists: ``eager_experts_s``."""
    engine = scenario.engine
    if not (engine.eager_launch_s or engine.eager_experts_s):
        return np.zeros_like(step.tokens)
    setting = scenario.setting(step.layout)
    host: Any = 0.0
    for count, kind in zip(stages.totals, scenario.model.kinds, strict=True):
        experts = hasattr(kind.ffn, "experts")
        if experts or engine.eager_layers == "all":
            launches = engine.eager_launch_s * kind.host_launches(setting)
            host = host + count * (launches + engine.eager_experts_s * experts)
    captured = captured_tokens(engine, scenario.model, scenario.accelerator, step.layout)
    return host * ((step.prompts > 0) & (step.tokens > captured))
