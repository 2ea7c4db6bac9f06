"""What a configuration says of the pools of split plans, before anything is searched."""

import pytest
from omegaconf import OmegaConf

from search.base.errors import InputError
from search.inputs.compose import composed
from search.inputs.saved_run import config_text
from search.inputs.split.machines import pool_machine
from search.inputs.typed import typed

BASE = ("model=qwen3_8b", "engine=sglang", "hardware=h200")


def read(*overrides):
    return composed([*BASE, *overrides], None)


def test_a_name_and_the_group_put_there_mean_the_same():
    named = read("space.split.decode.hardware=H20")
    put = read("+hardware@space.split.decode.hardware=h20")
    assert named == put
    found = pool_machine(named, "decode")
    assert found.accelerator.name == "NVIDIA H20 SXM5 96GB"
    assert found.cluster.name == "HGX node of 8 GPUs, 400 Gb/s a GPU"
    assert pool_machine(named, "prefill") is None
    other = read("space.split.decode.hardware=h20", "space.split.decode.cluster=pcie8")
    assert pool_machine(other, "decode").cluster.tiers[0].bytes_per_s == found.accelerator.link_bytes_per_s


def test_the_searchs_own_hardware_by_name_is_as_somebody_set_it():
    found = read("hardware.price_per_hour=1", "hardware.price_as_of=today", "space.split.decode.hardware=h200_sxm")
    assert pool_machine(found, "decode") is None


def test_a_runs_configuration_holds_the_accelerators_themselves():
    own = ("space.split.prefill.hardware=b200", "space.split.decode.engine={max_batched_tokens:64}")
    config = read(*own)
    text = config_text(config)
    assert "NVIDIA B200" in text
    again = typed(OmegaConf.create(text))
    assert again.space == config.space


def test_a_price_of_ones_own_needs_a_date():
    put = "+hardware@space.split.decode.hardware=l40s"
    with pytest.raises(InputError, match=r"space\.split\.decode\.hardware\.price_per_hour: 2 has no date"):
        read(put, "space.split.decode.hardware.price_per_hour=2")
    dated = read(put, "space.split.decode.hardware.price_per_hour=2", "space.split.decode.hardware.price_as_of=today")
    assert pool_machine(dated, "decode").accelerator.price_per_hour == 2.0


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("space.split.decode.hardware=7", ("space.split.decode.hardware", "7", "memory_bytes")),
        ("space.split.decode=h20", ("space.split.decode", "h20", "hardware, cluster, engine")),
        (
            "space.split.decode.engine={memory:{context_bytes:x}}",
            ("decode.engine.memory.context_bytes", "x"),
        ),
        ("space.split.decode.engine={block_tokens:x}", ("space.split.decode.engine.block_tokens", "x")),
        ("+hardware@space.split.decode.hardware=l40x", ("l40x", "l40s")),
    ],
)
def test_bad_input_is_one_line(override, words):
    with pytest.raises(InputError) as error:
        pool_machine(read(override), "decode")
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)
