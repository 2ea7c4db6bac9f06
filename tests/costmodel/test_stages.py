from __future__ import annotations

import numpy as np
import pytest
from worked_case import qwen3

from costmodel.architecture import Architecture, Layer, LayerRun
from costmodel.blocks import DenseFfn, GroupedQueryAttention, MoeFfn
from costmodel.plans import distinct
from costmodel.stages import Stages, split_layers


def test_the_rest_goes_before_the_last_stage() -> None:
    """As vLLM's get_pp_indices: 94 layers in 4 stages."""
    assert split_layers(94, 4) == [23, 24, 24, 23]
    assert split_layers(94, 1) == [94]
    assert split_layers(7, 4) == [2, 2, 2, 1]


@pytest.mark.parametrize("layers", range(1, 30))
def test_every_layer_has_a_stage(layers: int) -> None:
    for pp in range(1, layers + 1):
        shares = split_layers(layers, pp)
        assert (len(shares), sum(shares)) == (pp, layers)
        assert max(shares) - min(shares) <= 1


def test_kinds_in_stages() -> None:
    """Three dense layers, then eight with experts, in 1, 2 and 4 stages at once."""
    attention = GroupedQueryAttention(8, 8, 64)
    dense, moe = Layer(attention, DenseFfn(512)), Layer(attention, MoeFfn(8, 2, 64))
    stages = Stages.of(qwen3(runs=(LayerRun(dense, 3), LayerRun(moe, 8))), np.array([1, 2, 4, 2]))
    assert stages.counts[:, 0, 2].tolist() == [3, 0, 0, 0]
    assert stages.counts[:, 1, 2].tolist() == [0, 3, 3, 2]
    assert stages.counts[:, :, 1].tolist() == [[3, 3], [0, 5], [0, 0], [0, 0]]
    assert np.array_equal(stages.counts[..., 1], stages.counts[..., 3])
    assert stages.totals.tolist() == [3, 8]
    assert stages.last.argmax(axis=0).tolist() == [0, 1, 3, 1]
    assert stages.first.sum(axis=0).tolist() == stages.last.sum(axis=0).tolist() == [1, 1, 1, 1]
    # Stage sums of plan 1 (two stages): 3 * 10 + 3 * 1 + 100 and 5 * 1 + 7.
    assert stages.largest([10.0, 1.0], 100.0, 7.0).tolist() == [145.0, 133.0, 130.0, 133.0]


def test_stages_that_are_alike_change_nothing_of_the_largest() -> None:
    """Of 40 stages those that differ are gone through."""
    kinds = [Layer(None, None, norms=n) for n in (1, 2)]
    runs = tuple(LayerRun(kinds[i % 2], n) for i, n in enumerate((3, 20, 1, 17, 20)))
    model = Architecture("x", 8, 10, runs, False)
    pp = np.array([40, 1, 8, 40, 13, 2])
    stages = Stages.of(model, pp)
    rng = np.random.default_rng(0)
    by_kind, first, last = list(rng.random((2, 6))), rng.random(6), rng.random(6)
    every = np.max([stages.stage_sum(s, by_kind, first, last) for s in range(40)], axis=0)
    assert np.array_equal(stages.largest(by_kind, first, last), every)


def test_distinct_is_unique_with_its_inverse() -> None:
    for numbers in (np.array([3, 1, 3, 70_000]), np.array([5.0, 0.0, 5.0, 2.0]), np.zeros(0, dtype=np.int64)):
        for mine, theirs in zip(distinct(numbers), np.unique(numbers, return_inverse=True), strict=True):
            assert np.array_equal(mine, theirs)
