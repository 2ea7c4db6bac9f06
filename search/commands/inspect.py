"""``servefront inspect path/to/config.json``: what the reader made of a config, as text or JSON.

Exit 0, or 2 with one line if the config cannot be read exactly.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from costmodel import blocks
from costmodel.architecture import Architecture, Layer, Setting
from costmodel.formats import BF16, FORMATS
from costmodel.operations import Gemm, GroupedGemm
from costmodel.parameters import (
    active_parameters,
    kv_bytes_per_sequence,
    kv_bytes_per_token,
    parameters,
    state_bytes_per_sequence,
    weight_bytes,
)
from search.base.arguments import Parser
from search.base.errors import InputError
from search.inputs.models import ConfigError, ReadModel, find_model, read_architecture, read_checkpoint
from search.inputs.models.catalog import load_entry

CONTEXTS = (4096, 32_768, 131_072)  # lengths whose cache is shown: a window bounds the long ones

KINDS = {
    blocks.GroupedQueryAttention: "grouped-query attention",
    blocks.LatentAttention: "multi-head latent attention",
    blocks.GatedDeltaNet: "gated delta net",
    blocks.CompressedAttention: "compressed sparse attention",
    blocks.KimiDeltaAttention: "Kimi delta attention",
    blocks.LightningAttention: "lightning attention",
    blocks.Mamba1: "Mamba",
    blocks.Mamba2: "Mamba-2",
    blocks.ShortConvolution: "short convolution",
    blocks.ParallelMixers: "attention beside Mamba-2",
    blocks.DenseFfn: "dense FFN",
    blocks.MoeFfn: "mixture of experts",
}


def main(argv: list[str]) -> int:
    """Read, describe, print; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        model = read_model(options.model, options.weights, options.kv_cache, options.name, options.text_only)
        report = describe(model)
    except InputError as error:
        from search.commands.search import fail

        return fail(str(error), InputError.exit_code)
    print(json.dumps(report, indent=2) if options.json else text(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="servefront inspect", description="What the reader makes of a config.json.")
    parser.add_argument("model", help="a checkpoint's folder or config.json, else a catalog key, name or alias")
    parser.add_argument("--json", action="store_true", help="print JSON, sizes in bytes")
    known = ", ".join(FORMATS)
    parser.add_argument("--weights", metavar="FORMAT", help=f"cast linear layers to one of {known}")
    parser.add_argument("--kv-cache", metavar="FORMAT", help="keep the cache in this format, one of the same")
    parser.add_argument("--text-only", action="store_true", help="the language model alone: towers are not loaded")
    parser.add_argument("--name", help="what to call the model (default: the path, or the catalog's name)")
    return parser


def read_model(
    source: str,
    weights: str | None = None,
    kv_cache: str | None = None,
    name: str | None = None,
    text_only: bool = False,
) -> ReadModel:
    """A folder or a config.json where ``source`` is a path that exists, else the catalog's model. A format that is not
    given is the published one. ``ConfigError`` in one line."""
    path = Path(source)
    if path.exists() or path.suffix == ".json":
        return read_checkpoint(path, name=name or source, weights=weights, kv_cache=kv_cache, text_only=text_only)
    try:
        entry = load_entry(find_model(source))
    except ConfigError as error:
        raise ConfigError(f"{source}: there is no such file, and {error}") from None
    cast: Any = {
        "weights": weights or entry["weights"],
        "kv_cache": kv_cache or entry["kv_cache"],
        "text_only": text_only,
    }
    if entry["config"]:
        return read_checkpoint(entry["config"], name=name or entry["name"], **cast)
    return read_architecture(entry["published"], name=name or entry["name"], **cast)


def describe(model: ReadModel) -> dict[str, Any]:
    """The report as plain data; sizes are bytes."""
    architecture = model.architecture
    counts = {kind: architecture.sequence.count(i) for i, kind in enumerate(architecture.kinds)}
    return {
        "name": architecture.name,
        "hidden": architecture.hidden,
        "vocabulary": architecture.vocabulary,
        "tied_embeddings": architecture.tied_embeddings,
        "max_position": architecture.max_position,
        "layer_count": architecture.layer_count,
        "layers": [
            {"count": counts[kind], "mixer": _mixer(kind, architecture), "ffn": _block(kind.ffn)}
            for kind in architecture.kinds
        ],
        "parameters": parameters(architecture),
        "active_parameters": active_parameters(architecture),
        "vision_parameters": architecture.vision_parameters,
        "mtp_parameters": architecture.mtp_parameters,
        "weight_bytes": {name: round(size) for name, size in weight_bytes(architecture).items()},
        "vision_bytes": round(architecture.vision_parameters * BF16.bytes_per_element),
        "kv_format": architecture.kv_format.name,
        "kv_bytes_per_token": _whole(kv_bytes_per_token(architecture)),
        "kv_bytes_per_sequence": {str(n): _whole(kv_bytes_per_sequence(architecture, n)) for n in CONTEXTS},
        "state_bytes_per_sequence": _whole(state_bytes_per_sequence(architecture)),
        "formats": formats(architecture),
        "files": list(model.files),
        "assumptions": list(model.assumptions),
    }


def formats(architecture: Architecture) -> dict[str, dict[str, int]]:
    """Of each matrix the formats that it is stored in, and in how many layers."""
    setting = Setting.single(architecture)
    found: dict[str, dict[str, int]] = {}
    counts = [architecture.sequence.count(i) for i in range(len(architecture.kinds))]
    listed = [
        (count, op) for count, kind in zip(counts, architecture.kinds, strict=True) for op in kind.operations(setting)
    ]
    for count, op in [*listed, *((1, op) for op in architecture.head(setting))]:
        if isinstance(op, Gemm | GroupedGemm) and np.sum(op.weights):
            named = found.setdefault(op.name, {})
            named[op.format.name] = named.get(op.format.name, 0) + count
    return found


def _whole(size: Any) -> int | float:
    """Bytes as an integer where they are one (block scales of a cache may leave fractions)."""
    size = float(np.sum(size))
    return int(size) if size.is_integer() else size


def _mixer(layer: Layer, architecture: Architecture) -> dict[str, Any] | None:
    """The mixer and what one layer of it caches, in bytes."""
    described = _block(layer.mixer)
    if described is None or layer.mixer is None:
        return None
    setting = replace(Setting.single(architecture), kv_bytes=architecture.kv_format.bytes_per_element)
    return described | {
        "kv_bytes_per_token": _whole(layer.mixer.cache_bytes(setting, 1.0)),
        "state_bytes_per_sequence": _whole(layer.mixer.state_bytes(setting)),
    }


def _block(block: Any) -> dict[str, Any] | None:
    """A block's kind and those of its figures that are not the usual ones."""
    if block is None:
        return None
    return {"kind": KINDS.get(type(block), type(block).__name__)} | _figures(block)


def _figures(block: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields(block):
        value = getattr(block, field.name)
        if field.default is MISSING or value != field.default:
            found[field.name] = _figures(value) if hasattr(value, "__dataclass_fields__") else value
    return found


def text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        report["name"],
        f"  hidden {report['hidden']:,}, vocabulary {report['vocabulary']:,}, "
        f"{'tied' if report['tied_embeddings'] else 'separate'} embedding and head"
        + (f", {report['max_position']:,} positions" if report["max_position"] else ""),
        "",
        f"{report['layer_count']} layers",
    ]
    for layer in report["layers"]:
        lines += [
            f"  {layer['count']} x {_said(layer['mixer'])}",
            f"  {'':{len(str(layer['count']))}}   {_said(layer['ffn'])}",
        ]
    lines += ["", *(f"{label:<26}{report[key]:>22,}" for label, key in _COUNTS), "", "weights, bytes"]
    lines += [f"  {name:<24}{size:>22,}" for name, size in report["weight_bytes"].items()]
    if report["vision_bytes"]:
        lines.append(f"  {'vision, bf16':<24}{report['vision_bytes']:>22,}")
    total = sum(report["weight_bytes"].values()) + report["vision_bytes"]
    lines += [f"  {'all':<24}{total:>22,}", "", f"cache of a sequence in {report['kv_format']}, bytes"]
    lines.append(f"  {'a token':<24}{report['kv_bytes_per_token']:>22,}")
    lines += [f"  {int(n):>7,}{' tokens':<17}{size:>22,}" for n, size in report["kv_bytes_per_sequence"].items()]
    lines.append(f"  {'constant state':<24}{report['state_bytes_per_sequence']:>22,}")
    lines += ["", *_formats(report["formats"])]
    if report["files"]:
        lines += ["", "read", *(f"  - {line}" for line in report["files"])]
    lines += ["", "assumed" if report["assumptions"] else "nothing was assumed"]
    lines += [f"  - {assumption}" for assumption in report["assumptions"]]
    return "\n".join(_printable(line) for line in lines)


def _formats(found: dict[str, dict[str, int]]) -> list[str]:
    """A line for each format: the matrices that are stored in it, with the number of layers where some are not."""
    lines: dict[str, list[str]] = {}
    for module, counts in found.items():
        for name, count in counts.items():
            lines.setdefault(name, []).append(module if len(counts) == 1 else f"{module} in {count} layers")
    return ["matrices by format", *(f"  {name:<10} {', '.join(modules)}" for name, modules in lines.items())]


_COUNTS = (
    ("parameters", "parameters"),
    ("active parameters", "active_parameters"),
    ("vision parameters", "vision_parameters"),
    ("multi-token prediction", "mtp_parameters"),
)


def _said(block: dict[str, Any] | None) -> str:
    """``grouped-query attention: heads 64, kv heads 4, ...``."""
    if block is None:
        return "nothing"
    unshown = ("kind", "kv_bytes_per_token", "state_bytes_per_sequence")
    said = [_figure(name, value) for name, value in block.items() if name not in unshown and value is not None]
    for name, label in (("kv_bytes_per_token", "bytes a token"), ("state_bytes_per_sequence", "bytes a sequence")):
        if block.get(name):
            said.append(f"{block[name]:,} {label}")
    return f"{block['kind']}: {', '.join(said)}"


def _figure(name: str, value: Any) -> str:
    name = name.replace("_", " ")
    if isinstance(value, bool):
        return name if value else f"not {name}"
    if isinstance(value, dict):
        return f"{name} ({', '.join(_figure(k, v) for k, v in value.items())})"
    return f"{name} {value:,}" if isinstance(value, int | float) else f"{name} {value}"


def _printable(line: str) -> str:
    """Control characters of a config's strings are shown, not obeyed."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
