"""Fixed costs that an engine leaves, by accelerator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costmodel.engine import Engine
from costmodel.formats import weight_format
from costmodel.launches import in_engine
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.operations import Gemm
from costmodel.step import Step
from tests.costmodel.test_laws import CHIP, law, work


def test_only_dependent_launches_hide_fixed_costs():
    base, call = law(), work("gemm", 1.0, 512.0, 512.0)
    without = replace(CHIP, dependent_launch=False)

    def seconds(share: float, chip) -> float:
        return float(in_engine(base, Engine("e", launch_share=share), chip).times(call, chip).seconds)

    assert seconds(0.3, CHIP) < seconds(1.0, CHIP) == seconds(1.0, without)
    assert seconds(0.3, without) == seconds(1.0, without) < seconds(1.5, without) == seconds(1.5, CHIP)


def test_fused_inputs_save_the_kernel_that_quantises_them():
    """The kernel's fixed cost, as the engine leaves it, and its traffic: a bf16 input read and a byte written."""
    m, n, k = 64.0, 4096.0, 8192.0
    base = law()

    def seconds(call, quantisation: str) -> float:
        engine = Engine("e", launch_share=0.5, input_quantisation=quantisation)
        return float(in_engine(base, engine, CHIP).times(call, CHIP).seconds)

    fp8 = replace(work("gemm", m, n, k, "fp8"), fusable=True)
    saved = 0.5 * base.gemm.quantise_s + 3 * m * k / (3e12 * base.rates.bandwidth_share)
    assert seconds(fp8, "apart") - seconds(fp8, "fused") == pytest.approx(saved, rel=1e-9)
    groups_of_128 = work("gemm", m, n, k, "fp8")
    assert seconds(groups_of_128, "fused") == seconds(groups_of_128, "apart") == seconds(fp8, "apart")
    bf16 = work("gemm", m, n, k)
    assert seconds(bf16, "fused") == seconds(bf16, "apart")


@pytest.mark.parametrize(("name", "fusable"), [("fp8", True), ("nvfp4", True), ("fp8_block", False), ("bf16", False)])
def test_formats_say_whether_their_inputs_can_be_fused(name, fusable):
    step = Step(4.0, 0.0, 4.0, 0.0, 4.0, FixedLengths(1024, 1024), Layout.single())
    assert Gemm("x", weight_format(name), 4096.0, 4096.0).work(step).fusable is fusable


def test_launch_share_leaves_the_fixed_costs_of_experts():
    call = work("experts", 8.0, 512.0, 512.0)
    few, many = (in_engine(law(), Engine("e", launch_share=s), CHIP).times(call, CHIP).seconds for s in (0.5, 2.0))
    assert few == many
