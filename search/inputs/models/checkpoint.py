"""A checkpoint: a folder as it was downloaded, or its config.json. What the config says is compared with what the files
hold, so that a format that was misread shows before anybody plans with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.architecture import Architecture, Setting
from costmodel.operations import Gemm, GroupedGemm
from costmodel.parameters import weight_bytes
from search.inputs.models.fields import ConfigError, shown
from search.inputs.models.load import (
    CONFIG,
    GENERATION,
    QUANTIZATION,
    beside,
    config_path,
    load_config_json,
    load_json,
)
from search.inputs.models.quantizers import spellings, tree_of
from search.inputs.models.reader import ReadModel, read_architecture
from search.inputs.models.stored import INDEX, by_module, tensors, total_size

DIFFERENCE = 0.01  # of a checkpoint's bytes: padding, buffers and scales that are not counted are far less
MODULE_DIFFERENCE = 1.3  # the nearest formats, FP8 and NVFP4, are 1.8 apart; zero points and indices of groups are 0.1


def read_checkpoint(
    path: str | Path,
    *,
    name: str | None = None,
    weights: str | None = None,
    kv_cache: str | None = None,
    text_only: bool = False,
) -> ReadModel:
    """The model in a folder or a config.json, compared with the files beside it; ``ReadModel.files`` says what was read
    from which. ``ConfigError`` in one line, also where they contradict each other by more than ``DIFFERENCE``."""
    config = load_config_json(path)
    found = config_path(path)
    called = name or str(path)
    files = [f"{found}: the architecture" + (", formats" if _says_formats(load_json(found, CONFIG)) else "")]
    other = beside(found, QUANTIZATION)
    if other is not None:
        files.append(f"{QUANTIZATION}: formats")
    files += _lengths(found)
    model = read_architecture(config, name=called, weights=weights, kv_cache=kv_cache, text_only=text_only)
    model = replace(model, assumptions=(*model.assumptions, *_only_by_name(found, called, config)))
    published: ReadModel | None = model
    if weights is not None or text_only:
        published = _whole(config, called, text_only)
    if published is None:
        files.append("bytes not compared: the towers are not counted")
    else:
        files += _compared(found, config, published.architecture)
    return replace(model, files=tuple(files))


def _whole(config: dict[str, Any], called: str, text_only: bool) -> ReadModel | None:
    """The model as its files hold it, towers and all; ``None`` where its language model alone can be read."""
    try:
        return read_architecture(config, name=called)
    except ConfigError:
        if text_only:
            return None
        raise


def checkpoint_files(path: str | Path) -> str:
    """What a checkpoint is read from, for a document: the config's path and the names of the files beside it."""
    found = config_path(path)
    names = [name for name in (QUANTIZATION, GENERATION, INDEX) if beside(found, name) is not None]
    return f"{found}" + (f", with {', '.join(names)} beside it" if names else "")


def _says_formats(config: dict[str, Any]) -> bool:
    text = config.get("text_config")
    places = [config, text] if isinstance(text, dict) else [config]
    keys = ("quantization_config", "compression_config", "quantization")
    return any(place.get(key) for place in places for key in keys)


_FORMAT = re.compile(r"nvfp4|mxfp4|(?<![a-z])fp[48]|int[48]|awq|gptq|w[48]a\d+|[48]-?bit|bnb", re.IGNORECASE)


def _only_by_name(found: Path, called: str, config: dict[str, Any]) -> list[str]:
    """A checkpoint that is called after a format and says nothing of it: older ones of ModelOpt keep their formats in
    a file of their own, which was left behind."""
    if _says_formats(config):
        return []
    own = found.parent.name if found.name == CONFIG else found.stem
    named = next((name for name in (own, called, str(config.get("_name_or_path", ""))) if _FORMAT.search(name)), None)
    if named is None:
        return []
    return [
        f"{shown(named)[1:-1]} is called after a number format, but nothing says which modules have it: read as bf16; "
        f"give the folder with its {QUANTIZATION}"
    ]


def _lengths(found: Path) -> list[str]:
    """generation_config.json: how long answers may get, and nothing else."""
    path = beside(found, GENERATION)
    if path is None:
        return []
    said = load_json(path, GENERATION)
    lengths = {key: said[key] for key in ("max_length", "max_new_tokens") if said.get(key) is not None}
    for key, value in lengths.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**9:
            raise ConfigError(f"{path}: {key} = {shown(value)} must be a number of tokens")
    listed = ", ".join(f"{key} {value}" for key, value in lengths.items())
    return [f"{GENERATION}: {listed or 'no lengths'}"]


