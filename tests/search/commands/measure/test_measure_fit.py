"""The fit finds a law that is known, and owns up to what a grid cannot tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measure_known_law import CHIP, LAW, shapes, timed

from costmodel.laws import ShapedLaw
from search.commands.measure import collectives
from search.commands.measure.fit import GROUPS, batches, fit, predict
from search.commands.measure.main import class_default
from search.commands.measure.records import Timing, work

FITTED = [key for keys, _ in GROUPS.values() for key in keys]


def test_constants_of_a_known_law_are_recovered() -> None:
    found = fit(timed(shapes()), CHIP, class_default())
    for part, name in FITTED:
        assert found.constants[part][name] == pytest.approx(LAW[part][name], rel=0.02), (part, name)
    assert found.undetermined == [] and found.at_limit == []
    assert all(report.median_error < 0.005 for report in found.reports.values())


def test_noise_of_a_tenth_moves_the_predictions_by_less() -> None:
    found = fit(timed(shapes(), noise=0.1), CHIP, class_default())
    for batch in batches(timed(shapes())):
        off = predict(found.constants, batch, CHIP) / batch.seconds - 1
        assert np.median(np.abs(off)) < 0.05, batch.kind
    for kind, report in found.reports.items():
        assert 0.03 < report.median_error < 0.12, kind
        assert report.left_out_error < 0.15, kind


def test_the_law_asked_by_the_planner_says_the_same() -> None:
    """``predict`` of this package, and ``ShapedLaw`` with the constants as written, on the same calls."""
    law = ShapedLaw.from_constants("known", LAW)
    for batch in batches(timed(shapes())):
        if batch.kind == "prefill":
            continue  # the written law adds the kernels around (io_passes)
        assert law.times(batch.work, CHIP).seconds == pytest.approx(predict(LAW, batch, CHIP))


def test_what_the_grid_cannot_tell_is_the_class_default() -> None:
    """With a single k the time along k is one with the launch; without one-byte products nothing is known of them."""
    rows = [row for row in shapes(("bf16",)) if row.kind == "elementwise" or row.k == 4096]
    found = fit(timed(rows), CHIP, class_default())
    default = class_default()
    assert ("gemm", "k_step_s") in found.undetermined or ("gemm", "launch_s") in found.undetermined
    for part, name in found.undetermined:
        assert found.constants[part][name] == default[part][name]
    assert found.constants["gemm"]["quantise_s"] == default["gemm"]["quantise_s"]
    assert found.constants["gemm"]["quantise_k_step_s"] == default["gemm"]["quantise_k_step_s"]
    assert found.constants["rates"]["halving_share"] == default["rates"]["halving_share"]
    assert found.constants["decode"] == default["decode"] and "decode" not in found.reports
    assert ("decode", "launch_s") not in found.undetermined or not any(r.kind == "decode" for r in rows)


def test_too_few_calls_fit_nothing() -> None:
    rows = timed([row for row in shapes() if row.kind == "decode"][:7])
    found = fit(rows, CHIP, class_default())
    assert found.constants == class_default() and found.reports == {}
    assert ("decode", "peak_share") in found.undetermined


def test_constants_stay_in_their_range_on_nonsense() -> None:
    draw = np.random.default_rng(3)
    rows = [replace(row, seconds=float(10 ** draw.uniform(-6, -2))) for row in shapes()]
    found = fit(rows, CHIP, class_default())
    ShapedLaw.from_constants("nonsense", found.constants)


def test_a_chip_faster_than_its_peak_ends_at_the_limit() -> None:
    rows = [replace(r, seconds=r.seconds / 10) if r.kind == "gemm" else r for r in timed(shapes(("bf16",)))]
    found = fit(rows, CHIP, class_default())
    assert ("gemm", "peak_share") in found.at_limit and found.constants["gemm"]["peak_share"] == 1.0


def test_work_takes_one_kind_at_a_time() -> None:
    with pytest.raises(ValueError, match="one kind and dtype"):
        work([Timing("gemm", "", "bf16"), Timing("gemm", "", "fp8")])


def test_collectives_of_known_constants_are_recovered() -> None:
    rows = []
    for kind in collectives.COLLECTIVES:
        for size in collectives.SIZES:
            row = Timing(kind, "made up", "bf16", bytes=size, ways=8)
            rows.append(replace(row, seconds=float(collectives.predict([row], 7e-6, 200e9)[0])))
    found = collectives.fit(rows)
    assert set(found) == set(collectives.COLLECTIVES)
    for constants in found.values():
        assert constants["latency_s"] == pytest.approx(7e-6, rel=0.01)
        assert constants["bytes_per_s"] == pytest.approx(200e9, rel=0.01)


def test_too_few_sizes_of_a_collective_give_no_constants() -> None:
    assert collectives.fit([Timing("all_reduce", "", "bf16", seconds=1e-5, bytes=1024, ways=2)]) == {}
