"""Quantisers' configs as they are published, read module by module; each expectation is worked out by hand here."""

from __future__ import annotations

from typing import Any

import pytest

from costmodel.architecture import Architecture
from costmodel.parameters import weight_bytes
from search.inputs.models import ConfigError, read_architecture
from search.inputs.models.load import compacted

DENSE: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 512, "vocab_size": 1000, "hidden_act": "silu",
    "tie_word_embeddings": False,
}  # fmt: skip
MOE: dict[str, Any] = {
    **DENSE, "model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
}  # fmt: skip
QKV, OUT, UP, DOWN = 256 * (4 + 2 + 2) * 64, 256 * 256, 2 * 256 * 512, 256 * 512  # weights of one dense layer
HEAD = 1000 * 256
REST = 2 * HEAD + 4 * 2 * 256 + 256  # embedding, head, norms
EACH = QKV + OUT + UP + DOWN


def read(quantization: Any, config: dict[str, Any] = DENSE, **outer: Any) -> Architecture:
    return read_architecture(config | {"quantization_config": quantization} | outer, name="x").architecture


def size(architecture: Architecture) -> float:
    return sum(weight_bytes(architecture).values())


def formats(architecture: Architecture, layer: int = 0) -> dict[str, str]:
    """Format of each matrix of one layer."""
    kind = architecture.kinds[architecture.sequence[layer]]
    of = architecture.quantization.changed(kind.formats).of
    names = ("attention.qkv", "attention.output", "dense.up", "dense.down", "experts.up", "experts.down")
    return {name: of(name).name for name in names}


def named(*modules: str) -> list[str]:
    return [f"model.layers.{i}.{m}" for i in range(4) for m in modules]


ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [
        ({"quant_method": "fp8"}, 8),
        ({"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0}, 8),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8 + 8 * 4 / 128**2),
        ({"quant_method": "mxfp8"}, 8.25),
        ({"quant_method": "w8a8_int8"}, 8),
        ({"quant_algo": "FP8", "kv_cache_scheme": "FP8"}, 8),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}, 4.5),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "NVFP4", "exclude_modules": ["lm_head"]}}, 4.5),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4_AWQ", "group_size": 16}, 4.5),
        ({"quant_method": "modelopt", "quant_algo": "W4A8_AWQ", "group_size": 128}, 4 + 16 / 128),
        ({"quant_method": "modelopt", "quant_algo": "FP8_PB_WO"}, 8 + 8 * 4 / 128**2),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}, 4 + 16 / 128),
        ({"quant_method": "gptq", "bits": 3, "group_size": 64, "sym": True}, 3 + 16 / 64),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1, "sym": True}, 8),
        ({"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm"}, 4 + 20 / 64),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True}, 4 + 16 / 128),
        ({"quant_method": "auto-round", "bits": 4, "data_type": "nv_fp", "group_size": 16, "act_bits": 4}, 4.5),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, 4.5),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True},
            4 + 8 / 64 + 32 / (64 * 256),
        ),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_skip_modules": ["lm_head"]}, 8),
        ({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}}, 4.5),
        ({"quant_method": "torchao", "quant_type": "int4_weight_only", "quant_type_kwargs": {"group_size": 64}}, 4.5),
        (
            {
                "quant_method": "torchao",
                "quant_type": {"default": {"_type": "Float8DynamicActivationFloat8WeightConfig", "_data": {}}},
            },
            8,
        ),
        ({"quant_method": "eetq", "weights": "int8"}, 8),
        ({"quant_method": "quanto", "weights": "int4"}, 4 + 32 / 128),
        (
            {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4", "group_size": 32}}},
            4.25,
        ),
        (
            {
                "quant_method": "quark",
                "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}, "input_tensors": {"dtype": "fp8_e4m3"}},
                "exclude": ["lm_head"],
            },
            8,
        ),
    ],
)  # fmt: skip
def test_one_format_for_all_linear_layers(quantization: dict[str, Any], bits: float) -> None:
    assert size(read(quantization)) == pytest.approx(2 * REST + 4 * EACH * bits / 8, rel=1e-12)


