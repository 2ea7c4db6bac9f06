"""Names and patterns of modules: what a quantiser's lists reach, and the catalog's quantised releases."""

from __future__ import annotations

import pytest

from costmodel.architecture import UNQUANTISED
from costmodel.parameters import weight_bytes
from search.inputs.models import model_names, read_catalog_model
from search.inputs.models.catalog import load_entry
from search.inputs.models.quantizers import spellings, tree_of
from search.inputs.models.quantizers.module_names import weights_by_operation
from search.inputs.models.quantizers.patterns import Rule, Rules
from search.inputs.models.quantizers.schemes import BF16, FP8, INT8


def test_every_familys_modules_have_names() -> None:
    """Without a name no exclusion reaches a module."""
    for option in model_names():
        config = read_catalog_model(option)
        tree = tree_of(load_entry(option)["published"]["model_type"])
        for kind in config.architecture.kinds:
            asked = set(weights_by_operation(kind, config.architecture.hidden)) - set(UNQUANTISED)
            assert all(spellings(tree, name, kind) for name in asked), option


@pytest.mark.parametrize(
    ("option", "bytes_"),
    [
        ("nvidia/DeepSeek-V3.1-NVFP4", 386_379_724_800),
        ("nvidia/Gemma-4-26B-A4B-NVFP4", 17_636_679_680),
        ("nvidia/Qwen3-235B-A22B-NVFP4", 134_101_359_616),
        ("nvidia/Llama-3.1-70B-Instruct-FP8", 72_656_371_712),
        # Nemotron 3 Nano: a published total of 19.32 GB, within 0.03 %.
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4", 19_323_895_168),
    ],
)
def test_quantised_releases_by_their_names(option: str, bytes_: int) -> None:
    assert sum(weight_bytes(read_catalog_model(option).architecture).values()) == bytes_


@pytest.mark.parametrize(
    ("pattern", "module", "hit"),
    [
        ("model.layers.1*", "layers.10.mlp.up_proj", True),
        ("model.layers.1.*", "layers.10.mlp.up_proj", False),
        ("model.layers.*.mlp.gate", "layers.3.mlp.gate_proj", False),
        ("model.layers.*.mlp.gate*", "layers.3.mlp.gate_proj", True),
        ("*self_attn*", "layers.3.self_attn.q_proj", True),
        ("backbone.layers.3", "layers.3.mixer.in_proj", True),
        ("transformer.h.3.attn", "layers.3.attn.c_attn", True),
        ("language_model", "layers.3.mlp.up_proj", True),
        ("re:model.layers.3.mlp.*", "layers.3.mlp.up_proj", True),
        ("re:.*gate$", "layers.3.mlp.gate_proj", False),
        ("mlp.gate", "layers.3.mlp.gate_proj", False),
        ("vision_tower*", "layers.3.mlp.up_proj", False),
        ("model.layers.3.mlp.experts.0.up_proj", "layers.3.mlp.experts.#.up_proj", False),
    ],
)
def test_patterns(pattern: str, module: str, hit: bool) -> None:
    rules = Rules.of("ignore", [Rule(pattern, BF16)])
    found = rules.find(module, int(module.split(".")[1]), 1 if hit or "#" not in module else 8, BF16)
    assert (found is BF16) == (hit or "#" in module)


def test_the_first_rule_decides() -> None:
    rules = [Rule("re:.*down_proj", INT8), Rule("model.layers.0.mlp.down_proj", FP8), Rule("*", BF16)]
    found = Rules.of("dynamic", rules).find("layers.0.mlp.down_proj", 0, 1, BF16)
    assert found is INT8
    found = Rules.of("dynamic", rules[1:]).find("layers.0.mlp.down_proj", 0, 1, BF16)
    assert found is FP8
