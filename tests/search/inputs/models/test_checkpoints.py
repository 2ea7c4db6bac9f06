"""A checkpoint is a folder: formats that stand only beside the config, and sizes that must fit them."""

from __future__ import annotations

import csv
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from costmodel.parameters import kv_bytes_per_token, weight_bytes
from search.inputs.models import ConfigError, read_checkpoint
from search.inputs.models.checkpoint import checkpoint_files

DATA = os.environ.get("SERVEFRONT_DATA")
CASES = Path(DATA or "") / ".." / "cases" / "checkpoints"
CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 512, "vocab_size": 1000, "hidden_act": "silu",
    "tie_word_embeddings": False,
}  # fmt: skip
SHAPES = {
    "self_attn.q_proj": (256, 256), "self_attn.k_proj": (128, 256), "self_attn.v_proj": (128, 256),
    "self_attn.o_proj": (256, 256), "mlp.gate_proj": (512, 256), "mlp.up_proj": (512, 256), "mlp.down_proj": (256, 512),
}  # fmt: skip
MODELOPT = {
    "producer": {"name": "modelopt"},
    "quantization": {
        "quant_algo": "NVFP4",
        "kv_cache_quant_algo": "FP8",
        "group_size": 16,
        "exclude_modules": ["lm_head"],
    },
}


def write(folder: Path, **files: Any) -> Path:
    names = {"config": "config.json", "hf": "hf_quant_config.json", "index": "model.safetensors.index.json"}
    names["generation"] = "generation_config.json"
    for key, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / names[key]).write_text(text)
    return folder


def tensors(bits: float) -> dict[str, int]:
    """Every tensor of the model, its layers' matrices with ``bits`` an element (scales apart)."""
    found = {"model.embed_tokens.weight": 512_000, "lm_head.weight": 512_000, "model.norm.weight": 512}
    for i in range(2):
        for name, (rows, columns) in SHAPES.items():
            found[f"model.layers.{i}.{name}.weight"] = round(rows * columns * bits / 8)
            if bits == 4:
                found[f"model.layers.{i}.{name}.weight_scale"] = rows * columns // 16
                found[f"model.layers.{i}.{name}.weight_scale_2"] = 4
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{i}.{name}.weight"] = 512
    return found


