"""``model.config=`` takes the place of a catalog entry, and nothing of that entry is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.base.errors import InputError
from search.inputs.compose import composed
from search.inputs.config import read_model
from search.inputs.models.catalog import load_entry
from search.inputs.saved_run import config_text
from search.inputs.schema import ModelConfig

MINE: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8,
    "num_key_value_heads": 8, "intermediate_size": 2048, "vocab_size": 1000, "hidden_act": "silu",
    "max_position_embeddings": 8192, "tie_word_embeddings": False,
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(MINE))
    return path


def test_nothing_of_the_default_is_left(config: Path) -> None:
    settings = composed([f"model.config={config}"])
    assert settings.model == ModelConfig(name=str(config), source=str(config), config=str(config))
    assert read_model(settings.model).architecture.name == str(config)
    assert "Qwen" not in config_text(settings)


def test_what_the_command_line_gives_stays(config: Path) -> None:
    given = ["model.name=mine", "model.weights=fp8", "model.kv_cache=fp8", "model.source=ours"]
    model = composed([f"model.config={config.parent}", *given]).model
    assert (model.name, model.weights, model.kv_cache, model.source) == ("mine", "fp8", "fp8", "ours")
    assert read_model(model).architecture.name == "mine"


@pytest.mark.parametrize("chosen", ["+experiment=qwen3_235b", "model=qwen3_235b_fp8_cast", "model=falcon_180b"])
def test_an_entrys_cast_does_not_fall_on_another_model(config: Path, chosen: str) -> None:
    model = composed([chosen, f"model.config={config}"]).model
    assert (model.weights, model.kv_cache, model.aliases, model.published) == (None, None, [], {})
    assert read_model(model).architecture.quantization.default.name == "bf16"
    cast = composed([chosen, f"model.config={config}", "model.weights=fp8"]).model
    assert read_model(cast).architecture.quantization.default.name == "fp8"


def test_an_experiment_of_ones_own_keeps_its_words(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    body = f"# @package _global_\nmodel: {{name: mine, config: {config}, weights: fp8}}\n"
    (folder / "mine.yaml").write_text(body)
    model = composed(["+experiment=mine"], tmp_path / "conf").model
    assert (model.name, model.weights, model.aliases) == ("mine", "fp8", [])
    # A config from the command line is yet another model.
    other = tmp_path / "other" / "config.json"
    other.parent.mkdir()
    other.write_text(json.dumps(MINE))
    assert composed(["+experiment=mine", f"model.config={other}"], tmp_path / "conf").model.weights is None


def test_an_entry_of_ones_own_stays_whole(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(f"name: mine\nsource: ours\nconfig: {config}\nweights: fp8\n")
    model = composed(["model=mine"], tmp_path / "conf").model
    assert (model.name, model.source, model.weights) == ("mine", "ours", "fp8")


def test_without_a_config_the_entry_stays(config: Path) -> None:
    entry = load_entry("qwen3_235b_fp8_cast")
    assert vars(composed(["+experiment=qwen3_235b"]).model) == {**entry, "text_only": False}


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model: .*config\.json: cannot be read"):
        read_model(composed([f"model.config={tmp_path}"]).model)
