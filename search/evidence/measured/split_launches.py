"""Which launch script of the public InferenceX benchmark made a disaggregated row (``conf/split_launches.csv``).

Such rows name the width of an instance at most; the scripts say how many there are, how they are split, how many
sequences one runs at once and how many tokens are drafted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from search.base.paths import conf_dir
from search.evidence.measured.split_pools import PoolOfRow, PoolsOfRow
from search.inputs.models.catalog import plain

if TYPE_CHECKING:
    from search.evidence.measured.rows import Measurement

FILE = "split_launches.csv"
# By the name in the file: beginnings of models' plain names. DeepSeek-R1 and -V3 are one architecture.
MODELS = {"deepseek": ("deepseekr1", "deepseekv3"), "kimi": ("kimik2",), "gptoss": ("gptoss120b",)}


@dataclass(frozen=True)
class Launch:
    """One script. ``pools`` with the seats, drafts and tokens that it sets, run at the numbers ``in_flight``."""

    model: str
    engine: str
    system: str
    precision: str
    nominal: tuple[int, int]
    in_flight: tuple[float, ...]
    pools: PoolsOfRow
    since: str
    before: str

    def made(self, m: Measurement) -> bool:
        """True if the row may be of this script."""
        return (
            _setting(m) == (self.model, self.engine, self.system, self.precision, self.nominal)
            and m.concurrency in self.in_flight
            and m.date >= self.since
            and (not self.before or m.date < self.before)
        )

    @property
    def crowd(self) -> tuple[bool, float]:
        """Orders scripts by the time of a token: drafts first, then by sequences of an attention group."""
        decode = self.pools.decode
        each = max(self.in_flight) / (decode.workers or 1)
        return (not self.pools.drafts, min(each, self.pools.seats or each) / decode.attn_dp)


@cache
def launches() -> tuple[Launch, ...]:
    """All of the file."""
    text = (conf_dir() / FILE).read_text(encoding="utf-8")
    return tuple(_launch(row) for row in csv.DictReader(x for x in text.splitlines() if not x.startswith("#")))


def _launch(row: dict[str, str]) -> Launch:
    def number(name: str) -> int | None:
        return int(row[name]) if row[name] else None

    pools = PoolsOfRow(
        _pool(row["prefill"]), _pool(row["decode"]), seats=number("seats"), drafts=number("drafts") or 0,
        tokens=number("tokens"),
    )  # fmt: skip
    return Launch(
        row["model"], row["engine"], row["system"], row["precision"], (int(row["prompt"]), int(row["answer"])),
        tuple(float(n) for n in row["in_flight"].split()), pools, row["since"], row["before"],
    )  # fmt: skip


def _pool(text: str) -> PoolOfRow:
    """``9 tep8``: instances and their layout."""
    found = re.fullmatch(r"(\d+) (tep|tp|dep|dp)(\d+)", text)
    assert found is not None, text
    workers, kind, width = int(found[1]), found[2], int(found[3])
    tp, attn_dp = (1, width) if "d" in kind else (width, 1)
    return PoolOfRow(workers, tp, 1, attn_dp, width if "e" in kind else 1, None)


def with_launches(rows: Sequence[Measurement]) -> list[Measurement]:
    """Rows with the pools of the scripts that made them. Those that state counts ran without drafts: each takes the
    script with these counts. The others of a setting and day share the scripts that are left (``_shared``)."""
    found = list(rows)
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, m in enumerate(rows):
        if m.pools is not None and m.drawn:
            groups.setdefault((*_setting(m), m.concurrency, m.date), []).append(i)
    for members in groups.values():
        left = [script for script in launches() if script.made(rows[members[0]])]
        stated = {i: script for i in members if (script := _stated(rows[i], left)) is not None}
        left = [script for script in left if script not in stated.values()]
        shared = _shared([(i, rows[i]) for i in members if not _counted(rows[i])], left)
        for i, script in (stated | shared).items():
            found[i] = _by(rows[i], script)
    return found


def _setting(m: Measurement) -> tuple[object, ...]:
    name = plain(m.model.rsplit("/", 1)[-1])
    model = next((key for key, starts in MODELS.items() if name.startswith(starts)), "")
    return (model, m.engine, m.system, m.precision, m.nominal)


def _counted(m: Measurement) -> bool:
    return m.pools is not None and m.pools.counted


def _stated(m: Measurement, scripts: Sequence[Launch]) -> Launch | None:
    """The script without drafts with the row's instances, and of several the one that splits prompts most like it:
    rows of one script name either split of its prefill pool on different days."""
    if m.pools is None or not m.pools.counted:
        return None
    first, second = m.pools.prefill, replace(m.pools.decode, batch=None)
    fits = [
        s
        for s in scripts
        if not s.pools.drafts
        and s.pools.decode == second
        and (s.pools.prefill.workers, s.pools.prefill.gpus) == (first.workers, first.gpus)
    ]
    return max(
        fits, key=lambda s: (s.pools.prefill.attn_dp == first.attn_dp) + (s.pools.prefill.ep == first.ep), default=None
    )


def _shared(rows: Sequence[tuple[int, Measurement]], scripts: Sequence[Launch]) -> dict[int, Launch]:
    """As many rows as scripts of one shape (widths of the instances, ep of those that prefill, where it tells them
    apart) go by the time of a token: drafts first, then fewer sequences of a group. None where their numbers differ."""
    shapes: dict[tuple[Launch, ...], list[tuple[float, int]]] = {}
    for i, m in rows:
        if m.pools is None or m.tpot_s is None:
            continue
        first, second = m.pools.prefill, m.pools.decode
        wide = [s for s in scripts if (s.pools.prefill.gpus, s.pools.decode.gpus) == (first.gpus, second.gpus)]
        same = [s for s in wide if s.pools.prefill.ep == first.ep]
        shapes.setdefault(tuple(same or wide), []).append((m.tpot_s, i))
    found: dict[int, Launch] = {}
    for fits, members in shapes.items():
        if len(fits) == len(members):
            ordered = zip(sorted(members), sorted(fits, key=lambda s: s.crowd), strict=True)
            found |= {i: script for (_, i), script in ordered}
    return found


def _by(m: Measurement, script: Launch) -> Measurement:
    """The row as the script launched it."""
    assert m.pools is not None
    drafted = f", {script.pools.drafts} drafts" if script.pools.drafts else ""
    known = f"{m.pools.inferred}; " if m.pools.copied else ""
    note = f"{known}instances, layouts and seats are those of a launch script of the benchmark{drafted}"
    return m.with_pools(replace(script.pools, inferred=note, copied=m.pools.copied))