def test_what_is_multiplied_follows_the_inputs() -> None:
    weights = {"num_bits": 8, "type": "float"}

    def group(**more: Any) -> str:
        groups = {"g": {"targets": ["Linear"], "weights": weights, **more}}
        architecture = read({"quant_method": "compressed-tensors", "config_groups": groups, "ignore": ["lm_head"]})
        return architecture.quantization.of("dense.up").compute

    assert group() == group(input_activations=None) == "bf16"
    assert group(input_activations={"num_bits": 8, "type": "float"}) == "fp8"
    weights = {"num_bits": 4, "type": "int", "group_size": 128}
    assert group() == "bf16"
    assert group(input_activations={"num_bits": 8, "type": "float"}) == "fp8"
    assert group(input_activations={"num_bits": 8, "type": "int"}) == "int8"
    weights = {"num_bits": 4, "type": "float", "group_size": 16}
    assert group() == "bf16"
    assert group(input_activations={"num_bits": 4, "type": "float", "group_size": 16}) == "fp4"


def test_modelopt_mixed_precision_is_by_module() -> None:
    layers = {name: {"quant_algo": "FP8"} for name in named(*ATTENTION)}
    layers |= {name: {"quant_algo": "W4A16_NVFP4", "group_size": 16} for name in [*named(*MLP), "lm_head"]}
    quantization = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    mixed = read({**quantization, "kv_cache_scheme": {"type": "float", "num_bits": 8}, "ignore": ["mtp*"]})
    assert size(mixed) == 2 * (REST - HEAD) + 4 * (QKV + OUT) + 0.5625 * (4 * (UP + DOWN) + HEAD)
    assert mixed.kv_format.name == "fp8"
    assert mixed.quantization.of("dense.up").compute == "bf16"
    assert mixed.quantization.of("head").name == "nvfp4"
    # What is not listed is not quantised, layer by layer.
    del layers["model.layers.3.mlp.down_proj"]
    fewer = read(quantization)
    assert size(fewer) == size(mixed) + (2 - 0.5625) * DOWN
    assert formats(fewer, 3)["dense.down"] == "bf16"
    assert formats(fewer, 2)["dense.down"] == "nvfp4"


def test_modelopt_names_every_expert() -> None:
    layers = {
        f"model.layers.{i}.mlp.experts.{e}.{p}_proj": {"quant_algo": "NVFP4", "group_size": 16}
        for i in range(4) for e in range(8) for p in ("gate", "up", "down")
    }  # fmt: skip
    quantization = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    assert formats(read(quantization, MOE)) == {
        "attention.qkv": "bf16", "attention.output": "bf16", "dense.up": "nvfp4", "dense.down": "nvfp4",
        "experts.up": "nvfp4", "experts.down": "nvfp4",
    }  # fmt: skip
    short = compacted(MOE | {"quantization_config": quantization})
    assert len(short["quantization_config"]["quantized_layers"]) == 4 * 3
    assert read_architecture(short, name="x").architecture == read(quantization, MOE)
    del layers["model.layers.2.mlp.experts.5.up_proj"]
    with pytest.raises(ConfigError, match=r"experts of layers\.2\.mlp\.experts\.#\.up_proj differ"):
        read(quantization, MOE)


def test_compressed_groups_with_names_patterns_and_classes() -> None:
    four = {"weights": {"num_bits": 4, "type": "float", "group_size": 16}, "targets": [r"re:.*mlp\.(gate|up)_proj$"]}
    eight = {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}, "targets": ["Linear"]}
    quantization = {
        "quant_method": "compressed-tensors", "config_groups": {"a": eight, "b": four},
        "ignore": ["lm_head", "model.layers.1.self_attn.o_proj"],
        "kv_cache_scheme": {"type": "float", "num_bits": 8},
    }  # fmt: skip
    model = read(quantization)
    assert size(model) == 2 * REST + 4 * (QKV + OUT + DOWN) + OUT + 4 * 0.5625 * UP
    assert model.kv_format.name == "fp8"
    assert model.layer_count == 4
    # A head that is not ignored is a linear layer.
    assert size(model) - size(read({**quantization, "ignore": ["re:.*o_proj"]})) == HEAD - 3 * OUT
    # Without a group for Linear, what no target names stays as it is.
    alone = read({**quantization, "config_groups": {"b": four}})
    assert size(alone) == 2 * (REST + 4 * (QKV + OUT + DOWN)) + 4 * 0.5625 * UP


