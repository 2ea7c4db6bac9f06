"""Fixed costs that an engine leaves, by accelerator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel.architecture import Layer, LayerRun, Setting
from costmodel.blocks import DenseFfn, LatentAttention
from costmodel.engine import Engine
from costmodel.formats import weight_format
from costmodel.forward import Clock, tally
from costmodel.launches import in_engine
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.operations import Core, Gemm
from costmodel.step import Step
from tests.costmodel.test_laws import CHIP, law, work
from tests.costmodel.worked_case import original, qwen3, worked_case


def test_only_dependent_launches_hide_fixed_costs():
    base, call = law(), work("gemm", 1.0, 512.0, 512.0)
    without = replace(CHIP, dependent_launch=False)

    def seconds(share: float, chip) -> float:
        return float(in_engine(base, Engine("e", launch_share=share), chip, qwen3()).times(call, chip).seconds)

    assert seconds(0.3, CHIP) < seconds(1.0, CHIP) == seconds(1.0, without)
    assert seconds(0.3, without) == seconds(1.0, without) < seconds(1.5, without) == seconds(1.5, CHIP)


def test_a_model_without_fused_kernels_keeps_more_of_them():
    """DeepSeek-V3's shape has them on Hopper, and on Blackwell unless the engine says otherwise; no other model does.
    Without dependent launches the fixed costs stay whole either way."""
    mla = LatentAttention(128, 1536, 512, 128, 64, 128)
    deepseek = qwen3(hidden=7168, runs=(LayerRun(Layer(mla, DenseFfn(2048)), 61),))
    engine, base, call = Engine("e", launch_share=0.5, unfused_launches=1.6), law(), work("gemm", 1.0, 512.0, 512.0)

    def seconds(chip, model, engine=engine) -> float:
        return float(in_engine(base, engine, chip, model).times(call, chip).seconds)

    fixed = base.gemm.launch_s
    rest = seconds(CHIP, deepseek) - 0.5 * fixed
    assert seconds(CHIP, qwen3()) - rest == pytest.approx(0.8 * fixed)
    assert seconds(BLACKWELL, deepseek) == seconds(CHIP, deepseek) < seconds(BLACKWELL, qwen3())
    early = replace(engine, fused_latent=0)
    assert seconds(BLACKWELL, deepseek, early) == seconds(BLACKWELL, qwen3()) == seconds(CHIP, qwen3())
    assert seconds(CHIP, deepseek, early) == seconds(CHIP, deepseek)
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


def test_who_multiplies_fp8_in_whole_tiles_of_rows():
    """On Hopper alone: 129 rows are computed as 256, but by cuBLAS, which weights scaled in blocks never meet."""
    base, n, k = law(), 4096.0, 8192.0

    def computed(m: float, chip, products: str, dtype: str = "fp8", written_by: str | None = "norm") -> float:
        call = replace(work("gemm", m, n, k, dtype), written_by=written_by)
        times = in_engine(base, Engine("e", fp8_products=products), chip, qwen3()).times(call, chip)
        return float(times.compute_s / (2 * n * k) * base.rates.product_flops_per_s(chip, dtype, base.gemm.peak_share))

    assert computed(129.0, CHIP, "cutlass") == pytest.approx(256.0)
    assert computed(129.0, CHIP, "cublas") == pytest.approx(129.0)
    assert computed(129.0, CHIP, "cublas", written_by=None) == pytest.approx(256.0)
    assert computed(129.0, CHIP, "cutlass", "bf16") == computed(129.0, BLACKWELL, "cutlass") == pytest.approx(129.0)


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


@pytest.mark.parametrize(("kernels", "factor"), [("vllm", 1.2), ("sglang", 2.2), ("cutlass", 2.7), ("any", 2.0)])
def test_experts_of_a_format_without_units_are_unpacked(kernels, factor):
    """All but the fixed cost takes longer, and only where the accelerator lacks the format."""
    call, launch = work("experts", 4096.0, 2048.0, 2048.0, "fp4"), law().experts.launch_s
    usual = float(law().times(call, CHIP).seconds)
    assert expert_seconds(call, CHIP, kernels) == pytest.approx((usual - launch) * factor + launch, rel=1e-9)
    bf16 = work("experts", 4096.0, 2048.0, 2048.0)
    assert expert_seconds(bf16, CHIP, kernels) == float(law().times(bf16, CHIP).seconds)


def test_block_scales_slow_products_of_experts_down():
    """Twice a row in FlashInfer's kernels, as vLLM and SGLang call them a little more and less, with 80 rows of padding
    an expert; 1.4 times on Hopper, TensorRT-LLM's 1.8; DeepGEMM on Blackwell pads more and multiplies faster."""
    call = replace(work("experts", 300.0, 2048.0, 2048.0, "fp8"), blocks=True)
    law_rows = law().experts.tile_rows

    def rows(chip, kernels: str, blocks: bool = True) -> float:
        engine = Engine("e", expert_kernels=kernels)
        compute = in_engine(law(), engine, chip, qwen3()).times(replace(call, blocks=blocks), chip).compute_s
        return float(compute / work("experts", 1.0, 2048.0, 2048.0, "fp8").flops * product_rate(chip))

    def product_rate(chip) -> float:
        return law().rates.product_flops_per_s(chip, "fp8", law().experts.peak_share)

    for kernels, times in (("vllm", 2.4), ("sglang", 1.9), ("generated", 2.0), ("any", 2.0)):
        assert rows(BLACKWELL, kernels) == pytest.approx(times * 300 + 4 * 80)
    assert rows(BLACKWELL, "cutlass") == pytest.approx(0.6 * 300 + 4 * 150)
    for kernels, times in (("vllm", 1.4), ("sglang", 1.4), ("cutlass", 1.8)):
        assert rows(CHIP, kernels) == pytest.approx(times * 300 + 4 * law_rows)
    plain = 300 + 4 * law_rows
    assert rows(BLACKWELL, "cutlass", blocks=False) == rows(CHIP, "vllm", blocks=False) == pytest.approx(plain)
    assert rows(BLACKWELL, "vllm", blocks=False) == pytest.approx(300)  # tiles that follow the rows
    assert rows(replace(CHIP, dependent_launch=False), "vllm") == pytest.approx(plain)


