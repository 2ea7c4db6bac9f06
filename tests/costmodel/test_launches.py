"""Fixed costs that an engine leaves, by accelerator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costmodel.architecture import Layer, LayerRun, Setting
from costmodel.blocks import DenseFfn, LatentAttention
from costmodel.engine import Engine
from costmodel.formats import weight_format
from costmodel.launches import in_engine
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.operations import Gemm
from costmodel.step import Step
from tests.costmodel.test_laws import CHIP, law, work
from tests.costmodel.worked_case import qwen3


def test_only_dependent_launches_hide_fixed_costs():
    base, call = law(), work("gemm", 1.0, 512.0, 512.0)
    without = replace(CHIP, dependent_launch=False)

    def seconds(share: float, chip) -> float:
        return float(in_engine(base, Engine("e", launch_share=share), chip, qwen3()).times(call, chip).seconds)

    assert seconds(0.3, CHIP) < seconds(1.0, CHIP) == seconds(1.0, without)
    assert seconds(0.3, without) == seconds(1.0, without) < seconds(1.5, without) == seconds(1.5, CHIP)


def test_a_model_without_fused_kernels_keeps_more_of_them():
    """DeepSeek-V3's shape on Hopper has them; not on Blackwell, and no other model does. Without dependent launches the
    fixed costs stay whole either way."""
    mla = LatentAttention(128, 1536, 512, 128, 64, 128)
    deepseek = qwen3(hidden=7168, runs=(LayerRun(Layer(mla, DenseFfn(2048)), 61),))
    engine, base, call = Engine("e", launch_share=0.5, unfused_launches=1.6), law(), work("gemm", 1.0, 512.0, 512.0)

    def seconds(chip, model) -> float:
        return float(in_engine(base, engine, chip, model).times(call, chip).seconds)

    fixed = base.gemm.launch_s
    rest = seconds(CHIP, deepseek) - 0.5 * fixed
    assert seconds(CHIP, qwen3()) - rest == pytest.approx(0.8 * fixed)
    assert seconds(BLACKWELL, deepseek) == seconds(BLACKWELL, qwen3()) == seconds(CHIP, qwen3())
    assert seconds(CHIP, replace(deepseek, hidden=5120)) == seconds(CHIP, qwen3())
    alone = replace(CHIP, dependent_launch=False)
    assert seconds(alone, qwen3()) - rest == pytest.approx(fixed)


def test_fused_inputs_save_the_kernel_that_quantises_them():
    """The kernel's fixed cost, as the engine leaves it, its walk along k, and its traffic: a bf16 input read and a byte
    written."""
    m, n, k = 64.0, 4096.0, 8192.0
    base = law()

    def seconds(call, quantisation: str) -> float:
        engine = Engine("e", launch_share=0.5, input_quantisation=quantisation)
        return float(in_engine(base, engine, CHIP, qwen3()).times(call, CHIP).seconds)

    fp8 = replace(work("gemm", m, n, k, "fp8"), written_by="norm")
    traffic = 3 * m * k / (3e12 * base.rates.bandwidth_share)
    saved = 0.5 * base.gemm.quantise_s + k * base.gemm.quantise_k_step_s + traffic
    assert seconds(fp8, "apart") - seconds(fp8, "fused") == pytest.approx(saved, rel=1e-9)
    groups_of_128 = work("gemm", m, n, k, "fp8")
    assert seconds(groups_of_128, "fused") == seconds(groups_of_128, "apart") == seconds(fp8, "apart")
    bf16 = work("gemm", m, n, k)
    assert seconds(bf16, "fused") == seconds(bf16, "apart")
    assert seconds(fp8, "fp4_norms_apart") == seconds(fp8, "fused")


def test_norms_that_write_no_fp4_leave_its_kernel():
    """vLLM's: after a norm an input is quantised by a kernel of its own, after an activation it is not."""
    m, n, k = 64.0, 4096.0, 8192.0
    base, call = law(), work("gemm", m, n, k, "fp4")

    def seconds(written_by: str, quantisation: str) -> float:
        engine = Engine("e", launch_share=0.5, input_quantisation=quantisation)
        of = replace(call, written_by=written_by)
        return float(in_engine(base, engine, BLACKWELL, qwen3()).times(of, BLACKWELL).seconds)

    gemm, traffic = base.gemm, 3.7 * m * k / (3e12 * base.rates.bandwidth_share)
    saved = 0.5 * gemm.fp4_quantise_s + k * gemm.fp4_quantise_k_step_s + traffic
    assert seconds("norm", "fp4_norms_apart") == seconds("norm", "apart")
    assert seconds("norm", "apart") - seconds("norm", "fused") == pytest.approx(saved, rel=1e-9)
    assert seconds("activation", "fp4_norms_apart") == seconds("activation", "fused") < seconds("activation", "apart")


