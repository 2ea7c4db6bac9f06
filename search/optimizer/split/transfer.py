"""What engines' transfers of caches refuse of instances, beside the rules of any layout."""

from __future__ import annotations

import numpy as np

from costmodel.blocks.decode_context import widths
from costmodel.blocks.parallel import mixers_of
from costmodel.plans import IntArray, Plans
from costmodel.scenario import Scenario
from search.optimizer.rules.rule import Mask


def receives(engine: str, plans: Plans) -> Mask:
    """Instances that decode. vLLM: in one stage (vllm/distributed/kv_transfer/kv_connector/v1/nixl/base_worker.py,
    0.33). SGLang: in as many as there are, for ``matched`` ones."""
    return np.asarray(plans.pp == 1) if engine == "vllm" else np.full(len(plans), True)


def matched(engine: str, prefill: Plans, decode: Plans) -> list[tuple[IntArray, IntArray]]:
    """Rows of both pools, any of the first with any of the second. SGLang's instances that decode have one stage or as
    many as those that prefill, each of which then sends its layers to its like (try_ensure_parallel_info in
    sglang/srt/disaggregation/common/conn.py, 0.5.23)."""
    everyone = np.arange(len(prefill))
    if engine != "sglang":
        return [(everyone, np.arange(len(decode)))]
    return [
        (everyone if stages == 1 else np.flatnonzero(prefill.pp == stages), np.flatnonzero(decode.pp == stages))
        for stages in np.unique(decode.pp).tolist()
    ]


def sends(scenario: Scenario, plans: Plans) -> Mask:
    """Instances that prefill. vLLM: in several stages where all layers' caches are laid out alike (the same file), so
    without windows, selections and states."""
    alike = all(widths(mixer) is not None for mixer in mixers_of(scenario.model))
    return np.full(len(plans), True) if alike or scenario.engine.name != "vllm" else np.asarray(plans.pp == 1)
