"""What is left of the kernels' fixed costs inside an engine, and which of its kernels the law does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from costmodel.architecture import Architecture
from costmodel.blocks.mla import LatentAttention
from costmodel.efficiency import NONE, EfficiencyLaw, ExpertKernels, Inputs, ProductKernels
from costmodel.engine import Engine
from costmodel.hardware import Accelerator
from costmodel.operations import Work, Writer

# What ``Engine.expert_kernels`` may be, and what they take over the law's time in the kernel tables that AIConfigurator
# 0.12 ships. ``fp4``: CUTLASS (``moe_torch_flow_cutlass`` in nvfp4, B200; median without the fixed cost 1.4 above 1,024
# tokens and 1.8 over all 368 rows, 1.5 to 1.7 in fits with all kernels), which TensorRT-LLM runs FP4 experts with
# unless told otherwise (MoeConfig.backend, tensorrt_llm/llmapi/llm_args.py, 1.0 to 1.2). ``unpacked``: MXFP4 on H100
# and H200, medians without the fixed cost (78, 121 and 37 rows of vLLM 0.24, SGLang 0.5.14 and TensorRT-LLM 1.3;
# quartiles 0.8 and 3.1, 1.6 and 3.4, 1.8 and 4.7). On Blackwell vLLM and SGLang call TensorRT-LLM's ``generated``
# kernels through FlashInfer; TensorRT-LLM does with ``moe_config.backend: TRTLLM``. Routing and both products are one
# kernel there: 0.52 to 0.62 of the fixed cost in bf16 and FP8, 0.70 to 0.77 in NVFP4, but 0.9 to 1.1 with FP8 scaled in
# blocks; inputs and outputs of NVFP4 travel 0.8 to 1.0 times as often. Block scales: 1.8 to 2.0 (SGLang) and 2.2 to 2.4
# (vLLM) times the law's work a row, and 60 to 90 rows of padding an expert with balanced routing, 140 to 170 with
# power-law routing. TensorRT-LLM's (DeepGEMM) have 0.5 to 0.6 of the work a row and 150 rows of padding.
GENERATED = ExpertKernels(launch=0.65, fp4_io=0.9, padding=0.0, blocks=2.0, block_rows=80.0)
# Experts in FP8 scaled in blocks on Hopper, a row: 1.32 to 1.39 in the tables of the H100, 1.35 to 1.47 in those
# of the H200, over all sizes in vLLM, SGLang and TensorRT-LLM alike. From 1,024 tokens on, where rows rule,
# TensorRT-LLM's (``moe_torch_flow_cutlass``, balanced, 1.3) take 1.7 to 2.2 times the law's.
BLOCKS_ON_HOPPER = {"cutlass": 1.8}
USUAL_BLOCKS_ON_HOPPER = 1.4
EXPERT_KERNELS = {
    "any": replace(GENERATED, unpacked=2.0),
    "vllm": replace(GENERATED, unpacked=1.2, blocks=2.4),
    "sglang": replace(GENERATED, unpacked=2.2, blocks=1.9),
    "cutlass": ExpertKernels(fp4=1.6, unpacked=2.7, blocks=0.6, block_rows=150.0),
    "generated": GENERATED,
    # OpenAI's Triton kernel for MXFP4 (moe_config.backend: TRITON; 57 rows each of H100 and H200, vLLM 0.24).
    "triton": ExpertKernels(unpacked=1.1),
}

# What ``Engine.input_quantisation`` may be, and which operations then write the inputs of which products.
FP8: Inputs = frozenset((writer, "fp8") for writer in get_args(Writer))
ALL: Inputs = FP8 | frozenset((writer, "fp4") for writer in get_args(Writer))
INPUT_QUANTISATION: dict[str, Inputs] = {
    "apart": NONE,
    "fused": ALL,
    "fp8": FP8,
    "fp4_norms_apart": ALL - {("norm", "fp4")},
}
# What ``Engine.fp8_products`` may be, and which products then take no whole tiles of rows on Hopper. Weights scaled in
# blocks are multiplied by DeepGEMM or CUTLASS everywhere.
FP8_PRODUCTS: dict[str, Inputs] = {"cutlass": NONE, "cublas": FP8}
# vLLM hands prompts and decodes to FlashAttention in one call (``flash_attn_varlen_func`` in
# vllm/v1/attention/backends/flash_attn.py, 0.10 to 0.15), the tables time one of each. FlashInfer, its default on
# Blackwell, has two calls (flashinfer.py beside it).
ATTENDS_AT_ONCE = ("vllm",)
NEXT_TO_NOTHING = 1e-9  # bytes or heads of a call that is its fixed cost alone


def attends_at_once(engine: Engine, accelerator: Accelerator) -> bool:
    """True where attention of a pass with prompts and decodes is one call."""
    return engine.name in ATTENDS_AT_ONCE and accelerator.nvidia and not accelerator.blackwell


def spared_s(law: EfficiencyLaw, prompts: Work, decodes: Work, accelerator: Accelerator) -> Any:
    """Seconds that one call of attention takes less than one of prompts and one of decodes: the lesser fixed cost,
    where there are both."""
    fixed = [
        law.times(
            replace(w, flops=0.0, kv_bytes=0.0, io_bytes=NEXT_TO_NOTHING, m=1.0, n=NEXT_TO_NOTHING, k=1.0), accelerator
        )
        for w in (prompts, decodes)
    ]
    return min(fixed[0].seconds, fixed[1].seconds) * ((prompts.m > 0) & (decodes.m > 0))


def in_engine(law: EfficiencyLaw, engine: Engine, accelerator: Accelerator, model: Architecture) -> EfficiencyLaw:
    """``law`` with the fixed costs that are left inside ``engine`` for ``model``, and the engine's expert kernels.

    The kernel tables time kernels one by one, in a captured graph. An engine's ``launch_share`` is below 1 where its
    kernels start before their predecessor ends (programmatic dependent launch, compute capability 9.0 and later, CUDA
    programming guide; TensorRT-LLM and SGLang use it by default on those). An accelerator without it keeps all of them.
    """
    if not accelerator.dependent_launch:
        share = max(engine.launch_share, 1.0) * (engine.cdna_launches if accelerator.cdna3 else 1.0)
    else:
        share = engine.launch_share * (1.0 if _fused(engine, model, accelerator) else engine.unfused_launches)
    return law.with_launches(
        share,
        fused=INPUT_QUANTISATION[engine.input_quantisation],
        even=FP8_PRODUCTS[engine.fp8_products],
        experts=kernels_of_experts(engine.expert_kernels, accelerator),
        products=ProductKernels(
            engine.blackwell_products if accelerator.blackwell else 1.0,
            engine.block_input_bytes if accelerator.hopper else 0.0,
        ),
    )


def kernels_of_experts(name: str, accelerator: Accelerator) -> ExpertKernels:
    """Of ``EXPERT_KERNELS``. What they say, but of unpacking, was read off Blackwell and holds there alone."""
    kernels = EXPERT_KERNELS[name]
    if accelerator.blackwell:
        return kernels
    blocks = BLOCKS_ON_HOPPER.get(name, USUAL_BLOCKS_ON_HOPPER) if accelerator.hopper else 1.0
    return ExpertKernels(unpacked=kernels.unpacked, blocks=blocks)


def _fused(engine: Engine, model: Architecture, accelerator: Accelerator) -> bool:
    """True for DeepSeek-V3's shape on Hopper and later, what sgl-kernel's ``dsv3_fused_a_gemm`` and
    ``dsv3_router_gemm`` are written for; its descendants (DeepSeek-R1, Kimi K2) have it too."""
    kernels = accelerator.hopper or (accelerator.dependent_launch and engine.fused_latent == 1)
    return model.has_mixer(LatentAttention) and model.hidden == 7168 and kernels
