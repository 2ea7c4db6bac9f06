"""What an accelerator cannot multiply is said, and weights keep their size."""

import pytest
from hydra import compose, initialize_config_dir

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from search.base.paths import conf_dir
from search.inputs.config import read_model, read_scenario
from search.inputs.fallbacks import fallbacks
from search.inputs.typed import typed


def scenario(*overrides: str):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = typed(compose("config", ["engine=any", *overrides]))
    return read_scenario(config, read_model(config.model).architecture)


@pytest.mark.parametrize(
    ("model", "hardware", "sentences"),
    [
        ("qwen3_8b", "a100_80gb_sxm", []),
        ("deepseek_v3", "h100_sxm", []),
        ("deepseek_r1_nvfp4", "b200_sxm", []),
        ("kimi_k2_5", "a100_80gb_sxm", []),  # INT4 weights are bf16 products everywhere
        (
            "llama_3_1_405b_fp8",
            "a100_80gb_sxm",
            ["fp8 products run in bf16: NVIDIA A100 SXM4 80GB has no fp8 units; fp8 weights stay at 1 byte"],
        ),
        (
            "deepseek_v3",
            "a100_80gb_sxm",
            [
                "fp8 products run in bf16: NVIDIA A100 SXM4 80GB has no fp8 units; "
                "fp8_block weights stay at 1 byte and their scales"
            ],
        ),
        (
            "gpt_oss_20b",
            "a100_80gb_sxm",
            [
                "fp4 products run in bf16: NVIDIA A100 SXM4 80GB has no fp4 units; "
                "mxfp4 weights stay at 0.5 bytes and their scales"
            ],
        ),
        ("qwen3_32b_fp8", "tpu_v6e", ["fp8 products run in bf16: Google TPU v6e Trillium has no fp8 units"]),
    ],
)
def test_sentences(model, hardware, sentences):
    said = fallbacks(scenario(f"model={model}", f"hardware={hardware}"))
    assert len(said) == len(sentences)
    assert all(whole.startswith(start) for whole, start in zip(said, sentences, strict=True))


def test_an_indexer_wants_fp8_whatever_the_weights():
    said = fallbacks(scenario("model=deepseek_v3_2", "model.weights=bf16", "hardware=a100_80gb_sxm"))
    assert said == ["fp8 products run in bf16: NVIDIA A100 SXM4 80GB has no fp8 units"]


def test_on_an_a100_fp8_saves_memory_and_no_prefill():
    """Stored at one byte, computed in bf16: half the weights, and prefill at the bf16 rate."""
    plan = Plans.of(tp=8, batch=16, gpus=8)
    whole = evaluate(scenario("model=llama_3_1_70b", "hardware=a100_80gb_sxm"), plan)
    cast = evaluate(scenario("model=llama_3_1_70b", "model.weights=fp8", "hardware=a100_80gb_sxm"), plan)
    assert 0.5 < cast.weights_bytes_per_gpu[0] / whole.weights_bytes_per_gpu[0] < 0.53
    assert cast.burst_ttft_s[0] == pytest.approx(whole.burst_ttft_s[0], rel=0.05)
    assert cast.tpot_s[0] < 0.8 * whole.tpot_s[0]