def _compared(found: Path, config: dict[str, Any], model: Architecture) -> list[str]:
    """What the files hold against what the config makes; one line for each comparison that was made."""
    done = []
    index = total_size(found)
    if index is not None:
        done.append(_same_total(*index, config, model, "metadata.total_size"))
    sizes, complete = tensors(found)
    if sizes:
        if complete:
            done.append(_same_total(found.parent, sum(sizes.values()), config, model, "tensors of *.safetensors"))
        done.append(f"headers of *.safetensors: {_same_modules(found.parent, sizes, config, model)} modules compared")
    return done


def _same_total(path: Path, total: int, config: dict[str, Any], model: Architecture, what: str) -> str:
    """A checkpoint may hold vision and multi-token-prediction parts or not, the latter with an embedding and a head of
    its own, and a tied head once or twice: the nearest of these sums counts."""
    ours = min(_sums(config, model), key=lambda size: abs(size - total))
    difference = ours / total - 1
    if abs(difference) > DIFFERENCE:
        raise ConfigError(
            f"{path}: {what} = {total} bytes, but config and formats make {round(ours)} ({difference:+.1%}); "
            f"they may differ by {DIFFERENCE:.0%}"
        )
    return f"{path.name}: {what} {total:,} bytes, {difference:+.3%} by the config"


def _sums(config: dict[str, Any], model: Architecture) -> Iterator[float]:
    held = weight_bytes(model)
    text = config.get("text_config")
    dtypes = [p.get(k) for p in (config, text if isinstance(text, dict) else {}) for k in ("dtype", "torch_dtype")]
    wide = 2.0 if "float32" in dtypes else 1.0
    language = sum(size * (wide if name == "bf16" else 1.0) for name, size in held.items())
    table = 2.0 * wide * model.vocabulary * model.hidden
    stored = model.quantization.default.bytes_per_element
    beside = {0.0, _beside_integers(config, model)}
    for mtp in {0.0, 2.0 * model.mtp_parameters, stored * model.mtp_parameters}:
        for vision in {0.0, 2.0 * wide * model.vision_parameters}:
            for tables in (0, 1, 2) if mtp or model.tied_embeddings else (0,):
                for extra in beside:
                    yield language + mtp + vision + tables * table + extra


def _beside_integers(config: dict[str, Any], model: Architecture) -> float:
    """Bytes that files with whole numbers may hold and engines drop: zero points of symmetric weights, and GPTQ's int32
    group of every row (``qzeros`` and ``g_idx``; AutoGPTQ/auto_gptq/nn_modules/qlinear). Every matrix of one input
    has rows of its own."""
    tree = tree_of(str(config.get("model_type")))
    setting = Setting.single(model)
    total = 0.0
    for index, kind in enumerate(model.kinds):
        for operation in kind.operations(setting):
            if isinstance(operation, Gemm | GroupedGemm) and operation.format.name.startswith("int"):
                ways = spellings(tree, operation.name, kind)
                matrices = len(ways[0]) if ways else 1
                local = np.sum(operation.local) if isinstance(operation, GroupedGemm) else 1.0
                stored = operation.format
                zeros = np.sum(operation.weights) * stored.scale_bytes_per_element * stored.bits / 16
                rows = 4.0 * matrices * float(local) * float(np.sum(operation.k))
                total += model.sequence.count(index) * (float(zeros) + rows)
    return total


def _same_modules(folder: Path, sizes: dict[str, int], config: dict[str, Any], model: Architecture) -> int:
    """Each module's bytes in its files against those of its format; how many were compared."""
    held = by_module(sizes)
    text = config.get("text_config")
    tree = tree_of(str(config.get("model_type") or (text or {}).get("model_type")))
    setting = Setting.single(model)
    compared = 0
    kinds = model.kinds
    expected = [_expected(kind, setting) for kind in kinds]
    for number, index in enumerate(model.sequence):
        for operation, (ours, name) in expected[index].items():
            for way in spellings(tree, operation, kinds[index]):
                stored = [held.get((number, module)) for module in way]
                if all(stored):
                    compared += 1
                    total = sum(size for size in stored if size)
                    if not 1 / MODULE_DIFFERENCE < total / ours < MODULE_DIFFERENCE:
                        raise ConfigError(
                            f"{folder}: layers.{number}.{way[0]} ({operation}) holds {total} bytes, but its format "
                            f"{name} makes {round(ours)}"
                        )
                    break
    return compared


def _expected(kind: Any, setting: Setting) -> dict[str, tuple[float, str]]:
    """Bytes and format of each of a layer's matrices."""
    found: dict[str, tuple[float, str]] = {}
    for operation in kind.operations(setting):
        size = float(np.sum(np.asarray(operation.weight_bytes, dtype=float)))
        if size and (isinstance(operation, GroupedGemm) or hasattr(operation, "resident")):
            found[operation.name] = (size, operation.format.name)
    return found
