"""Fixed costs that an engine leaves, by accelerator."""

from __future__ import annotations

from dataclasses import replace

from costmodel.engine import Engine
from costmodel.launches import in_engine
from tests.costmodel.test_laws import CHIP, law, work


def test_only_dependent_launches_hide_fixed_costs():
    base, call = law(), work("gemm", 1.0, 512.0, 512.0)
    without = replace(CHIP, dependent_launch=False)

    def seconds(share: float, chip) -> float:
        return float(in_engine(base, Engine("e", launch_share=share), chip).times(call, chip).seconds)

    assert seconds(0.3, CHIP) < seconds(1.0, CHIP) == seconds(1.0, without)
    assert seconds(0.3, without) == seconds(1.0, without) < seconds(1.5, without) == seconds(1.5, CHIP)
