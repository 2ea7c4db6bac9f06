"""Rows of ``start_logs.csv``: how a server was started and what it logged."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from search.base.errors import InputError
from search.inputs.bounded_file import read_bounded

MAX_BYTES = 50_000_000
# What tells these files from measured runs, and is needed to predict.
NEEDED = ("id", "engine", "version", "gpu", "model", "dtype_quant", "mem_fraction_flag")
OPTIONAL = (
    "gpu_mem_gib", "num_gpus", "model_kind", "tp", "pp", "dp", "ep", "attention_dp", "max_model_len", "mem_fraction",
    "max_num_seqs", "max_num_batched_tokens", "kv_cache_dtype", "enforce_eager", "other_flags", "weights_gib",
    "available_kv_gib", "kv_tokens", "needed_kv_gib", "outcome",
)  # fmt: skip
MOST = 1e8


@dataclass(frozen=True)
class StartLog:
    """One start. Sizes in GiB (2^30) of one accelerator, ``nan`` or ``None`` where nothing was printed. What follows
    ``other_flags`` is what the log says; it is compared with, never predicted from."""

    id: str
    engine: str
    version: str
    gpu: str
    gpu_gib: float | None
    gpus: int | None
    model: str
    kind: str
    weights: str
    tp: int | None
    pp: int
    dp: int
    ep: bool
    attention_dp: bool
    length: int | None
    fraction: float | None
    sequences: int | None
    tokens: int | None
    cache_format: str
    eager: bool
    flags: str
    weights_gib: float
    cache_gib: float
    cache_tokens: float
    needed_gib: float
    outcome: str

    @property
    def started(self) -> bool | None:
        """Whether the server got as far as serving; ``None`` where the log does not say."""
        text = self.outcome.lower()
        if not text:
            return None
        return text.startswith("starts") or text.startswith("engine up")

    @property
    def family(self) -> tuple[str, str, str]:
        """Model, accelerator and engine."""
        return (self.model, self.gpu, self.engine)


def is_start_logs(path: Path) -> bool:
    """True if the file's header is that of start logs."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return set(NEEDED) <= set(header)


def read_start_logs(path: Path) -> list[StartLog]:
    """All rows; ``InputError`` in one line if the file cannot be used."""
    try:
        text = read_bounded(path, MAX_BYTES, "a file of start logs", InputError).decode("utf-8-sig")
        rows = list(csv.DictReader(text.splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file: {' '.join(str(error).split())}") from error
    if not rows:
        raise InputError(f"{path}: holds no row")
    missing = [name for name in NEEDED if name not in rows[0]]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing")
    found = [_row(path, n, row) for n, row in enumerate(rows, 2)]
    ids = [row.id for row in found]
    double = next((i for i in ids if ids.count(i) > 1), None)
    if double is not None:
        raise InputError(f"{path}: id {double!r} occurs more than once")
    return found


def _row(path: Path, line: int, row: dict[str, str]) -> StartLog:
    cells = {name: (row.get(name) or "").strip() for name in (*NEEDED, *OPTIONAL)}
    if not cells["id"]:
        raise InputError(f"{path}: line {line} has no id")

    def number(name: str) -> float | None:
        text = cells[name]
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise InputError(f"{path}: line {line}, {name}: {text!r} is not a number") from None
        if not math.isfinite(value) or abs(value) > MOST:
            raise InputError(f"{path}: line {line}, {name}: {text!r} is not within {-MOST:g} and {MOST:g}")
        return value

    def whole(name: str) -> int | None:
        value = number(name)
        if value is not None and (value < 1 or value != int(value)):
            raise InputError(f"{path}: line {line}, {name}: {cells[name]!r} is not a whole number from 1")
        return None if value is None else int(value)

    def printed(name: str) -> float:
        value = number(name)
        return math.nan if value is None else value

    weights_gib = printed("weights_gib")
    if weights_gib <= 0:
        raise InputError(f"{path}: line {line}, weights_gib: {cells['weights_gib']!r} is not above 0")
    fraction = number("mem_fraction")
    if fraction is not None and not 0 < fraction <= 1:
        raise InputError(f"{path}: line {line}, mem_fraction: {fraction} is not above 0 to 1")
    return StartLog(
        id=cells["id"],
        engine=cells["engine"],
        version=cells["version"],
        gpu=cells["gpu"],
        gpu_gib=number("gpu_mem_gib"),
        gpus=whole("num_gpus"),
        model=cells["model"],
        kind=cells["model_kind"],
        weights=cells["dtype_quant"],
        tp=whole("tp"),
        pp=whole("pp") or 1,
        dp=whole("dp") or 1,
        ep=cells["ep"].lower() not in ("", "no", "false", "1"),
        attention_dp=cells["attention_dp"].lower() in ("yes", "true"),
        length=whole("max_model_len"),
        fraction=fraction,
        sequences=whole("max_num_seqs"),
        tokens=whole("max_num_batched_tokens"),
        cache_format=cells["kv_cache_dtype"],
        eager=cells["enforce_eager"].lower() in ("true", "yes"),
        flags=cells["other_flags"],
        weights_gib=weights_gib,
        cache_gib=printed("available_kv_gib"),
        cache_tokens=printed("kv_tokens"),
        needed_gib=printed("needed_kv_gib"),
        outcome=cells["outcome"],
    )
