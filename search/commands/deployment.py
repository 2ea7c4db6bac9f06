"""Flags that say what served a benchmark's runs: their files do not."""

from __future__ import annotations

import argparse

from costmodel.engine import ENGINES
from search.base.errors import InputError
from search.evidence.measured.runs import Deployment

MOST_GPUS = 1_000_000
DEGREES = {
    "tp": "tensor parallel degree",
    "pp": "pipeline stages",
    "attn-dp": "attention groups that see different sequences",
    "ep": "expert parallel degree",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", choices=ENGINES, help="needed for JSON and JSONL")
    parser.add_argument("--model", help="catalog name; needed for JSON and JSONL")
    parser.add_argument("--hardware", help="catalog name; needed for JSON and JSONL")
    parser.add_argument("--precision", default="", help="of the weights: bf16, fp8, fp4; as published by default")
    parser.add_argument("--gpus", type=int, help="accelerators of the runs (default: tp x attn-dp x pp)")
    for name, meaning in DEGREES.items():
        parser.add_argument(f"--{name}", type=int, default=1, help=f"{meaning} of the runs (default: 1)")


def deployment(options: argparse.Namespace) -> Deployment | None:
    """What the flags say; ``None`` where they name no model, accelerator or engine. ``InputError`` names a flag."""
    if options.model is None or options.hardware is None or options.engine is None:
        return None
    for name in ("tp", "pp", "attn_dp", "ep"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}: {getattr(options, name)} is not allowed; give 1 or more")
    width = options.tp * options.attn_dp * options.pp
    gpus = width if options.gpus is None else options.gpus
    if gpus < 1 or gpus > MOST_GPUS or gpus % width:
        raise InputError(f"--gpus: {gpus} is not allowed; give a multiple of tp x attn-dp x pp = {width}")
    if (options.tp * options.attn_dp) % options.ep:
        raise InputError(f"--ep: {options.ep} is not allowed; give a divisor of tp x attn-dp")
    return Deployment(
        options.model, options.hardware, options.engine, "", options.precision, gpus,
        options.tp, options.pp, options.attn_dp, options.ep,
    )  # fmt: skip
