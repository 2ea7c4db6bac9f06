"""How much of the kernels' fixed costs is left, given the engine and the accelerator."""

from __future__ import annotations

from costmodel.efficiency import EfficiencyLaw
from costmodel.engine import Engine
from costmodel.hardware import Accelerator


def in_engine(law: EfficiencyLaw, engine: Engine, accelerator: Accelerator) -> EfficiencyLaw:
    """``law`` with the fixed costs that are left inside ``engine``.

    The kernel tables time kernels one by one, in a captured graph. An engine's ``launch_share`` is below 1 where its
    kernels start before their predecessor ends (programmatic dependent launch, compute capability 9.0 and later, CUDA
    programming guide; TensorRT-LLM and SGLang use it by default on those). An accelerator without it keeps all of them.
    """
    share = engine.launch_share if accelerator.dependent_launch else max(engine.launch_share, 1.0)
    return law.with_launches(share, engine.expert_launch_share)