def test_inputs_of_products_scaled_in_blocks_are_quantised_by_an_engines_own_kernel():
    """On Hopper, whatever an engine fuses: so many bytes an element in place of the law's three."""
    m, k = 4096.0, 2048.0
    call = work("gemm", m, 2048.0, k, "fp8")

    def seconds(blocks: bool, chip, moved: float) -> float:
        engine = Engine("e", block_input_bytes=moved, input_quantisation="fused")
        return float(in_engine(law(), engine, chip, qwen3()).times(replace(call, blocks=blocks), chip).seconds)

    more = (7.3 - law().gemm.quantise_bytes) * m * k / law().rates.bytes_per_s(CHIP)
    assert seconds(True, CHIP, 7.3) - seconds(True, CHIP, 0.0) == pytest.approx(more, rel=1e-9)
    assert seconds(True, BLACKWELL, 7.3) == seconds(True, BLACKWELL, 0.0)
    assert seconds(False, CHIP, 7.3) == seconds(False, CHIP, 0.0) == seconds(True, CHIP, 0.0)


@pytest.mark.parametrize(("kind", "dtype"), [("gemm", "bf16"), ("gemm", "fp4"), ("experts", "fp8")])
def test_products_on_blackwell_reach_at_most_the_tables_rate(kind, dtype):
    """1.44 times a sustained share of 0.5 is 0.72 of the law's rate, of 0.9 the law's own; Hopper stays as it is."""
    call = work(kind, 4096.0, 2048.0, 2048.0, dtype)

    def compute(share: float, chip, rate: float = 1.44) -> float:
        engine = Engine("e", blackwell_products=rate)
        return float(in_engine(law().sustained(share), engine, chip, qwen3()).times(call, chip).compute_s)

    assert compute(0.5, BLACKWELL) == pytest.approx(compute(0.72, BLACKWELL, 1.0), rel=1e-12)
    assert compute(0.9, BLACKWELL) == pytest.approx(compute(1.0, BLACKWELL, 1.0), rel=1e-12)
    assert compute(1.2, BLACKWELL) == compute(1.2, BLACKWELL, 1.0)
    assert compute(0.5, CHIP) == compute(0.5, CHIP, 1.0)