@pytest.mark.parametrize(("name", "fusable"), [("fp8", True), ("nvfp4", True), ("fp8_block", False), ("bf16", False)])
def test_formats_say_whether_their_inputs_can_be_fused(name, fusable):
    step = Step(4.0, 0.0, 4.0, 0.0, 4.0, FixedLengths(1024, 1024), Layout.single())
    product = Gemm("x", weight_format(name), 4096.0, 4096.0, after="activation")
    assert product.work(step).written_by == ("activation" if fusable else None)


def test_products_say_what_writes_their_inputs():
    model = qwen3()
    setting = Setting.single(model)
    after = {op.name: op.after for kind in model.kinds for op in kind.operations(setting) if isinstance(op, Gemm)}
    after |= {op.name: op.after for op in DenseFfn(1024).operations(setting) if isinstance(op, Gemm)}
    assert after == {
        "attention.qkv": "norm", "attention.output": "attention", "router": "norm", "dense.up": "norm",
        "dense.down": "activation",
    }  # fmt: skip


def test_launch_share_leaves_the_fixed_costs_of_experts():
    call = work("experts", 8.0, 512.0, 512.0)
    few, many = (
        in_engine(law(), Engine("e", launch_share=s), CHIP, qwen3()).times(call, CHIP).seconds for s in (0.5, 2.0)
    )
    assert few == many


BLACKWELL = replace(CHIP, peak_flops=dict(CHIP.peak_flops) | {"fp4": 4e15})


def expert_seconds(call, chip, kernels: str) -> float:
    engine = Engine("e", expert_kernels=kernels)
    return float(in_engine(law(), engine, chip, qwen3()).times(call, chip).seconds)


@pytest.mark.parametrize(("kernels", "factor"), [("vllm", 1.15), ("sglang", 2.5), ("cutlass", 2.7), ("any", 2.0)])
def test_experts_of_a_format_without_units_are_unpacked(kernels, factor):
    """All but the fixed cost takes longer, and only where the accelerator lacks the format."""
    call, launch = work("experts", 4096.0, 2048.0, 2048.0, "fp4"), law().experts.launch_s
    usual = float(law().times(call, CHIP).seconds)
    assert expert_seconds(call, CHIP, kernels) == pytest.approx((usual - launch) * factor + launch, rel=1e-9)
    bf16 = work("experts", 4096.0, 2048.0, 2048.0)
    assert expert_seconds(bf16, CHIP, kernels) == float(law().times(bf16, CHIP).seconds)


def test_block_scales_slow_products_of_experts_on_blackwell_down():
    """In FlashInfer's kernels: 2.5 times where products rule, nothing where weights do, nor in CUTLASS."""
    many, few = (
        replace(work("experts", m, 2048.0, 2048.0, "fp8", groups), blocks=True)
        for m, groups in ((1e7, 1.0), (1.0, 1.0))
    )
    compute = float(law().experts.times(many, BLACKWELL, law().rates).compute_s)
    moved = float(many.io_bytes) * law().experts.io_passes / law().rates.bytes_per_s(BLACKWELL)
    for kernels in ("vllm", "sglang", "generated", "any"):
        slow = expert_seconds(many, BLACKWELL, kernels) - moved
        assert slow == pytest.approx(2.5 * compute, rel=1e-3)
        assert expert_seconds(few, BLACKWELL, kernels) < 1.1 * expert_seconds(few, BLACKWELL, "cutlass")
    for kernels, chip, call in (
        ("cutlass", BLACKWELL, many), ("vllm", CHIP, many), ("vllm", BLACKWELL, replace(many, blocks=False)),
    ):  # fmt: skip
        assert expert_seconds(call, chip, kernels) - moved == pytest.approx(compute, rel=1e-3)


def test_fp4_experts_are_one_kernel_where_there_is_one():
    """Half of the fixed cost and of the passes over inputs and outputs, on Blackwell but in CUTLASS; not on an
    accelerator of another maker that has FP4."""
    call, experts = work("experts", 64.0, 2048.0, 2048.0, "fp4"), law().experts
    moved = float(call.io_bytes) * experts.io_passes / law().rates.bytes_per_s(BLACKWELL)
    usual = float(law().times(call, BLACKWELL).seconds)
    for kernels in ("vllm", "sglang", "generated", "any"):
        assert usual - expert_seconds(call, BLACKWELL, kernels) == pytest.approx(
            (experts.launch_s + moved) / 2, rel=1e-9
        )
    other = replace(BLACKWELL, dependent_launch=False)
    assert expert_seconds(call, other, "vllm") == usual
    slower = (usual - experts.launch_s) * 1.7 + experts.launch_s
    assert expert_seconds(call, BLACKWELL, "cutlass") == pytest.approx(slower, rel=1e-9)
