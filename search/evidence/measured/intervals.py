"""Central 80 % intervals around predictions, learned from rows whose model, system and version were left out of the
fit.

``conf/intervals.yaml`` holds, for each figure and class of situation, the 10th and 90th percentile of
log(measured / predicted), widened for the choice of terms (``search.evidence.measured.terms``). Classes, from the
best known to the least: ``covered`` (an accelerator whose kernels were measured, an engine with fitted constants),
``waiting`` (covered, but the cache admits fewer sequences than are in flight), ``engine`` (the engine is unknown),
``accelerator`` (its kernels were not measured) and ``layout`` (pipeline or sequence parallelism, or several nodes,
which no fitted row has); ``split`` is of pools that prefill and decode apart, from rows that no constant was fitted to.
Two more are for validation only: ``published`` (somebody's printed figure, whose client, lengths and layout are partly
unknown) and ``offline`` (the same for batches and backlogs).
``search.commands.fidelity`` says how each is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import Array, Plans
from costmodel.scenario import Scenario
from costmodel.scores import COSTS, Scores
from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.catalog_yaml import data

SITUATIONS = ("covered", "waiting", "engine", "accelerator", "layout", "published", "offline", "split")
ENGINES = ("vllm", "sglang", "trtllm")
ACCELERATORS = ("b200_sxm", "h100_sxm", "h200_sxm")  # whose kernels were measured
LOADS = ("few", "many")  # sequences in flight a GPU: up to ``FEW``, or more
FEW = 8.0
# Rows of the table. A covered plan has that of its engine, accelerator and load, or of its engine alone where the law
# is somebody's own; its situation is called covered all the same.
OWN = tuple(f"covered_{e}_{a}_{load}" for e in ENGINES for a in ACCELERATORS for load in LOADS)
KEYS = (*SITUATIONS, *(f"covered_{e}" for e in ENGINES), "accelerator_amd", *OWN)
CLASSES = tuple(next(s for s in SITUATIONS if key.startswith(s)) for key in KEYS)  # what each of ``KEYS`` is called
UNCOVERED = CLASSES.index("layout")  # of plans whose layout no measured run has
SPLIT = CLASSES.index("split")
FIGURES = ("ttft_s", "tpot_s", "output_tokens_per_s")
# Figures that share another's relative interval.
SAME_AS = {
    "output_tokens_per_s_per_gpu": "output_tokens_per_s",
    "requests_per_s": "output_tokens_per_s",
    "burst_ttft_s": "ttft_s",
    **{f"ttft_s_p{p}": "ttft_s" for p in (50, 90, 95, 99)},
    **{f"tpot_s_p{p}": "tpot_s" for p in (50, 90, 95, 99)},
    **{f"e2e_s{p}": "tpot_s" for p in ("", "_p50", "_p90", "_p95", "_p99")},  # nearly all of it is decoding
    "capacity_requests_per_s": "output_tokens_per_s",
    "max_requests_per_s": "output_tokens_per_s",
}


@dataclass(frozen=True)
class Intervals:
    """``bounds[figure][key]`` is (low, high): factors on the prediction."""

    bounds: Mapping[str, Mapping[str, tuple[float, float]]]

    def of(self, figure: str, classes: NDArray[np.int64], values: Array) -> tuple[Array, Array]:
        """Low and high of ``values``; ``classes`` index into ``KEYS``. Costs are a rate over the throughput: the
        throughput's high is their low."""
        table = self.bounds["output_tokens_per_s" if figure in COSTS else SAME_AS.get(figure, figure)]
        low = np.array([table[name][0] for name in KEYS])[classes]
        high = np.array([table[name][1] for name in KEYS])[classes]
        return (values / high, values / low) if figure in COSTS else (values * low, values * high)

    def of_pools(self, figure: str, pools: tuple[int, int], values: Array) -> tuple[Array, Array]:
        """The same of split plans whose ``pools`` (the one that prefills first) are of the classes of ``pool_class``:
        the widest of those that the figure depends on. Tokens after the first depend on instances that decode alone."""
        classes = pools[1:] if figure.startswith("tpot_s") else pools
        found = [self.of(figure, np.full(len(values), known), values) for known in (SPLIT, *classes)]
        lows, highs = zip(*found, strict=True)
        return np.min(lows, axis=0), np.max(highs, axis=0)


@cache
def load_intervals() -> Intervals:
    """``conf/intervals.yaml``."""
    loaded: Any = data(conf_dir() / "intervals.yaml")
    bounds = {f: {c: tuple(loaded["factors"][f][c]) for c in KEYS} for f in FIGURES}
    for figure, table in bounds.items():
        for name, (low, high) in table.items():
            if not 0.0 < low <= 1.0 <= high:
                raise InputError(f"intervals.yaml: {figure}.{name} = [{low}, {high}] must hold 1")
    return Intervals(bounds)


def covered_key(engine: str, law: str, load: str) -> str:
    """The row of a plan on a measured accelerator, of ``law``'s name, under an engine."""
    own = f"covered_{engine}_{law.removeprefix('measured_')}_{load}"
    usual = f"covered_{engine}"
    return own if own in KEYS else usual if usual in KEYS else "covered"


def coverage(scenario: Scenario, plans: Plans, waiting: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The class of each plan: the least known that applies. An accelerator is measured when its law is its own."""
    law = str(getattr(scenario.law, "name", "flat"))
    few, many = (KEYS.index(covered_key(scenario.engine.name, law, load)) for load in LOADS)
    classes = np.where(plans.dp * plans.batch > FEW * plans.gpus, many, few).astype(np.int64)
    classes[waiting] = CLASSES.index("waiting")
    if scenario.engine.name == "any":
        classes[:] = CLASSES.index("engine")
    if not law.startswith("measured_"):
        classes[:] = KEYS.index("accelerator_amd" if scenario.accelerator.amd else "accelerator")
    replica = plans.gpus // plans.dp
    unusual = (plans.pp > 1) | (plans.sp > 1) | (replica > scenario.cluster.node_size)
    if scenario.drafter is not None or scenario.decode_ranks > 1:  # which no measured run tells apart
        unusual = np.ones_like(unusual)
    classes[unusual] = UNCOVERED
    return classes


def pool_class(scenario: Scenario) -> int:
    """The class of a pool of split plans: ``split`` where the accelerator's law is its own or a near relative's, as of
    all measured rows; else that of an accelerator whose kernels were not measured."""
    if "measured_" in str(getattr(scenario.law, "name", "flat")):
        return SPLIT
    return KEYS.index("accelerator_amd" if scenario.accelerator.amd else "accelerator")


def coverage_of(scenario: Scenario, plans: Plans, scores: Scores) -> NDArray[np.int64]:
    """``coverage`` of plans by their scores: those wait that the cache admits fewer sequences of than are in flight."""
    return coverage(scenario, plans, scores.admitted_batch < plans.batch)
