"""How long the exact front over everything takes, against legal plans and against points (``pytest --benchmark-only``).

Rows of one ``tier`` have the same legal plans and a product that grows by 4^6 each time; rows of one ``axis`` have the
same product, and legal plans that grow with how far the fabric reaches. ``extra_info`` has both, and what was scored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search.inputs.compose import composed
from search.inputs.schema import Config
from search.optimizer.full.found import full_search

DEGREES = ("gpus", "dp", "pp", "sp", "tp", "ep")


@pytest.fixture(scope="module")
def worked() -> Config:
    """The worked case under vLLM alone, its formats as given."""
    return composed(["+experiment=qwen3_235b", "space=full", "space.engines=vllm", "space.weights=given"])


@pytest.mark.parametrize(("axis", "tier"), [(64, 64), (256, 64), (1024, 64), (1024, 16), (1024, 256), (1024, 1024)])
def test_front_of_everything(benchmark: Any, worked: Config, axis: int, tier: int) -> None:
    outer = replace(worked.cluster.tiers[-1], size=tier)
    config = replace(
        worked,
        cluster=replace(worked.cluster, tiers=[*worked.cluster.tiers[:-1], outer]),
        space=replace(worked.space, **dict.fromkeys(DEGREES, f"1:{axis}:1"), max_batched_tokens=8192, kv_cache="given"),
    )
    found = benchmark.pedantic(full_search, (config,), rounds=3)
    total = found.total
    benchmark.extra_info["points"] = f"{found.size:.3g}"
    benchmark.extra_info |= {"legal": total.legal, "scored": total.scored, "front": len(found.which)}
    if benchmark.stats:
        benchmark.extra_info["legal_plans_per_s"] = round(total.legal / benchmark.stats.stats.median)
    assert total.legal == total.scored + sum(total.spared.values())