def test_gptq_dynamic() -> None:
    quantization = {
        "quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True,
        "dynamic": {r"-:.*self_attn.*": {}, r"+:.*\.[23]\..*down_proj": {"bits": 8, "group_size": 32}},
    }  # fmt: skip
    four, eight = 0.5 + 2 / 128, 1 + 2 / 32
    model = read(quantization)
    assert size(model) == 2 * (REST + 4 * (QKV + OUT)) + 4 * four * UP + 2 * (four + eight) * DOWN
    assert size(read({**quantization, "lm_head": True})) == size(model) - (2 - four) * HEAD


def test_awq_leaves_whole_components_alone() -> None:
    awq = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": False, "sym": True}
    model = read({**awq, "modules_to_not_convert": ["gate", "model.layers.1.", "self_attn"]})
    four = 0.5 + 2 / 128
    assert size(model) == pytest.approx(2 * REST + 2 * 4 * (QKV + OUT) + (3 * four + 2) * (UP + DOWN))


def test_auto_round_extra_config() -> None:
    extra = {
        f"model.layers.{i}.self_attn.{p}_proj": {"bits": 16, "data_type": "float"} for i in range(4) for p in "qkvo"
    }
    extra["model.layers.0.mlp.down_proj"] = {"bits": 8, "group_size": 128, "sym": True}
    model = read({"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True, "extra_config": extra})
    four, eight = 0.5 + 2 / 128, 1 + 2 / 128
    assert size(model) == 2 * (REST + 4 * (QKV + OUT)) + 4 * four * UP + (3 * four + eight) * DOWN


def test_quark_layers_and_cache() -> None:
    weight = {"weight": {"dtype": "fp4", "group_size": 32, "qscheme": "per_group"}, "input_tensors": {"dtype": "fp4"}}
    other = {"weight": {"dtype": "fp8_e4m3"}, "input_tensors": {"dtype": "fp8_e4m3"}}
    kv = {**other, "output_tensors": {"dtype": "fp8_e4m3"}}
    quantization = {
        "quant_method": "quark", "global_quant_config": weight, "exclude": ["lm_head", "*mlp.down_proj"],
        "layer_quant_config": {"*q_proj": other, "*k_proj": kv, "*v_proj": kv},
        "export": {"kv_cache_group": ["*k_proj", "*v_proj"]},
    }  # fmt: skip
    model = read(quantization)
    assert size(model) == 2 * (REST + 4 * DOWN) + 4 * QKV + 4 * (0.5 + 1 / 32) * (OUT + UP)
    assert model.kv_format.name == "fp8"
    assert read({**quantization, "export": {"kv_cache_group": []}}).kv_format.name == "bf16"


def test_torchao_by_name() -> None:
    four = {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": 128}}
    named = {
        "_default": four,
        "re:.*self_attn.*": None,
        "model.layers.0.mlp.down_proj": {"_type": "Int8WeightOnlyConfig"},
    }
    said = {"_type": "FqnToConfig", "_data": {"fqn_to_config": named}}
    model = read({"quant_method": "torchao", "quant_type": {"default": said}})
    bits = 0.5 + 4 / 128
    assert size(model) == 2 * (REST + 4 * (QKV + OUT)) + bits * (4 * UP + 3 * DOWN) + DOWN


def test_mlx_quantises_embeddings_too() -> None:
    group = {"group_size": 64, "bits": 4}
    said = {**group, "model.layers.0.mlp.down_proj": {"group_size": 64, "bits": 8}, "lm_head": False}
    for key in ("quantization", "quantization_config"):
        model = read_architecture(DENSE | {key: said}, name="x")
        four, eight = 0.5 + 4 / 64, 1 + 4 / 64
        embedded = HEAD * four
        layers = 4 * four * (QKV + OUT + UP) + (3 * four + eight) * DOWN
        assert size(model.architecture) == pytest.approx(2 * (REST - HEAD) + embedded + layers)
        assert any("MLX" in line for line in model.assumptions)


@pytest.mark.parametrize("parent", ["mlp.shared_expert", "mlp.shared_experts"])
def test_shared_experts_by_either_name(parent: str) -> None:
    """Qwen has one shared expert, DeepSeek several."""
    config = MOE | {"model_type": "qwen2_moe", "shared_expert_intermediate_size": 128}
    layers = {name: {"quant_algo": "FP8"} for name in named(*(f"{parent}.{p}_proj" for p in ("gate", "up", "down")))}
    model = read({"quant_algo": "MIXED_PRECISION", "quantized_layers": layers}, config)
    assert weight_bytes(model)["fp8"] == 4 * 3 * 256 * 128


def test_a_vision_tower_has_layers_of_its_own() -> None:
    ignored = [f"vision_tower.encoder.layers.{i}.self_attn.{p}_proj" for i in range(4) for p in "qkvo"]
    ignored += ["mtp*", "model.visual*", "re:vision_model.*", "vision_model.encoder.layers.0.mlp.down_proj"]
    assert size(read({"quant_method": "fp8", "ignored_layers": ignored})) == 2 * REST + 4 * EACH


def test_projections_that_are_fused_must_agree() -> None:
    with pytest.raises(ConfigError, match=r"layers\.2 has q_proj bf16, k_proj fp8, v_proj fp8; engines multiply them"):
        read({"quant_method": "fp8", "ignored_layers": ["model.layers.2.self_attn.q_proj"]})


@pytest.mark.parametrize(
    ("quantization", "words"),
    [
        ({"quant_method": "aqlm"}, "quant_method = 'aqlm' is known and refused: its codebooks"),
        ({"quant_method": "vptq"}, "refused"),
        ({"quant_method": "spqr"}, "refused"),
        ({"quant_method": "higgs"}, "refused"),
        ({"quant_method": "new_one"}, "quant_method = 'new_one' is not understood; allowed: fp8, "),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}, "quantized_layers is missing"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 32}, "group_size = 32 is not that of nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP3"}, "kv_cache_quant_algo ="),
        ({"quant_method": "bitsandbytes"}, "load_in_4bit or load_in_8bit must be true"),
        ({"quant_method": "torchao", "quant_type": "int1_weight_only"}, "quant_type = 'int1_weight_only' must be one"),
        ({"quant_method": "hqq"}, "quant_config is missing"),
        ({"quant_method": "quark", "export": {}}, r"global_quant_config.weight is missing"),
        ({"bits": 4}, "quant_method = None is not understood"),
        (
            {
                "quant_method": "compressed-tensors", "transform_config": {"config_groups": {"u": {}}},
                "config_groups": {"g": {"weights": {"num_bits": 8}}},
            },
            "transform_config: online transforms",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"g": {"targets": ["Conv2d"], "weights": {"num_bits": 8}}},
            },
            "targets = 'Conv2d' is not understood",
        ),
    ],
)  # fmt: skip
def test_refused_by_name(quantization: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read(quantization)
    assert "\n" not in str(caught.value)


def test_a_head_that_no_list_excludes_is_reported() -> None:
    quantization = {"quant_method": "modelopt", "quant_algo": "FP8", "exclude_modules": ["*self_attn*"]}
    model = read_architecture(DENSE | {"quantization_config": quantization}, name="x")
    assert size(model.architecture) == 2 * (REST - HEAD + 4 * (QKV + OUT)) + 4 * (UP + DOWN) + HEAD
    assert any("lm_head is not excluded" in line for line in model.assumptions)
    quiet = read_architecture(
        DENSE | {"quantization_config": {**quantization, "exclude_modules": ["lm_head"]}}, name="x"
    )
    assert not quiet.assumptions


def test_modelopt_may_say_that_nothing_is_quantised() -> None:
    assert size(read({"quant_method": "modelopt", "quantization": {"quant_algo": None}})) == 2 * (REST + 4 * EACH)
    cache = read({"quant_method": "modelopt", "quantization": {"kv_cache_quant_algo": "FP8"}})
    assert (size(cache), cache.kv_format.name) == (2 * (REST + 4 * EACH), "fp8")
