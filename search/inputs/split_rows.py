"""A run's ``split.csv`` read back: the split plan that somebody names."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from costmodel.drafts.drafter import KINDS
from costmodel.plans import Plans
from search.base.errors import InputError
from search.inputs.bounded_file import read_bounded
from search.inputs.checks import shown
from search.inputs.plan_reader import MOST_OF_AN_AXIS
from search.inputs.saved_run import SavedRun

FILE, WORD = "split.csv", "split"
MOST_BYTES = 60_000_000
DEGREES = ("gpus", "tp", "ep", "pp", "sp")


@dataclass(frozen=True)
class SplitRow:
    """One row: ``x`` instances that prefill, passes of ``budget`` tokens a group; ``y`` that decode ``decode.batch``
    sequences, with ``drafts`` of ``drafter`` (``none``: 0), each cache dealt over ``ranks``."""

    prefill: Plans
    x: int
    budget: int
    decode: Plans
    y: int
    drafter: str
    drafts: int
    ranks: int


def names_split(text: str) -> bool:
    """``split`` (the best) or ``split:3`` (the third row of ``split.csv``)."""
    return text == WORD or text.startswith(f"{WORD}:")


def named_split(run: SavedRun, text: str) -> tuple[SplitRow, str]:
    """The row, and what to call it."""
    path = run.folder / FILE
    if not path.is_file():
        raise InputError(f"--plan: {run.folder} has no {FILE}; search with space.serving=[aggregated,split]")
    try:
        found = csv.DictReader(io.StringIO(read_bounded(path, MOST_BYTES, "the front of split plans").decode("utf-8")))
        rows = list(found)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    number = text.partition(":")[2] or "1"
    if not (number.isascii() and number.isdigit() and len(number) <= 9 and 1 <= int(number) <= len(rows)):
        many = f"split:1 to split:{len(rows)}" if rows else "another run: it has no split plan that keeps its limits"
        raise InputError(f"--plan: {shown(text)} is not a row of {FILE}; give {many}")
    return _row(f"{path}: row {number}", rows[int(number) - 1]), f"row {int(number)} of {FILE}"


def _row(where: str, row: Mapping[str, str]) -> SplitRow:
    def whole(name: str, least: int = 1) -> int:
        text = row.get(name) or ""
        if not (text.isascii() and text.isdigit() and len(text) <= 8 and least <= int(text) <= MOST_OF_AN_AXIS):
            raise InputError(
                f"{where}: {name}: {shown(text)} is not allowed; give a whole number from {least} to {MOST_OF_AN_AXIS}"
            )
        return int(text)

    def plan(pool: str, batch: int) -> Plans:
        return Plans.of(**{axis: whole(f"{pool}_{axis}") for axis in DEGREES}, dp=1, batch=batch)

    drafter, drafts = row.get("decode_drafter") or "none", whole("decode_drafts", 0)
    if drafter not in ("none", *KINDS) or (drafter == "none") != (drafts == 0):
        raise InputError(
            f"{where}: decode_drafter: {shown(drafter)} with {drafts} drafts is not allowed; give none with 0, or one "
            f"of {', '.join(KINDS)} with at least 1"
        )
    return SplitRow(
        plan("prefill", 1), whole("prefill_instances"), whole("prefill_tokens"),
        plan("decode", whole("decode_batch")), whole("decode_instances"), drafter, drafts, whole("decode_cp"),
    )  # fmt: skip
