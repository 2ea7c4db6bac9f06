"""Models as start logs name them: those of the catalog, near relatives of them, and ``conf/models_of_logs.yaml``."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from costmodel.architecture import Architecture, LayerRun, Quantization
from costmodel.blocks.delta_net import GatedDeltaNet
from costmodel.blocks.mla import LatentAttention
from costmodel.blocks.moe import MoeFfn
from costmodel.blocks.residual import HyperConnections
from costmodel.formats import BF16, FORMATS, WeightFormat
from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.catalog_yaml import data
from search.inputs.models import ConfigError, load_config_json, read_architecture
from search.inputs.models.catalog import find_model, load_entry, plain

# Parts of a name that say how a checkpoint was tuned or stored, not what it is.
SUFFIXES = (
    "instruct", "it", "chat", "base", "hf", "fp8", "fp16", "bf16", "awq", "gptq", "int4", "int8", "4bit", "8bit",
    "w4a16",
    "nvfp4", "mxfp4", "fp4", "gguf", "q8_0", "q4_k_m", "autoround", "dynamic", "quantized", "2501", "2503", "2506",
    "2507", "2508", "2512", "0528", "0324", "0731", "qat", "bnb", "unsloth", "thinking", "exl3", "marlin", "block",
    "w4a4", "w8a8", "w8a16", "int3", "g32", "g128", "gs128", "group", "mixed", "modelopt", "compressed", "tensors",
    "torchao", "turbo", "sehyo", "autofp8", "redhat", "preview", "text", "only", "reap", "mtp", "eagle3", "dflash",
    "dflash2", "dspark", "6bit", "3bit", "2bit", "q4_0", "q5_k_m", "q6_k", "q4", "q8", "smoothquant", "asym",
    "sym", "heretic", "abliterated", "uncensored", "2410", "2411", "2407", "2409", "2505", "2509", "2510", "2511",
    "2601", "2602", "2603", "bnb-4bit", "nf4", "official", "original", "published", "release", "marlin24",
)  # fmt: skip
AWQ_32 = FORMATS["int4"].grouped(2.0, 32)  # llm-compressor's, symmetric, in the groups that experts' widths ask for
AWQ = FORMATS["int4"].grouped(2.5, 128)  # a bf16 scale and a four-bit zero point for 128 elements
GGUF_Q8 = replace(FORMATS["int8"], scale_bytes_per_element=2 / 32)  # one half a block of 32 (llama.cpp, Q8_0)


def architecture_of(name: str, weights: str, folder: Path | None) -> Architecture:
    """The model in the format that ``weights`` (as printed) says; ``InputError`` for one that is not known."""
    stored = _format(weights, name)
    forms = _spellings(name)
    try:
        return _in_format(_find(forms, folder, None if stored is None else stored.name), stored, name, weights.lower())
    except ConfigError as error:
        raise InputError(f"model {name!r}: {error}") from error


def _spellings(name: str) -> list[str]:
    """The name as printed, then without its quantiser's and tuner's suffixes, one after the other."""
    named = re.sub(r"[-_.]quantized[-_.]", "-", name.split(" + ")[0].rstrip("/ "))  # a drafter is named beside
    cached = re.search(r"models--(.+?)--(.+?)(?:/|$)", named)  # a path in Hugging Face's cache
    named = f"{cached[1]}/{cached[2]}" if cached else named
    short = re.sub(r"\(.*?\)", "", named).strip().rsplit("/", 1)[-1].split(" ")[0].removesuffix(".gguf")
    words = re.sub(r"\(.*?\)|'.*?'", "", named).strip().rsplit("/", 1)[-1].split()
    quoted = re.findall(r"'([^']+)'", named)
    forms = [name, named, short]
    for whole in ("-".join(words), *quoted):
        forms += _shorter(whole)
    return list(dict.fromkeys([*forms, *_shorter(short)]))


def _shorter(short: str) -> list[str]:
    """The name, and without one suffix after another."""
    forms = [short]
    while True:
        head, dash, tail = short.rpartition("-")
        if not dash or tail.lower() not in SUFFIXES:
            return forms
        short = head
        forms.append(short)


@cache
def _listed() -> dict[str, dict[str, Any]]:
    loaded: Any = data(conf_dir() / "models_of_logs.yaml")
    return {plain(name): entry for name, entry in loaded["models"].items()}


def _find(forms: list[str], folder: Path | None, wanted: str | None) -> Architecture:
    for form in forms:
        if folder is not None:
            for path in sorted(folder.glob("*.json")):
                if plain(path.stem) in (plain(form), plain(form.replace("/", "--"))):
                    return read_architecture(load_config_json(path), name=form).architecture
    for form in forms:
        try:
            return _catalog(find_model(form))
        except ConfigError:
            if plain(form) in _listed():
                return _entry(plain(form))
    raise ConfigError("is not known; give its config.json in --models FOLDER")


def encoder_bytes_of(name: str) -> float | None:
    """The peak of the model's vision encoder in a profile run, where the list of models has it."""
    entries = [_listed()[plain(form)] for form in _spellings(name) if plain(form) in _listed()]
    return float(entries[0]["encoder_bytes"]) if entries and "encoder_bytes" in entries[0] else None


