from __future__ import annotations

import numpy as np
import pytest
from worked_case import refined

from costmodel.plans import AXES, Plans, concatenate


def test_derived_degrees_of_the_refined_plan() -> None:
    plan = refined()
    assert (plan.stage_width[0], plan.attn_dp[0], plan.moe_tp[0]) == (8, 2, 1)
    assert plan.row(0) == {"tp": 4, "ep": 8, "dp": 2, "pp": 1, "sp": 1, "batch": 256, "gpus": 16}
    assert tuple(plan.row(0)) == AXES


def test_axes_broadcast_and_absent_degrees_are_one() -> None:
    plans = Plans.of(gpus=8, tp=[1, 2, 4])
    assert len(plans) == 3
    assert plans.gpus.tolist() == [8, 8, 8]
    assert plans.ep.tolist() == [1, 1, 1]
    assert all(getattr(plans, name).dtype == np.int64 for name in AXES)
    plans.gpus[0] = 16  # columns own their memory: no column is a read-only view of a scalar


def test_unknown_axis_is_named() -> None:
    with pytest.raises(ValueError, match="'moe_tp'"):
        Plans.of(gpus=8, moe_tp=2)


def test_take_and_concatenate_are_inverse() -> None:
    plans = Plans.of(gpus=8, batch=range(10))
    again = concatenate([plans.take(slice(0, 3)), plans.take(plans.batch == 3), plans.take(np.arange(4, 10))])
    assert again.batch.tolist() == plans.batch.tolist()