def test_an_fp8_cache_speeds_latent_prompts_on_blackwell_alone():
    """TensorRT-LLM multiplies them in FP8 there; on Hopper what that gains goes into quantising. Grouped attention
    gains on both."""
    mla = LatentAttention(128, 1536, 512, 128, 64, 128)
    deepseek = qwen3(hidden=7168, runs=(LayerRun(Layer(mla, DenseFfn(2048)), 61),))

    def attends_in(model, chip, kind: str) -> str:
        scenario = worked_case(model=replace(model, kv_format=weight_format("fp8")), accelerator=chip,
                               engine=Engine("trtllm", attention_format="cache"))  # fmt: skip
        setting = scenario.setting(Layout.single())
        operations = [op for k in scenario.model.kinds for op in k.operations(setting)]
        return next(op.dtype for op in operations if isinstance(op, Core) and op.kind == kind)

    assert attends_in(deepseek, BLACKWELL, "prefill_attention") == "fp8"
    assert attends_in(deepseek, CHIP, "prefill_attention") == "bf16"
    assert attends_in(deepseek, CHIP, "mla_decode") == attends_in(qwen3(), CHIP, "prefill_attention") == "fp8"


def test_generated_kernels_do_routing_and_products_in_one():
    """0.65 of the fixed cost on Blackwell but in CUTLASS, no padding, 0.9 of the passes over inputs and outputs in FP4;
    all of the fixed cost with block scales. On an accelerator of another maker that has FP4, as the law has it."""
    call, experts = work("experts", 64.0, 2048.0, 2048.0, "fp4"), law().experts
    bf16 = work("experts", 64.0, 2048.0, 2048.0)
    unpadded = replace(law(), experts=replace(experts, tile_rows=0.0))
    moved = float(call.io_bytes) * experts.io_passes / law().rates.bytes_per_s(BLACKWELL)
    for kernels in ("vllm", "sglang", "generated", "any"):
        for of, saved in ((bf16, 0.0), (call, 0.1 * moved)):
            plain = float(unpadded.times(of, BLACKWELL).seconds)
            assert plain - expert_seconds(of, BLACKWELL, kernels) == pytest.approx(0.35 * experts.launch_s + saved)
    none = replace(work("experts", 1e-9, 2048.0, 2048.0, "fp8", groups=1e-9), blocks=True)
    assert expert_seconds(none, BLACKWELL, "vllm") == pytest.approx(experts.launch_s, rel=1e-3)
    usual = float(law().times(call, BLACKWELL).seconds)
    assert expert_seconds(call, replace(BLACKWELL, dependent_launch=False), "vllm") == usual
    slower = (usual - experts.launch_s) * 1.6 + experts.launch_s
    assert expert_seconds(call, BLACKWELL, "cutlass") == pytest.approx(slower, rel=1e-9)


def test_prompts_and_decodes_in_one_call_of_attention_pay_once():
    """vLLM's, but on Blackwell: the lesser of both fixed costs is spared in passes with both, and in no others."""
    base, model = law(), qwen3()
    lengths = FixedLengths(1024, 256)

    def seconds(engine: str, prompts: float, decodes: float, chip=CHIP) -> float:
        scenario = replace(worked_case(model=model, lengths=lengths, engine=Engine(engine)), accelerator=chip, law=base)
        step = Step(decodes, prompts, decodes, prompts, decodes, lengths, scenario.layout(original()), 1.0)
        operations = list(model.kinds[0].operations(scenario.setting(step.layout)))
        attention = [op for op in operations if op.name in ("attention.prefill", "attention.decode")]
        assert [op.name for op in attention] == ["attention.prefill", "attention.decode"]
        return float(np.ravel(tally(attention, Clock(step, scenario)).compute_s)[0])

    least = min(base.prefill.launch_s, base.decode.launch_s)
    assert seconds("sglang", 1.0, 8.0) - seconds("vllm", 1.0, 8.0) == pytest.approx(least, rel=5e-3)
    for prompts, decodes, chip in ((0.0, 8.0, CHIP), (1.0, 0.0, CHIP), (1.0, 8.0, BLACKWELL)):
        assert seconds("sglang", prompts, decodes, chip) == seconds("vllm", prompts, decodes, chip)