def _catalog(option: str) -> Architecture:
    entry = load_entry(option)
    return read_architecture(
        entry["published"], name=entry["name"], weights=entry["weights"], kv_cache=entry["kv_cache"]
    ).architecture


@cache
def _entry(key: str) -> Architecture:
    entry = _listed()[key]
    if "own" in entry:
        base = _entry(plain(entry["own"]))
    elif "like" in entry:
        base = _catalog(entry["like"])
    else:
        base = read_architecture(entry["published"], name=key).architecture
    base = replace(base, vision_parameters=entry.get("vision", base.vision_parameters))
    return _streamed(_changed(base, entry.get("experts"), entry.get("indexers")), entry.get("streams"))


def _streamed(model: Architecture, streams: int | None) -> Architecture:
    """With so many residual streams, and latents whose rotary part is no more than the rest of a head's query."""
    if streams is None:
        return model
    runs = []
    for run in model.runs:
        mixer = run.layer.mixer
        if isinstance(mixer, LatentAttention):
            mixer = replace(mixer, nope_dim=mixer.nope_dim + mixer.rope_dim, rope_dim=0)
        runs.append(replace(run, layer=replace(run.layer, mixer=mixer, residual=HyperConnections(streams))))
    return replace(model, runs=tuple(runs))


def table_bytes_of(name: str) -> float:
    """A table of embeddings a layer, which an engine may keep in host memory, where the list of models has one."""
    entries = [_listed()[plain(form)] for form in _spellings(name) if plain(form) in _listed()]
    return float(entries[0].get("table", 0.0)) if entries else 0.0


def whole_bytes_of(name: str) -> float:
    """Bytes of parameters in bf16 that every rank holds whole, beside those that the architecture counts."""
    entries = [_listed()[plain(form)] for form in _spellings(name) if plain(form) in _listed()]
    return float(entries[0].get("whole", 0)) * BF16.bytes_per_element if entries else 0.0


def _changed(model: Architecture, experts: int | None, indexers: int | None) -> Architecture:
    """With so many experts a layer, and an indexer in so many layers, whose choice the others share."""
    layers = []
    for n, kind in enumerate(model.kinds[i] for i in model.sequence):
        mixer, ffn = kind.mixer, kind.ffn
        if experts is not None and isinstance(ffn, MoeFfn):
            ffn = replace(ffn, experts=experts)
        if indexers is not None and n >= indexers and isinstance(mixer, LatentAttention):
            mixer = replace(mixer, indexer=None)
        layers.append(replace(kind, mixer=mixer, ffn=ffn))
    return replace(model, runs=tuple(LayerRun(layer, len(list(run))) for layer, run in groupby(layers)))


