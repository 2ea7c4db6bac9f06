"""Rows of measurements, in either of two schemas, as one kind of record (docs/fidelity.md lists the columns)."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from search.base.errors import InputError
from search.evidence.measured.split_launches import with_launches
from search.evidence.measured.split_pools import PoolsOfRow, pools_of, with_counts
from search.inputs.bounded_file import read_bounded

MAX_BYTES = 60_000_000
MOST_ROWS = 100_000  # minutes of predictions
SILICON = {"row", "ttft_ms", "tpot_ms", "concurrency", "mode"}
PUBLISHED = {"id", "regime", "hw", "weight_dtype"}
NEEDED = {
    "row": ("model", "system", "engine", "precision", "isl", "osl", "gpus"),
    "id": ("model", "engine", "isl", "osl", "n_gpus"),
}
COUNTS = ("isl", "osl", "concurrency", "gpus", "n_gpus", "tp", "pp", "ep", "attn_dp", "moe_tp")
# By column, latencies without the statistic behind their unit: zero is what sources write for "not measured".
RANGES = dict.fromkeys(
    (*COUNTS, "ttft", "tpot", "itl", "output_tok_s_total", "output_tok_s_per_gpu"), (0.0, 1000000000.0)
)
REALISED = 0.9  # of nominal lengths: InferenceX draws them uniformly between 0.8 and 1.0 of the nominal
SPREAD = 0.2 / REALISED  # of such lengths: the longest less the shortest, over the mean


@dataclass(frozen=True)
class Measurement:
    """One run. Lengths are realised means in tokens; ``concurrency`` sequences in flight over the deployment, ``None``
    where all requests are queued at once; layout degrees are ``None`` where the source does not print them. Measured
    figures are ``None`` where there are none. ``printed``: from somebody's table, not from a log. ``drawn`` is True
    for lengths drawn at random, as the InferenceX benchmark does; ``date`` of the run; ``requests`` in all, where
    known, and ``waves`` of them over the concurrency; ``problem`` that keeps it from being predicted; ``pools`` of a
    disaggregated run."""

    id: str
    model: str
    system: str
    engine: str
    version: str
    precision: str
    kv_precision: str
    regime: str
    isl: float
    osl: float
    nominal: tuple[int, int]
    drawn: bool
    concurrency: float | None
    gpus: int
    tp: int | None
    pp: int
    attn_dp: int | None
    ep: int | None
    moe_tp: int | None
    ttft_s: float | None
    tpot_s: float | None
    tokens_per_s_per_gpu: float | None
    note: str = ""
    waves: float | None = None
    requests: float | None = None
    printed: bool = False
    date: str = ""
    problem: str = ""
    pools: PoolsOfRow | None = None

    @property
    def family(self) -> tuple[str, str, str]:
        """Model, system and engine: what is left out together."""
        return (self.model, self.system, self.engine)

    @property
    def varied(self) -> bool:
        """True where requests differ in length: they were drawn, or their mean is no whole number of tokens."""
        return self.drawn or self.isl % 1 > 0 or self.osl % 1 > 0

    @property
    def together(self) -> bool:
        """True for a sweep over powers of two, whose runs begin with all requests at once. The logs' other runs of
        fixed length (thousands of tokens, 40 or 112 in flight) look for the highest load that keeps a limit, and their
        times to first token show nothing of a burst; of printed tables it is not known."""
        power = self.concurrency is not None and math.log2(max(self.concurrency, 1.0)) % 1.0 == 0.0
        return not self.printed and not self.varied and power and self.isl % 128 == 0

    def with_pools(self, pools: PoolsOfRow) -> Measurement:
        """The row with the pools that made it, and the throughput of all their accelerators."""
        speed = None
        if self.concurrency and pools.gpus and self.ttft_s is not None and self.tpot_s is not None:
            speed = self.concurrency * self.osl / (self.ttft_s + (self.osl - 1) * self.tpot_s) / pools.gpus
        return replace(self, pools=pools, gpus=pools.gpus, tokens_per_s_per_gpu=speed, note=pools.inferred)

    @property
    def setting(self) -> tuple[object, ...]:
        """What layouts are compared within."""
        return (*self.family, self.precision, self.nominal)


def read_rows(path: Path) -> list[Measurement]:
    """Read a file of either schema, told apart by its columns; ``InputError`` for anything else."""
    try:
        text = read_bounded(path, MAX_BYTES, "a file of measurements").decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        names = list(reader.fieldnames or [])
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    if len(rows) > MOST_ROWS:
        raise InputError(f"{path}: {len(rows)} rows; at most {MOST_ROWS} are allowed")
    if not rows:
        raise InputError(f"{path}: holds no row")
    header = set(names)
    if len(header) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: column {double!r} is given twice")
    for needed, key, read in ((SILICON, "row", _silicon), (PUBLISHED, "id", _published)):
        if needed <= header:
            missing = sorted({*NEEDED[key]} - header)
            if missing:
                raise InputError(f"{path}: column {missing[0]!r} is missing")
            read_of = [_read(path, number, row, read) for number, row in enumerate(rows, 2)]
            return with_counts(with_launches(with_counts(read_of)))
    raise InputError(
        f"{path}: neither the columns of silicon_dev.csv (row, mode, ...) nor of published_dev.csv (id, ...)"
    )


def _read(path: Path, number: int, row: dict[str, str], read: Callable[[dict[str, str]], Measurement]) -> Measurement:
    """One row; a figure or a count that none can be is its ``problem``, and stops no other row."""
    if None in row:
        raise InputError(f"{path}: line {number}: has more cells than the header")
    return replace(read(row), problem=_problem(row))


def _problem(row: dict[str, str]) -> str:
    for name, text in row.items():
        least, most = RANGES.get(name.partition("_ms")[0] if "_ms" in name else name, (None, 0.0))
        if least is None:
            continue
        try:
            value = float(text)
        except (TypeError, ValueError):  # a row that is cut short; words where a source has no number
            continue
        if math.isfinite(value) and not least <= value <= most:
            return f"{name} = {text[:40]} is not allowed; give {least:g} to {most:g}"
    return ""


def _float(row: dict[str, str], *names: str) -> float | None:
    """The first of some columns that holds a number."""
    for name in names:
        text = (row.get(name) or "").strip()
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    return None


def _int(row: dict[str, str], name: str) -> int | None:
    value = _float(row, name)
    return None if value is None else int(value)


def _milli(value: float | None) -> float | None:
    return None if value is None else value / 1e3


def _silicon(row: dict[str, str]) -> Measurement:
    # Curated rows repeat InferenceX's to the second decimal (tests/search/evidence/measured/test_recipes.py).
    drawn = row.get("origin") in ("inferencex", "curated")
    factor = REALISED if drawn else 1.0
    isl, osl = _float(row, "isl") or 0.0, _float(row, "osl") or 0.0
    ttft, tpot = _milli(_float(row, "ttft_ms")), _milli(_float(row, "tpot_ms"))
    concurrency, gpus = _float(row, "concurrency"), _int(row, "gpus") or 0
    tp, attn_dp, moe_tp, ep = (_int(row, n) for n in ("tp", "attn_dp", "moe_tp", "ep"))
    pp = _int(row, "pp") or 1
    note = ""
    experts_width = (moe_tp or 1) * (ep or 1)
    if tp and attn_dp and experts_width != tp * attn_dp and experts_width % tp == 0:
        # tp 1 with moe_tp 2 cannot be one GPU: the attention is copied as often as it takes to fill the stage.
        attn_dp, gpus = experts_width // tp, experts_width * pp
        note = "layout contradicts itself; attn_dp inferred from moe_tp and ep"
    if row.get("origin") == "inferencex" and tp and ep and ep > 1 and (moe_tp, tp) == (ep, ep * ep):
        # The benchmark asks for an ep of 1 or of tp: tp 4 with an ep of 2 is its tp 2, multiplied once too often. Its
        # rows repeat the figures of tp 2, not those of tp 4.
        tp, moe_tp, gpus = ep, 1, gpus // ep
        note = "tp counted twice in the source"
    pools = pools_of(row) if row["mode"] == "disagg" else None
    if pools is not None and pools.counted:
        gpus = pools.gpus
    speed = None
    if ttft is not None and tpot is not None and concurrency and gpus:
        took = ttft + (osl * factor - 1) * tpot
        speed = concurrency * osl * factor / took / gpus if took > 0 else None
    return Measurement(
        id=row["row"], model=row["model"], system=row["system"], engine=row["engine"],
        version=row.get("engine_version") or "", precision=row["precision"],
        kv_precision="", regime="disaggregated" if row["mode"] == "disagg" else "closed_loop_fixed_conc",
        isl=isl * factor, osl=osl * factor, nominal=(int(isl), int(osl)), drawn=drawn, concurrency=concurrency,
        gpus=gpus, tp=tp, pp=pp, attn_dp=attn_dp, ep=ep, moe_tp=moe_tp,
        ttft_s=ttft, tpot_s=tpot, tokens_per_s_per_gpu=speed, note=note,
        date=row.get("measured_on") or "", pools=pools,
    )  # fmt: skip


def _published(row: dict[str, str]) -> Measurement:
    drawn = "InferenceX" in row.get("source", "")
    factor = REALISED if drawn else 1.0
    isl, osl = _float(row, "isl") or 0.0, _float(row, "osl") or 0.0
    gpus = _int(row, "n_gpus") or 0
    total = _float(row, "output_tok_s_total")
    speed = _float(row, "output_tok_s_per_gpu")
    if speed is None and total is not None and gpus:
        speed = total / gpus
    concurrency, requests = _float(row, "concurrency"), _requests(row.get("notes") or "")
    return Measurement(
        id=row["id"], model=row["model"], system=row["hw"], engine=row["engine"],
        version=row.get("engine_version") or "", precision=row.get("weight_dtype") or "",
        kv_precision=row.get("kv_dtype") or "",
        regime="disaggregated" if row.get("disagg") == "yes" else row["regime"],
        isl=isl * factor, osl=osl * factor, nominal=(int(isl), int(osl)), drawn=drawn,
        concurrency=concurrency, gpus=gpus, tp=_int(row, "tp"), pp=_int(row, "pp") or 1,
        attn_dp=_int(row, "attn_dp"), ep=_int(row, "ep"), moe_tp=None,
        ttft_s=_milli(_float(row, "ttft_ms_mean", "ttft_ms_median")),
        tpot_s=_milli(_float(row, "tpot_ms_mean", "itl_ms_mean", "tpot_ms_median")),
        tokens_per_s_per_gpu=speed,
        printed=True, date=row.get("date") or "",
        note="speculative decoding" if (row.get("spec_decode") or "none") not in ("none", "no", "") else "",
        requests=requests, waves=max(requests / concurrency, 1.0) if requests and concurrency else None,
    )  # fmt: skip


def _requests(notes: str) -> float | None:
    """How many requests a run sent, which the notes hold where the source says it."""
    found = re.search(r"n_requests=(\d+(?:\.\d+)?)(?![\d.])|(\d+) fixed-length requests|num prompts (\d+)", notes)
    return float(next(text for text in found.groups() if text)) if found else None
