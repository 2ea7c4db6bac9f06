from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from cost_strategies import CHECKS, plans_of, scenarios
from hypothesis import given
from hypothesis import strategies as st
from worked_case import original, refined, worked_case

from costmodel.breakdown import Part, breakdown
from costmodel.engine import Engine
from costmodel.evaluate import evaluate
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Scenario


def sums(parts: list[Part]) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for part in parts:
        total[part.phase] += part.seconds
    return total


@CHECKS
@given(st.data())
def test_no_operation_is_below_its_roofline(data: st.DataObject) -> None:
    scenario = data.draw(scenarios())
    plan = data.draw(plans_of(scenario))
    for part in breakdown(scenario, plan):
        assert part.seconds >= max(part.compute_s, part.memory_s) * (1 - 1e-12), part
        if part.bound in ("compute", "memory"):
            assert part.bound == ("compute" if part.compute_s > part.memory_s else "memory")
            assert part.compute_s == pytest.approx(part.flops / 240e12)
            assert part.memory_s == pytest.approx(part.bytes / 1.44e12)


@pytest.mark.parametrize("plan", [refined(), original(), original(batch=2048)], ids=["refined", "original", "full"])
def test_parts_add_up_to_the_scores(plan: Plans) -> None:
    """A mean step of the loop lies between the decode and the mixed one; a burst is its passes."""
    scenario = worked_case(engine=Engine("any", step_overhead_s=1e-3, layer_overhead_s=1e-6))
    scores, total = evaluate(scenario, plan), sums(breakdown(scenario, plan))
    assert total["decode"] <= scores.tpot_s[0] <= total["mixed"]
    passes = plan.batch[0] / plan.attn_dp[0] * 2048 / 8192
    assert scores.burst_ttft_s[0] == pytest.approx(passes * total["prefill"])


def test_utilization_is_the_parts_over_their_seconds() -> None:
    scenario, plan = worked_case(), original()
    scores, parts = evaluate(scenario, plan), breakdown(scenario, plan)
    for phase, figure in (("decode", scores.decode_mfu), ("prefill", scores.prefill_mfu)):
        mine = [part for part in parts if part.phase == phase]
        assert figure[0] == pytest.approx(sum(p.flops for p in mine) / sum(p.seconds for p in mine) / 400e12)
    mine = [part for part in parts if part.phase == "decode"]
    moved = sum(p.bytes for p in mine) / sum(p.seconds for p in mine)
    assert scores.decode_bandwidth_utilization[0] == pytest.approx(moved / 1.8e12)


def test_what_bounds_the_worked_case() -> None:
    parts = {(part.phase, part.name): part for part in breakdown(worked_case(), refined())}
    assert parts["decode", "experts.up"].bound == "memory"
    assert parts["prefill", "experts.up"].bound == "compute"
    assert parts["decode", "attention.all_reduce"].bound == "communication"
    assert parts["decode", "experts.up"].calls == 94
    # top-8 of the 256 tokens in flight over 8 ranks, less those in prefill: 4096 x 3072 in 94 layers, all experts hit.
    rows = 2 * parts["decode", "attention.decode"].flops / (94 * 4 * 16 * 128 * 3072)
    assert rows == pytest.approx(256, rel=0.01)
    assert parts["decode", "experts.up"].flops == pytest.approx(94 * 2 * rows * 4096 * 3072)
    moved = 94 * (16 * 4096 * 3072 + rows * (4096 + 3072) * 2)
    assert parts["decode", "experts.up"].bytes == pytest.approx(moved, rel=1e-6)


def test_nothing_is_sent_on_one_accelerator() -> None:
    """No time in any message whose group is one rank."""
    parts = breakdown(worked_case(), Plans.of(gpus=1, batch=4))
    assert parts
    assert not [part.name for part in parts if part.bound == "communication"]


def test_tensor_parallel_messages_need_tensor_parallelism() -> None:
    parts = breakdown(worked_case(), Plans.of(gpus=8, ep=8, batch=64))
    sent = {part.name for part in parts if part.bound == "communication"}
    assert sent == {"experts.dispatch", "experts.combine"}


def test_host_is_a_part() -> None:
    engine = Engine("any", step_overhead_s=1e-3, layer_overhead_s=1e-5, sequence_overhead_s=1e-6)
    scenario = worked_case(engine=engine, lengths=FixedLengths(2048, 2048))
    host = {part.phase: part.seconds for part in breakdown(scenario, original()) if part.name == "host"}
    assert host["prefill"] == pytest.approx(1e-3 + 94e-5 + 4e-6)  # four prompts a pass
    assert host["decode"] == pytest.approx(1e-3 + 94e-5 + 128e-6, rel=1e-3)


def test_one_plan_at_a_time() -> None:
    scenario: Scenario = worked_case()
    with pytest.raises(ValueError, match="not 2"):
        breakdown(scenario, refined(batch=[1, 2]))


def test_a_dealt_cache_sends_what_decodes_attend_to() -> None:
    dealt = replace(worked_case(engine=Engine("vllm")), decode_ranks=2)
    plan = Plans.of(gpus=8, tp=8, batch=64)
    scores, parts = evaluate(dealt, plan), breakdown(dealt, plan)
    assert {"attention.gather_q", "attention.scatter"} <= {p.name for p in parts if p.phase == "decode"}
    assert sums(parts)["decode"] <= scores.tpot_s[0] <= sums(parts)["mixed"]