def safetensors(path: Path, sizes: dict[str, int]) -> None:
    """A file with a header alone: the weights themselves are never read."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, size in sizes.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)


def test_formats_that_stand_only_beside_the_config(tmp_path: Path) -> None:
    write(tmp_path, config=CONFIG)
    plain = read_checkpoint(tmp_path)
    assert plain.architecture.kv_format.name == "bf16"
    write(tmp_path, hf=MODELOPT)
    for path in (tmp_path, tmp_path / "config.json"):
        model = read_checkpoint(path)
        matrices = sum(rows * columns for rows, columns in SHAPES.values()) * 2
        held = weight_bytes(model.architecture)
        assert held["nvfp4"] == matrices * 0.5625
        assert model.architecture.kv_format.name == "fp8"
        assert [line.split(": ")[-1] for line in model.files] == ["the architecture", "formats"]
    assert checkpoint_files(tmp_path) == f"{tmp_path / 'config.json'}, with hf_quant_config.json beside it"


def test_a_name_is_no_format(tmp_path: Path) -> None:
    folder = tmp_path / "Model-70B-NVFP4"
    folder.mkdir()
    model = read_checkpoint(write(folder, config=CONFIG))
    assert any("NVFP4 is called after a number format" in line for line in model.assumptions)
    assert not read_checkpoint(write(folder, hf=MODELOPT)).assumptions
    assert not read_checkpoint(write(tmp_path, config=CONFIG), name="Llama-3.1-8B").assumptions


def test_other_files_have_no_company(tmp_path: Path) -> None:
    write(tmp_path, hf=MODELOPT)
    (tmp_path / "mine.json").write_text(json.dumps(CONFIG))
    assert read_checkpoint(tmp_path / "mine.json").architecture.kv_format.name == "bf16"


def test_the_configs_own_object_wins_and_may_not_contradict(tmp_path: Path) -> None:
    own = {"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head", "*mlp*"]}
    write(tmp_path, config=CONFIG | {"quantization_config": own}, hf=MODELOPT)
    assert read_checkpoint(tmp_path).architecture.quantization.of("dense.up").name == "bf16"
    write(tmp_path, config=CONFIG | {"quantization_config": {**own, "quant_algo": "FP8"}})
    with pytest.raises(ConfigError, match=r"quant_algo = 'NVFP4' contradicts .* = 'FP8'"):
        read_checkpoint(tmp_path)


def test_total_size_is_compared(tmp_path: Path) -> None:
    total = sum(tensors(4).values())
    write(tmp_path, config=CONFIG, hf=MODELOPT, index={"metadata": {"total_size": total}, "weight_map": {}})
    model = read_checkpoint(tmp_path, weights="fp8")  # compared as published, whatever the cast
    assert any("total_size" in line and "by the config" in line for line in model.files)
    (tmp_path / "hf_quant_config.json").unlink()
    ours = sum(tensors(16).values())
    with pytest.raises(ConfigError, match=f"total_size = {total} bytes, but config and formats make {ours}"):
        read_checkpoint(tmp_path)
    within = {"metadata": {"total_size": round(ours * 1.0095)}}
    assert read_checkpoint(write(tmp_path, index=within)).files
    with pytest.raises(ConfigError, match="may differ by 1%"):
        read_checkpoint(write(tmp_path, index={"metadata": {"total_size": round(ours * 1.02)}}))


def test_parts_that_a_checkpoint_may_leave_out(tmp_path: Path) -> None:
    tied = CONFIG | {"tie_word_embeddings": True}
    once = sum(tensors(16).values()) - 512_000
    for total in (once, once + 512_000):
        assert read_checkpoint(write(tmp_path, config=tied, index={"metadata": {"total_size": total}})).files
    wide = CONFIG | {"torch_dtype": "float32"}
    total = 2 * sum(tensors(16).values())
    assert read_checkpoint(write(tmp_path, config=wide, index={"metadata": {"total_size": total}})).files


def test_files_of_gptq_hold_more_than_engines_keep(tmp_path: Path) -> None:
    """Groups of 32: a bf16 scale, a zero point of four bits, and an int32 for each row of each matrix."""
    total = sum(tensors(16).values())
    for rows, columns in SHAPES.values():
        total += 2 * round(rows * columns * (0.5 - 2 + 2 / 32 + 0.5 / 32) + 4 * columns)
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True}
    write(tmp_path, config=CONFIG | {"quantization_config": gptq}, index={"metadata": {"total_size": total}})
    assert any("+0.000%" in line for line in read_checkpoint(tmp_path).files)


def test_headers_are_compared_module_by_module(tmp_path: Path) -> None:
    write(tmp_path, config=CONFIG, hf=MODELOPT)
    safetensors(tmp_path / "model.safetensors", tensors(4))
    assert any("8 modules compared" in line for line in read_checkpoint(tmp_path).files)
    # The same bytes in all, but one layer's FFN is bf16 and nobody said so; the whole is no longer within 1 % either.
    sizes = tensors(4)
    sizes["model.layers.1.mlp.down_proj.weight"] = 2 * 256 * 512
    wrong = sizes["model.layers.1.mlp.down_proj.weight"] + sizes["model.layers.1.mlp.down_proj.weight_scale"] + 4
    safetensors(tmp_path / "model.safetensors", sizes)
    with pytest.raises(ConfigError, match=r"tensors of \*\.safetensors"):
        read_checkpoint(tmp_path)
    index = {"metadata": {}, "weight_map": {"a": "model.safetensors", "b": "other.safetensors"}}
    with pytest.raises(ConfigError, match=rf"layers\.1\.mlp\.down_proj \(dense\.down\) holds {wrong} bytes"):
        read_checkpoint(write(tmp_path, index=index))


def test_generation_config_says_lengths_alone(tmp_path: Path) -> None:
    said = {"max_new_tokens": 2048, "temperature": 0.6, "num_hidden_layers": 99}
    model = read_checkpoint(write(tmp_path, config=CONFIG, generation=said))
    assert model.files[-1] == "generation_config.json: max_new_tokens 2048"
    assert model.architecture.layer_count == 2


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"hf": "{"}, "hf_quant_config.json: not JSON"),
        ({"hf": {"quantization": 3}}, "quantization = 3 must be an object"),
        ({"hf": {"quantization": {}}}, "quant_algo is missing"),
        ({"hf": {"quantization": {"quant_algo": "W1"}}}, "quant_algo = 'W1' is not understood"),
        ({"generation": {"max_length": "x"}}, "max_length = 'x' must be a number of tokens"),
        ({"index": {"metadata": {"total_size": -1}}}, "total_size = -1 must be a number of bytes"),
        ({"index": []}, "index.json: must hold an object"),
    ],
)
def test_what_stands_beside_is_checked(tmp_path: Path, files: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_checkpoint(write(tmp_path, config=CONFIG, **files))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is no .safetensors"),
        (b"\xff" * 64, "is no .safetensors"),
        (struct.pack("<Q", 100) + b"{}", "ends within its header"),
        (struct.pack("<Q", 2) + b"[]", "must hold an object"),
        (struct.pack("<Q", 10) + b'{"a": [1]}', "must have data_offsets"),
    ],
)
def test_broken_headers(tmp_path: Path, raw: bytes, words: str) -> None:
    write(tmp_path, config=CONFIG)
    (tmp_path / "model.safetensors").write_bytes(raw)
    with pytest.raises(ConfigError, match=words):
        read_checkpoint(tmp_path)


def test_a_pointer_instead_of_weights_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, config=CONFIG)
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert read_checkpoint(tmp_path).files == (f"{tmp_path / 'config.json'}: the architecture",)


def _cases() -> list[dict[str, str]]:
    if not DATA or not (CASES / "bytes.csv").is_file():
        return []
    with (CASES / "bytes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(not _cases(), reason="SERVEFRONT_DATA is unset, or no public cases stand beside it")
@pytest.mark.parametrize("row", _cases(), ids=lambda row: row["checkpoint"])
def test_published_checkpoints(row: dict[str, str]) -> None:
    model = read_checkpoint(CASES / row["checkpoint"]).architecture
    total = sum(weight_bytes(model).values())
    assert total == pytest.approx(float(row["language_weight_bytes"]), rel=float(row["tolerance"]))
    assert kv_bytes_per_token(model) == float(row["kv_bytes_per_token"])
