"""What physics demands holds for whatever the catalog can combine."""

from __future__ import annotations

import os

import numpy as np
import pytest
from random_scenarios import draw, faster, scenario_of, with_one_more

from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Scenario

SCENARIOS = int(os.environ.get("SERVEFRONT_SCENARIOS", "8000"))  # a minute of one core
PARTS = 20  # tests that share them, for workers side by side
# One of so many scenarios is scored again on a faster accelerator: scoring is what takes long, however few the plans.
AGAIN = 16
SLACK = 1.0 + 1e-9
# Where a decode speeds up, more of a full server's requests stand in its prefill queue at a time, so that a mean TTFT
# may rise; a closed network's throughput may not fall (Lazowska et al., Quantitative System Performance, 1984, ch. 5).
# What is left is rounding between the regimes of the loop, and prompts that join a request's own passes: they are taken
# to cost what a mixed step takes longer than a decode, which grows where decodes speed up and launches hold the other.
REGIMES = 1.01
# With one request more a burst ends later, a token takes longer and more come out, but for kernels that take whole
# tiles, passes that no longer fit in a captured graph, seats that more graphs take, and TensorRT-LLM's one-pass
# all-reduce of up to 128 tokens, also where it is the slower one (docs/cost_model.md).
BURSTS, STEPS, OUTPUT, ONE_PASS = 1.03, 1.1, 1.5, 1.4
# Tokens of answers, and requests below three, whose waits are estimated too roughly to compare two batches.
SHORT = 16


def check(seed: int) -> int:
    """Physics of the scenario of ``seed``; how many plans it had."""
    drawn = draw(seed)
    if not len(drawn.plans):
        return 0
    scenario, few = drawn.scenario, len(drawn.plans)
    both = evaluate(scenario, with_one_more(drawn.plans))
    scores, more = both.take(np.arange(few)), both.take(np.arange(few, 2 * few))
    decodes = scenario.lengths.decodes
    figures = {
        "share of the physical limit": scores.share_of_limit,
        "TTFT": scores.limit_ttft_s / scores.ttft_s,
        "burst TTFT": scores.limit_burst_ttft_s / scores.burst_ttft_s,
        "life": decodes * scores.limit_tpot_s / (scores.ttft_s + decodes * scores.tpot_s),
        "decode bandwidth": scores.decode_bandwidth_utilization,
        "decode MFU": scores.decode_mfu,
        "prefill MFU": scores.prefill_mfu,
        "burst with one request more": scores.burst_ttft_s / more.burst_ttft_s / allowed(scenario, BURSTS),
    }
    if scenario.lengths.osl > SHORT:
        lost = scores.output_tokens_per_s / more.output_tokens_per_s
        figures |= {
            "TPOT with one request more": scores.tpot_s / more.tpot_s / allowed(scenario, STEPS),
            "tokens/s with one request more": lost * (drawn.plans.batch > 2) / allowed(scenario, OUTPUT),
        }
    if seed % AGAIN == 0:
        what, quicker = (("bandwidth", {"memory": 1.1}), ("FLOP/s", {"compute": 1.1}))[seed // AGAIN % 2]
        after = evaluate(faster(scenario, **quicker), drawn.plans)
        figures[f"10 % more {what}"] = scores.output_tokens_per_s / after.output_tokens_per_s / REGIMES
    for name, share in figures.items():
        worst = int(np.argmax(share))
        assert np.all(share <= SLACK), f"{drawn.name}: {name} {share[worst]:.4f} of {drawn.plans.row(worst)}"
    return few


def allowed(scenario: Scenario, share: float) -> float:
    return max(share, ONE_PASS) if scenario.engine.one_pass_tokens else share


@pytest.mark.parametrize("part", range(PARTS))
def test_random_scenarios(part: int) -> None:
    seeds = range(SCENARIOS * part // PARTS, SCENARIOS * (part + 1) // PARTS)
    assert sum(check(seed) for seed in seeds) > 10 * len(seeds)


@pytest.mark.parametrize(("model", "degrees"), [("llama_4_scout", {"tp": 8}), ("mixtral_8x7b", {"ep": 8})])
def test_one_request(model: str, degrees: dict[str, int]) -> None:
    """Shared experts beside routed ones read from the same memory; groups without a request decode nothing."""
    scenario = scenario_of(model, "worked_case_64gb", "vllm", FixedLengths(1024, 512))
    scores = evaluate(scenario, Plans.of(gpus=8, batch=1, **degrees))
    assert scores.limit_tpot_s[0] < scores.tpot_s[0]
    assert scores.share_of_limit[0] < 1.0
