"""What physics demands holds for whatever the catalog can combine."""

from __future__ import annotations

import os

import numpy as np
import pytest
from random_scenarios import draw, faster, scenario_of, with_one_more

from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans

SCENARIOS = int(os.environ.get("SERVEFRONT_SCENARIOS", "500"))  # 10,000 take two minutes of one core
SLACK = 1.0 + 1e-9
# Where a decode speeds up, more of a full server's requests stand in its prefill queue at a time, so that a mean TTFT
# may rise; a closed network's throughput may not fall (Lazowska et al., Quantitative System Performance, 1984, ch. 5).
# What is left is rounding between the regimes of the loop.
REGIMES = 1.005
# A burst of one request more ends later, but for kernels that take whole tiles, groups that are unequally full, and
# TensorRT-LLM's one-pass all-reduce of up to 128 tokens, also where it is the slower one.
BURSTS = 1.25


def check(seed: int) -> int:
    """Physics of the scenario of ``seed``, with more bandwidth or more FLOP/s in turn; how many plans it had."""
    drawn = draw(seed)
    if not len(drawn.plans):
        return 0
    both, few = evaluate(drawn.scenario, with_one_more(drawn.plans)), len(drawn.plans)
    scores, more = both.take(np.arange(few)), both.take(np.arange(few, 2 * few))
    what, quicker = (("bandwidth", {"memory": 1.1}), ("FLOP/s", {"compute": 1.1}))[seed % 2]
    after = evaluate(faster(drawn.scenario, **quicker), drawn.plans)
    decodes = drawn.scenario.lengths.decodes
    figures = {
        "share of the physical limit": scores.share_of_limit,
        "TTFT": scores.limit_ttft_s / scores.ttft_s,
        "burst TTFT": scores.limit_burst_ttft_s / scores.burst_ttft_s,
        "life": decodes * scores.limit_tpot_s / (scores.ttft_s + decodes * scores.tpot_s),
        "decode bandwidth": scores.decode_bandwidth_utilization,
        "decode MFU": scores.decode_mfu,
        "prefill MFU": scores.prefill_mfu,
        "burst with one request more": scores.burst_ttft_s / (more.burst_ttft_s * BURSTS),
        f"10 % more {what}": scores.output_tokens_per_s / after.output_tokens_per_s / REGIMES,
    }
    for name, share in figures.items():
        worst = int(np.argmax(share))
        assert np.all(share <= SLACK), f"{drawn.name}: {name} {share[worst]:.4f} of {drawn.plans.row(worst)}"
    return len(drawn.plans)


def test_random_scenarios() -> None:
    assert sum(check(seed) for seed in range(SCENARIOS)) > 10 * SCENARIOS


@pytest.mark.parametrize(("model", "degrees"), [("llama_4_scout", {"tp": 8}), ("mixtral_8x7b", {"ep": 8})])
def test_one_request(model: str, degrees: dict[str, int]) -> None:
    """Shared experts beside routed ones read from the same memory; groups without a request decode nothing."""
    scenario = scenario_of(model, "worked_case_64gb", "vllm", FixedLengths(1024, 512))
    scores = evaluate(scenario, Plans.of(gpus=8, batch=1, **degrees))
    assert scores.limit_tpot_s[0] < scores.tpot_s[0]
    assert scores.share_of_limit[0] < 1.0
