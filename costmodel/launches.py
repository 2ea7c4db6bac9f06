"""How much of the kernels' fixed costs is left, given the engine and the accelerator."""

from __future__ import annotations

from costmodel.efficiency import EfficiencyLaw
from costmodel.engine import Engine
from costmodel.hardware import Accelerator

# Median over 368 rows of measured over predicted time of ``moe_torch_flow_cutlass`` in nvfp4 on B200 (kernel tables
# shipped with AIConfigurator 0.12, TensorRT-LLM 1.3.0rc20; quartiles 1.11 and 1.69). CUTLASS is what TensorRT-LLM runs
# FP4 experts with unless told otherwise (MoeConfig.backend, tensorrt_llm/llmapi/llm_args.py, 1.0 to 1.2); vLLM and
# SGLang call its generated kernels through FlashInfer.
FP4_STRETCH = {"trtllm": 1.32}


def in_engine(law: EfficiencyLaw, engine: Engine, accelerator: Accelerator) -> EfficiencyLaw:
    """``law`` with the fixed costs that are left inside ``engine``.

    The kernel tables time kernels one by one, in a captured graph. An engine's ``launch_share`` is below 1 where its
    kernels start before their predecessor ends (programmatic dependent launch, compute capability 9.0 and later, CUDA
    programming guide; TensorRT-LLM and SGLang use it by default on those). An accelerator without it keeps all of them.
    """
    share = engine.launch_share if accelerator.dependent_launch else max(engine.launch_share, 1.0)
    return law.with_launches(
        share, fused=engine.input_quantisation == "fused", fp4_stretch=FP4_STRETCH.get(engine.name, 1.0)
    )
