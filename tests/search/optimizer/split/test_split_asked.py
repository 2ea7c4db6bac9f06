"""What a configuration may ask of split serving, and the line that it gets otherwise."""

import pytest

from search.base.errors import InputError
from search.inputs.compose import composed
from search.optimizer.space import Space
from search.optimizer.split.asked import asked_of

SPLIT = ("+experiment=qwen3_32b_h200", "space.serving=[aggregated,split]", "engine=sglang")


def asked(*overrides):
    config = composed([*SPLIT, *overrides], None)
    return asked_of(config, Space.from_config(vars(config.space)))


def test_aggregated_alone_is_the_default():
    config = composed(["+experiment=qwen3_32b_h200"], None)
    assert asked_of(config, Space.from_config(vars(config.space))) is None


def test_instances_are_as_large_as_replicas_and_powers_of_two():
    found = asked("space.gpus=[12]", "space.dp=[1,2,4]")
    assert found.prefill_sizes == (1, 2, 3, 4, 6, 8)
    assert found.totals == (12,)
    assert asked("space.gpus=[12]", "space.split.prefill_gpus=[2,12]").prefill_sizes == (2,)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("space.serving=[split]", ("space.serving", "[aggregated, split]")),
        ("space.serving=[aggregated,apart]", ("space.serving", "apart", "split")),
        ("space.serving=7", ("space.serving", "7", "split")),
        ("engine=any", ("space.serving", "any", "sglang")),
        ("space.split.transport=pigeon", ("space.split.transport", "pigeon", "rdma")),
        ("space.split.prefill_used=[1.5]", ("space.split.prefill_used", "1.5")),
        ("space.split.prefill_used=[]", ("space.split.prefill_used", "empty")),
        ("space.split.prefill_tokens=0", ("space.split.prefill_tokens", "0")),
        ("space.split.prefill_gpus=64", ("space.split.prefill_gpus", "other pool")),
        ("space.split.host_bytes_per_s=1", ("space.split.host_bytes_per_s", "1")),
        ("+objective.columns.memory_utilization=min", ("objective.columns", "memory_utilization", "ttft_s")),
    ],
)
def test_bad_input_is_one_line(override, words):
    with pytest.raises(InputError) as error:
        asked(override)
    text = str(error.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_a_burst_is_no_limit_of_split_plans():
    with pytest.raises(InputError, match=r"limits\.ttft_statistic: burst"):
        asked("limits.ttft_s=3", "limits.ttft_statistic=burst")