def _format(weights: str, name: str) -> WeightFormat | None:
    """The format of linear layers as printed; ``None``: the checkpoint's own."""
    text = f"{weights}".lower()
    for words, stored in (
        (("exl3", "exl2", "below fp4"), ""),
        (("deepseek_v4", "fp8/fp4"), None),
        (("q8_0",), GGUF_Q8),
        (("gguf", "bnb", "bitsandbytes"), ""),
        (("nvfp4",), FORMATS["nvfp4"]),
        (("mxfp4",), FORMATS["mxfp4"]),
        (("awq int4 (compressed", "awq (compressed"), AWQ_32),
        (("awq",), AWQ),
        (("int4", "w4a16", "gptq"), FORMATS["int4"]),
        (("int8", "w8a8"), FORMATS["int8"]),
        (("block",), FORMATS["fp8_block"]),
        (("fp8",), FORMATS["fp8"]),
        (("bf16", "fp16", "bfloat16", "float16"), BF16),
    ):
        if any(word in text for word in words):
            if isinstance(stored, str):
                raise InputError(f"weights {weights!r} of {name!r} are in a format that is not modelled")
            return stored
    return None


def _in_format(model: Architecture, stored: WeightFormat | None, name: str, weights: str) -> Architecture:
    """The checkpoint's own modules in the printed format where it is quantised already, else all linear layers."""
    own = model.quantization
    if stored is not None and stored.bits == 8 and own.default.bits == 8 and "fp8" in plain(name):
        modules = {m: own.default if f.bits == 4 else f for m, f in own.modules.items()}  # experts too
        return replace(model, quantization=replace(own, modules=modules))
    if stored is None or own.default.name == stored.name:
        return model
    if stored is BF16:
        return replace(model, quantization=Quantization())
    if own.default.bits == stored.bits == 4 or (own.default.bits == stored.bits == 8 and own.default is not BF16):
        return model if own.default.name in ("fp8_block", "mxfp4") or stored.bits == 8 else _swapped(model, stored)
    if stored is GGUF_Q8:
        return replace(model, quantization=Quantization(stored))  # its tables too
    return replace(model, quantization=Quantization.linear_layers(stored, **_left_out(model, stored, weights)))


def _left_out(model: Architecture, stored: WeightFormat, weights: str) -> dict[str, WeightFormat]:
    """Modules that quantisers to four bits store otherwise, by the kind of model, as lists of exclusions in released
    checkpoints say (``quantization_config`` of the catalog's entries in NVFP4, docs/memory.md)."""
    if stored.name == "nvfp4" and model.has_mixer(LatentAttention):  # NVIDIA's checkpoints of DeepSeek and GLM
        return {"attention": BF16, "shared": BF16, "ffn": BF16, **_linear(BF16)}
    if stored.name == "nvfp4" and model.has_mixer(GatedDeltaNet) and model.has_experts:  # experts alone
        return {"attention": BF16, "shared": BF16, **_linear(BF16)}
    if stored.name == "nvfp4" and model.has_mixer(GatedDeltaNet) and "modelopt" in weights:  # of Qwen3.6
        return {"attention": FORMATS["fp8"], "head": stored, **_linear(FORMATS["fp8"])}
    if stored.name == "nvfp4" and model.has_mixer(GatedDeltaNet):  # llm-compressor's recipes for such models
        return _linear(BF16)
    if stored.name == "nvfp4" and plain(model.name).startswith(("gemma4", "googlegemma4")):  # of Gemma 4
        return {"attention": BF16, **({"ffn": BF16, "shared": BF16} if model.has_experts else {})}
    if stored in (AWQ, AWQ_32) and model.has_experts:  # llm-compressor's recipes for experts
        return {"attention": BF16, "shared": BF16, "ffn": BF16, **_linear(BF16)}
    return {}


def _linear(stored: WeightFormat) -> dict[str, WeightFormat]:
    return dict.fromkeys(("linear_attention", "mamba"), stored)


def _swapped(model: Architecture, stored: WeightFormat) -> Architecture:
    own = model.quantization
    if stored.name == "int4":  # the checkpoint's own groups
        return model
    modules = {m: stored if f.bits == 4 else f for m, f in own.modules.items()}
    return replace(model, quantization=replace(own, default=stored, modules=modules))
