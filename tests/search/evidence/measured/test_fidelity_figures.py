"""The constants as they stand against all open measurements: what the pages claim of them holds."""

import numpy as np
import pytest

from search.evidence.measured.cases import ENGINES
from search.evidence.measured.grouped import measured, predict, read_cases
from search.evidence.measured.predict import UNFIT
from search.evidence.measured.predict import predict as predict_published
from search.evidence.measured.rows import read_rows
from search.inputs.hardware_catalog import find_hardware
from search.inputs.models.catalog import plain


def test_everything_in_the_fit(data):
    """docs/fidelity.md: 7.7 % (4.5) on TPOT and 20.1 % (13.1) on TTFT, no engine beyond 10 % on TPOT."""
    read = read_cases(read_rows(data / "silicon_dev.csv"))
    found = predict(read)
    ttft, tpot, _ = measured(read, found.places)
    first, later = np.abs(found.ttft_s / ttft - 1.0), np.abs(found.tpot_s / tpot - 1.0)
    assert later.mean() == pytest.approx(0.077, abs=0.004)
    assert np.median(later) == pytest.approx(0.045, abs=0.004)
    assert first.mean() == pytest.approx(0.201, abs=0.012)
    engines = np.array([read.cases[i].engine for i in found.places])
    assert all(later[engines == engine].mean() < 0.10 for engine in set(ENGINES.values()))


def test_no_accelerator_is_predicted_much_too_fast(data):
    """docs/published.md: median throughput of AMD's, Ascend's and single cards' rows, predicted over measured, within
    1.3 either way, AMD's mean error below 25 % and its bias within 10 %."""
    rows = [
        row for row in read_rows(data / "published_dev.csv")
        if plain(row.system).startswith(("mi3", "ascend", "l40s", "h20", "gh200"))
    ]  # fmt: skip
    ratios: dict[str, list[float]] = {}
    for p in predict_published(rows):
        actual, value = p.measurement.tokens_per_s_per_gpu, p.tokens_per_s_per_gpu.value
        if p.skipped is None and p.situation != UNFIT and actual and value > 0:
            ratios.setdefault(find_hardware(p.measurement.system), []).append(value / actual)
    assert {"mi300x", "mi325x", "mi355x", "ascend_910b", "l40s"} <= set(ratios)
    for name, found in ratios.items():
        assert 1 / 1.3 < np.median(found) < 1.3, name
    amd = np.array([r for name, found in ratios.items() if name.startswith("mi") for r in found])
    assert np.abs(amd - 1.0).mean() < 0.25
    assert np.median(amd) == pytest.approx(1.0, abs=0.1)
