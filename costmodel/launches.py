"""What is left of the kernels' fixed costs inside an engine, and which of its kernels the law does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from costmodel.architecture import Architecture
from costmodel.blocks.mla import LatentAttention
from costmodel.efficiency import APART, EfficiencyLaw, ExpertKernels, Fused
from costmodel.engine import Engine
from costmodel.hardware import Accelerator
from costmodel.operations import Writer

# What ``Engine.expert_kernels`` may be, and what they take over the law's time, from balanced rows of the kernel tables
# that AIConfigurator 0.12 ships. Medians without the fixed cost: ``fp4``: CUTLASS (``moe_torch_flow_cutlass`` in nvfp4,
# B200, above 1,024 tokens; over all 368 rows 2.1, quartiles 1.3 and 3.6), which TensorRT-LLM runs FP4 experts with
# unless told otherwise (MoeConfig.backend, tensorrt_llm/llmapi/llm_args.py, 1.0 to 1.2). ``unpacked``: MXFP4 on H100
# and H200 (78, 121 and 37 rows of vLLM 0.24, SGLang 0.5.14 and TensorRT-LLM 1.3; quartiles 0.7 and 2.7, 1.4 and 3.6,
# 1.4 and 4.4). On Blackwell vLLM and SGLang call TensorRT-LLM's ``generated`` kernels through FlashInfer; TensorRT-LLM
# does with ``moe_config.backend: TRTLLM``. In FP4 routing and both products are one kernel, 31 to 34 us for a layer of
# 4 tokens where fp8_block takes 58 to 95, and inputs and outputs travel 2.3 and 2.9 times (own fits to 217 rows of vLLM
# and 303 of SGLang), the law's 5.2: ``fp4_launch``, ``fp4_io``. ``blocks``: FP8 scaled in blocks (290 rows of SGLang,
# 133 of vLLM): 512 tokens and more take 1.2 to 2.4 times the law's time, 1.1 to 1.8 with this factor; TensorRT-LLM's
# (DeepGEMM, 340 rows) take 0.9 to 1.1 without.
GENERATED = ExpertKernels(fp4_launch=0.5, fp4_io=0.5, blocks=2.5)
EXPERT_KERNELS = {
    "any": replace(GENERATED, unpacked=2.0),
    "vllm": replace(GENERATED, unpacked=1.15),
    "sglang": replace(GENERATED, unpacked=2.5),
    "cutlass": ExpertKernels(fp4=1.7, unpacked=2.7),
    "generated": GENERATED,
}

# What ``Engine.input_quantisation`` may be, and which operations then write the inputs of which products.
ALL: Fused = frozenset((writer, dtype) for writer in get_args(Writer) for dtype in ("fp8", "fp4"))
INPUT_QUANTISATION: dict[str, Fused] = {"apart": APART, "fused": ALL, "fp4_norms_apart": ALL - {("norm", "fp4")}}


def in_engine(law: EfficiencyLaw, engine: Engine, accelerator: Accelerator, model: Architecture) -> EfficiencyLaw:
    """``law`` with the fixed costs that are left inside ``engine`` for ``model``, and the engine's expert kernels.

    The kernel tables time kernels one by one, in a captured graph. An engine's ``launch_share`` is below 1 where its
    kernels start before their predecessor ends (programmatic dependent launch, compute capability 9.0 and later, CUDA
    programming guide; TensorRT-LLM and SGLang use it by default on those). An accelerator without it keeps all of them.
    """
    if not accelerator.dependent_launch:
        share = max(engine.launch_share, 1.0)
    else:
        share = engine.launch_share * (1.0 if _fused(model, accelerator) else engine.unfused_launches)
    experts = EXPERT_KERNELS[engine.expert_kernels]
    if not accelerator.blackwell:
        experts = ExpertKernels(unpacked=experts.unpacked)
    return law.with_launches(share, fused=INPUT_QUANTISATION[engine.input_quantisation], experts=experts)


def _fused(model: Architecture, accelerator: Accelerator) -> bool:
    """True for DeepSeek-V3's shape on Hopper, what sgl-kernel's ``dsv3_fused_a_gemm`` and ``dsv3_router_gemm`` are
    written for; its descendants (DeepSeek-R1, Kimi K2) have it too."""
    return model.has_mixer(LatentAttention) and model.hidden == 7168 and accelerator.hopper
