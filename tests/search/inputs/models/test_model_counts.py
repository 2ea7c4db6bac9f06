"""Parameters, cache and state of published models, to the unit."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from costmodel.architecture import Architecture
from costmodel.blocks import MoeFfn
from costmodel.parameters import (
    active_parameters,
    kv_bytes_per_sequence,
    kv_bytes_per_token,
    parameters,
    state_bytes_per_sequence,
    weight_bytes,
)
from search.inputs.models import load_config_json, read_architecture, read_catalog_model

DATA = os.environ.get("SERVEFRONT_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="SERVEFRONT_DATA is unset: no published configs to check against")


def _rows() -> list[dict[str, str]]:
    if not DATA:
        return []
    with open(Path(DATA) / "parameter_counts.csv", newline="") as file:
        return list(csv.DictReader(file))


def _model(option: str) -> Architecture:
    return read_catalog_model(option).architecture


CORRECTED = (
    "deepseek_r1", "deepseek_v3_2", "kimi_k2_5", "glm_4_6", "glm_5", "minimax_m2_5", "nemotron_3_nano_30b",
    "step_3_7_flash",
)  # fmt: skip
UNCORRECTED = ("qwen3_235b", "qwen3_5_397b", "gpt_oss_120b", "llama_4_scout", "mixtral_8x7b", "gemma_4_26b")


@pytest.mark.parametrize("option", [*CORRECTED, *UNCORRECTED])
def test_which_routers_choose_with_a_correction_bias(option: str) -> None:
    """Those whose checkpoints hold an ``e_score_correction_bias`` (Step: ``router_bias``)."""
    experts = [kind.ffn for kind in _model(option).kinds if isinstance(kind.ffn, MoeFfn)]
    assert experts and all(ffn.corrected is (option in CORRECTED) for ffn in experts)


@needs_data
def test_there_are_counts_to_check() -> None:
    assert len(_rows()) >= 23


@needs_data
@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["config"])
def test_parameters_are_exact(row: dict[str, str]) -> None:
    config = load_config_json(Path(str(DATA)) / "model_configs" / f"{row['config']}.json")
    model = read_architecture(config, name=row["config"]).architecture
    assert parameters(model) == int(row["language_parameters"])
    assert model.vision_parameters == int(row["vision_parameters"])


@needs_data
def test_every_published_config_reads() -> None:
    for path in sorted((Path(str(DATA)) / "model_configs").glob("*.json")):
        assert parameters(read_architecture(load_config_json(path), name=path.stem).architecture) > 0


@pytest.mark.parametrize(
    ("option", "count"),
    [
        # Totals that the model hub shows for these checkpoints.
        ("llama_2_7b", 6_738_415_616),
        ("llama_2_70b", 68_976_648_192),
        ("mistral_7b", 7_241_732_096),
        ("qwen2_5_72b", 72_706_203_648),
        ("qwen3_14b", 14_768_307_200),
        ("qwen3_coder_480b", 480_154_875_392),
    ],
)
def test_well_known_totals(option: str, count: int) -> None:
    assert parameters(_model(option)) == count


def test_llama_4_scout_with_its_own_vision_tower() -> None:
    model = _model("llama_4_scout")
    assert parameters(model) + model.vision_parameters == 108_641_793_536


def test_kv_of_grouped_queries() -> None:
    # Qwen3-235B: k and v, 4 heads, 128 elements, 94 layers = 96,256 elements, two bytes each.
    assert kv_bytes_per_token(_model("qwen3_235b")) == 96_256 * 2
    assert kv_bytes_per_token(_model("qwen3_235b_fp8_cast")) == 96_256


def test_kv_of_latent_attention() -> None:
    # DeepSeek-V3: a latent of 512 and a rotary key of 64, 61 layers.
    assert kv_bytes_per_token(_model("deepseek_v3")) == 61 * 576 * 2


def test_kv_of_sparse_attention() -> None:
    # DeepSeek-V3.2 adds an index key of 128 fp8 elements and one fp32 scale.
    assert kv_bytes_per_token(_model("deepseek_v3_2")) == 61 * (576 * 2 + 128 + 4)


def test_kv_of_sliding_windows() -> None:
    # gpt-oss-120b: k and v, 8 heads, 64 elements, 36 layers; half of them keep only the last 128 tokens.
    model = _model("gpt_oss_120b")
    layer = 2 * 8 * 64 * 2
    assert kv_bytes_per_token(model) == 36 * layer
    assert kv_bytes_per_sequence(model, 10_000) == 18 * layer * 10_000 + 18 * layer * 128


def test_kv_of_two_head_sizes() -> None:
    # Gemma 4 26B: 25 layers slide over 1024 tokens with 8 heads of 256; 5 see all with 2 heads of 512.
    sliding, full = 2 * 8 * 256 * 2, 2 * 2 * 512 * 2
    assert kv_bytes_per_sequence(_model("gemma_4_26b"), 4096) == 25 * sliding * 1024 + 5 * full * 4096


def test_kv_of_chunked_attention() -> None:
    # Llama 4 Scout: 12 of 48 layers see everything, 36 their own chunk of 8192; k and v, 8 heads, 128 elements.
    layer = 2 * 8 * 128 * 2
    assert kv_bytes_per_sequence(_model("llama_4_scout"), 20_000) == 12 * layer * 20_000 + 36 * layer * 8192


def test_state_of_linear_attention() -> None:
    # Qwen3.5-397B: 45 of 60 layers hold 64 heads of 128 x 128 in fp32 and three inputs of the convolution over
    # q and k (16 x 128 each) and v (64 x 128) in bf16; the other 15 cache k and v of 2 heads of 256.
    model = _model("qwen3_5_397b")
    assert state_bytes_per_sequence(model) == 45 * (64 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 64 * 128) * 2)
    assert kv_bytes_per_token(model) == 15 * 2 * 2 * 256 * 2


def test_state_of_mamba() -> None:
    # Nemotron 3 Nano: 23 Mamba layers of 64 heads x 64 x 128 in fp32, three convolution inputs of
    # 64 x 64 + 2 x 8 x 128; 6 attention layers with 2 heads of 128.
    model = _model("nemotron_3_nano_30b")
    assert state_bytes_per_sequence(model) == 23 * (64 * 64 * 128 * 4 + 3 * (4096 + 2048) * 2)
    assert kv_bytes_per_token(model) == 6 * 2 * 2 * 128 * 2


def test_active_parameters() -> None:
    # Qwen3-235B: 94 layers of attention (71,311,616 with its two head norms of 128 and 8,192 of layer norms),
    # a router of 4096 x 128 and 8 of 128 experts of 3 x 4096 x 1536; embedding and head 151,936 x 4096; final norm.
    attention = 4096 * (64 * 128 + 2 * 4 * 128) + 64 * 128 * 4096 + 2 * 128
    layer = attention + 2 * 4096 + 4096 * 128 + 8 * 3 * 4096 * 1536
    assert active_parameters(_model("qwen3_235b")) == 94 * layer + 2 * 151_936 * 4096 + 4096


def test_multi_token_prediction_is_apart() -> None:
    model = _model("deepseek_v3")
    # A DeepSeek-V3 layer with experts, a projection of 2 x 7168 to 7168 and three norms.
    mla = 7168 * (1536 + 576) + 1536 + 512 + 1536 * 128 * 192 + 512 * 128 * 256 + 128 * 128 * 7168
    experts = 257 * 3 * 7168 * 2048 + 256 * 7168
    assert model.mtp_parameters == mla + experts + 2 * 7168 + 2 * 7168**2 + 3 * 7168


def test_qwen3_next_has_the_module_that_its_config_does_not_name() -> None:
    model = _model("qwen3_coder_next")
    attention = 2048 * (2 * 16 + 2 * 2) * 256 + 16 * 256 * 2048 + 2 * 256
    experts = 513 * 3 * 2048 * 512 + 512 * 2048 + 2048
    assert model.mtp_modules == 1
    assert model.mtp_parameters == attention + experts + 2 * 2048 + 2 * 2048**2 + 3 * 2048


@pytest.mark.parametrize(
    ("option", "published"),
    [  # as the checkpoints' pages at huggingface.co state them, towers included
        ("qwen2_5_7b", 7_615_616_512),
        ("llama_3_2_3b", 3_212_749_824),
        ("mistral_nemo", 12_247_782_400),
        ("phi_4_mini", 3_836_021_760),
        ("gemma_3_12b", 12_187_325_040),
        ("command_r_plus", 103_810_674_688),
        ("deepseek_v2_5", 235_741_434_880),
        ("deepseek_r1_distill_qwen_1_5b", 1_777_088_000),
        ("qwen2_5_vl_72b", 73_410_777_344),
        ("qwen3_vl_8b", 8_767_123_696),
        ("llama_3_2_11b_vision", 10_670_220_835),
        ("nemotron_nano_9b_v2", 8_888_227_328),
    ],
)
def test_counts_are_those_of_the_checkpoints(option: str, published: int) -> None:
    model = _model(option)
    assert parameters(model) + model.vision_parameters == published


def test_weight_bytes_by_format() -> None:
    # Kimi-K2.5: routed experts alone are int4 in groups of 32 (half a byte and a bf16 scale a group).
    experts = 60 * 384 * 3 * 7168 * 2048
    sizes = weight_bytes(_model("kimi_k2_5"))
    assert sizes["int4"] == pytest.approx(experts * (0.5 + 2 / 32))
    assert sizes["bf16"] == pytest.approx(2 * (parameters(_model("kimi_k2_5")) - experts))


def test_worked_case_weighs_what_its_figures_say() -> None:
    # 16 experts a GPU and a quarter of attention: 28.4 + 1.68 GB; over all, experts are 227.1 GB, attention 6.70 GB.
    sizes = weight_bytes(_model("qwen3_235b_fp8_cast"))
    assert sizes["fp8"] == 94 * (128 * 3 * 4096 * 1536 + 4096 * (64 * 128 + 2 * 512) + 64 * 128 * 4096)
    assert sizes["fp8"] / 1e9 == pytest.approx(227.1 + 6.70, abs=0.1)


@pytest.mark.parametrize(
    ("option", "per_token", "state"),
    [
        # 24 latents of 512 + 64; 69 states of 96 heads of 128 by 128 in fp32 and three tokens of 3 x 12,288 in bf16.
        ("kimi_k3", 24 * 576 * 2, 69 * (96 * 128 * 128 * 4 + 3 * 3 * 12_288 * 2)),
        ("kimi_linear_48b", 7 * 576 * 2, 20 * (32 * 128 * 128 * 4 + 3 * 3 * 4096 * 2)),
        # 21 layers keep an entry and an index key for four tokens, 20 an entry for 128; all 43 their window, and what
        # waits: two series of values and weights of eight tokens with the index's, one series of 128, in fp32.
        (
            "deepseek_v4_flash",
            21 * (584 + 132) / 4 + 20 * 584 / 128,
            43 * 128 * 584 + 21 * 8 * 2 * 2 * (512 + 128) * 4 + 20 * 128 * 2 * 512 * 4,
        ),
        # Four KV heads of 128 in all 60 layers, an index key in 57.
        ("minimax_m3", 60 * 2 * 4 * 128 * 2 + 57 * 128 * 2, 0),
        # Latents in all 78 layers, an index key and its scale where a layer has an indexer of its own.
        ("glm_5_3", 78 * 576 * 2 + 21 * (128 + 4), 0),
        # Twice 28 latent attentions.
        ("longcat_flash", 56 * 576 * 2, 0),
        # Four layers of eight KV heads; 28 states of 8192 channels by 16 and three inputs.
        ("jamba_v0_1", 4 * 2 * 8 * 128 * 2, 28 * 8192 * (16 * 4 + 3 * 2)),
        ("nemotron_3_super", 8 * 2 * 2 * 128 * 2, 40 * (128 * 64 * 128 * 4 + 3 * (8192 + 2 * 8 * 128) * 2)),
    ],
)
def test_cache_and_state_of_new_kinds_by_hand(option: str, per_token: float, state: float) -> None:
    model = _model(option)
    assert kv_bytes_per_token(model) == per_token
    assert state_bytes_per_sequence(model) == state
