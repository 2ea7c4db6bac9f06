"""The command line of ``servefront measure``, checked before anything is opened or run."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from search.base.errors import InputError
from search.base.whole_file import usable_out
from search.commands.measure.device import KINDS

DTYPES = ("bf16", "fp16", "fp32", "fp8", "int8")
PEAKS = ("bf16", "fp32", "fp8", "int8", "fp4")


@dataclass(frozen=True)
class Options:
    """``dtypes`` None: those that the device has. ``peaks`` FLOP/s by compute dtype, ``bandwidth`` and ``link``
    bytes/s, where the user states them."""

    device: str
    name: str
    law: Path | None
    hardware: Path | None
    folder: Path | None
    timings: Path | None
    quick: bool
    dtypes: tuple[str, ...] | None
    half: str
    ranks: int
    peaks: dict[str, float]
    bandwidth: float | None
    link: float | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"measure: {message}")


def parse(argv: Sequence[str]) -> Options:
    """The options; ``InputError`` in one line for whatever cannot be used."""
    given = _parser().parse_args(argv)
    law, hardware, folder, timings = given.out, given.hardware_out, given.law_out, given.timings
    if not (law or folder or timings or hardware):
        raise InputError(
            "measure: nothing to write; give --out FILE.yaml (the law), --law-out FOLDER or --timings FILE"
        )
    for flag, path in (("--out", law), ("--hardware-out", hardware), ("--timings", timings)):
        wanted = (".csv",) if flag == "--timings" else (".yaml", ".yml")
        if path and path.suffix not in wanted:
            raise InputError(f"{flag}: {path} is not allowed; the name ends in {wanted[0]}")
        if path and path.is_dir():
            raise InputError(f"{flag}: {path} is a folder; give a file")
        _writable(flag, path)
        _new(flag, path)
    if folder and folder.exists() and not folder.is_dir():
        raise InputError(f"--law-out: {folder} is not a folder")
    _writable("--law-out", folder)
    name = given.name or (law.stem if law else f"measured_{given.device}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name in ("flat", "class_default"):
        raise InputError(f"--name: {name!r} is not allowed; letters, digits, _, - and . (and not flat, class_default)")
    if law and law.stem != name:
        raise InputError(f"--name: {name!r} is not the name of {law}; the planner finds a law by its file's name")
    if not 0 <= given.ranks <= 64 or given.ranks == 1:
        raise InputError(f"--ranks: {given.ranks} is not allowed; 0 (no collectives) or 2 to 64")
    for group in ("law", "hardware", "cluster"):
        _new("--law-out", folder / group / f"{name}.yaml" if folder else None)
    dtypes = _dtypes(given.dtypes) if given.dtypes else None
    half = "fp16" if dtypes and "fp16" in dtypes else "bf16"
    if dtypes:  # fp16 counts as bf16 from here on, as in the planner
        dtypes = tuple(dict.fromkeys("bf16" if d == "fp16" else d for d in dtypes))
    peaks = _peaks(given.peaks) if given.peaks else {}
    for flag, value in (("--bandwidth", given.bandwidth), ("--link", given.link)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{flag}: {value} is not allowed; bytes a second above 0")
    return Options(
        given.device, name, law, hardware, folder, timings, given.quick, dtypes, half, given.ranks, peaks,
        given.bandwidth, given.link,
    )  # fmt: skip


def _writable(flag: str, path: Path | None) -> None:
    """Refuse now what could not be written after minutes of measuring."""
    if path is None:
        return
    nearest = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    folder = nearest if nearest.is_dir() or nearest != path.absolute() else nearest.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{flag}: {path} cannot be written, {folder} is no folder that takes files")


def _new(flag: str, path: Path | None) -> None:
    """Refuse a file that is there; folders that are not there are made."""
    if path is not None and path.parent.is_dir():
        usable_out(flag, path, new=True)


def _dtypes(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in DTYPES:
            raise InputError(f"--dtypes: {name!r} is not allowed; give some of {', '.join(DTYPES)}")
    if len({"bf16", "fp16"} & set(names)) != 1:
        raise InputError(f"--dtypes: {text} is not allowed; one of bf16 and fp16 must be in it, the base of the law")
    return names


def _peaks(text: str) -> dict[str, float]:
    peaks: dict[str, float] = {}
    for part in text.split(","):
        dtype, _, number = part.partition("=")
        dtype = "bf16" if dtype.strip() == "fp16" else dtype.strip()
        if dtype not in PEAKS:
            raise InputError(f"--peaks: {dtype!r} is not allowed; give some of {', '.join(PEAKS)}, as bf16=989e12")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"--peaks: {part.strip()!r} is not allowed; dense FLOP/s above 0, as bf16=989e12")
        peaks[dtype] = value
    return peaks


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="servefront measure",
        description="Measure this machine's accelerator with PyTorch and write the constants that the planner reads "
        "(docs/measure.md).",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--device", choices=KINDS, default="cuda", help="kind of accelerator (default: cuda, which is NVIDIA and AMD)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE.yaml", help="write the law; the file's name is the law's name"
    )
    parser.add_argument("--law-out", type=Path, metavar="FOLDER",
                        help="fill a configuration folder: law/NAME.yaml, hardware/NAME.yaml and, with ranks, "
                        "cluster/NAME.yaml in it")  # fmt: skip
    parser.add_argument("--hardware-out", type=Path, metavar="FILE.yaml", help="write the accelerator alone")
    parser.add_argument("--timings", type=Path, metavar="FILE.csv", help="write every timing")
    parser.add_argument("--name", help="name of the law (default: of --out, else measured_DEVICE)")
    parser.add_argument("--quick", action="store_true", help="a small grid, seconds instead of minutes")
    parser.add_argument("--dtypes", metavar="bf16,fp8", help=f"some of {', '.join(DTYPES)} (default: what is there)")
    parser.add_argument("--ranks", type=int, default=0, help="processes, one an accelerator, that time collectives")
    parser.add_argument("--peaks", metavar="bf16=989e12,...", help="the datasheet's dense FLOP/s (default: measured)")
    parser.add_argument("--bandwidth", type=float, metavar="3.35e12",
                        help="the datasheet's bytes/s of memory (default: measured)")  # fmt: skip
    parser.add_argument("--link", type=float, metavar="450e9",
                        help="bytes/s of one accelerator in one direction, all links (default: measured)")  # fmt: skip
    return parser
