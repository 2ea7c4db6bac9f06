"""The two pools of a disaggregated run, as a row of ``silicon_dev.csv`` states them or as they are inferred."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from search.inputs.split.machines import POOLS

if TYPE_CHECKING:
    from search.evidence.measured.rows import Measurement

SAME_RUN = 0.001  # relative: two rows with such figures list one run
REPEATED = 0.03  # relative, of the TPOT: repeats of one configuration differ by 2 % (the data's own README)


@dataclass(frozen=True)
class PoolOfRow:
    """``workers`` instances (``None`` where the row does not say) of one layout, ``batch`` sequences of an attention
    group."""

    workers: int | None
    tp: int
    pp: int
    attn_dp: int
    ep: int | None
    batch: float | None

    @property
    def gpus(self) -> int:
        """Of one instance."""
        return self.tp * self.pp * self.attn_dp


@dataclass(frozen=True)
class PoolsOfRow:
    """Both. Of its launch script, where it is known: ``seats``, sequences that an instance decodes at most; ``drafts``
    of a sequence and step; ``tokens`` of an attention group's pass of prompts. ``copied`` from another row."""

    prefill: PoolOfRow
    decode: PoolOfRow
    inferred: str = ""  # how the counts were found, where the row does not state them
    seats: int | None = None
    drafts: int = 0
    tokens: int | None = None
    copied: bool = False

    @property
    def counted(self) -> bool:
        return self.prefill.workers is not None and self.decode.workers is not None

    @property
    def gpus(self) -> int:
        """Of the whole deployment; 0 where its instances are not counted."""
        return (self.prefill.workers or 0) * self.prefill.gpus + (self.decode.workers or 0) * self.decode.gpus


def pools_of(row: dict[str, str]) -> PoolsOfRow | None:
    """What a row states; ``None`` where it names no layout of two pools."""
    found = [_pool(row, name) for name in POOLS]
    if found[0] is None or found[1] is None:
        return None
    return PoolsOfRow(found[0], found[1])


def _pool(row: dict[str, str], name: str) -> PoolOfRow | None:
    def number(column: str) -> float | None:
        try:
            value = float(row.get(f"{name}_{column}") or "")
        except ValueError:
            return None
        return value if math.isfinite(value) and 0.0 < value <= 1e5 else None

    tp, workers, ep = number("tp"), number("workers"), number("ep")
    if tp is None:
        return None
    return PoolOfRow(
        None if workers is None else int(workers), int(tp), int(number("pp") or 1), int(number("attn_dp") or 1),
        None if ep is None else int(ep), number("batch_size"),
    )  # fmt: skip


def with_counts(rows: Sequence[Measurement]) -> list[Measurement]:
    """Rows that state no counts of instances take them, and the layout with them, from a row that does and lists the
    same run (all figures alike) or a repeat of it (the same setting and concurrency, and a time per output token within
    ``REPEATED``): two rows of one setting may have been made by different launch scripts, with drafts or without."""
    stated: dict[tuple[object, ...], list[Measurement]] = {}
    for m in rows:
        if m.pools is not None and m.pools.counted:
            stated.setdefault(_setting(m), []).append(m)
    return [m if m.pools is None else _counted(m, stated.get(_setting(m), [])) for m in rows]


def _setting(m: Measurement) -> tuple[object, ...]:
    """What two rows of one configuration share. DeepSeek-R1 and -V3 are one architecture under two names."""
    model = m.model.replace("DeepSeek-R1", "DeepSeek-V3")
    return (model, m.system, m.engine, m.precision, m.nominal, m.concurrency)


def _counted(m: Measurement, others: Sequence[Measurement]) -> Measurement:
    if m.pools is None or m.pools.counted or m.tpot_s is None or m.ttft_s is None:
        return m
    for other in others:
        if other.pools is None or other.tpot_s is None or other.ttft_s is None:
            continue
        tpot, ttft = abs(m.tpot_s / other.tpot_s - 1.0), abs(m.ttft_s / other.ttft_s - 1.0)
        if max(tpot, ttft) <= SAME_RUN or tpot <= REPEATED:
            how = "which lists the same run" if ttft <= SAME_RUN else "of which it is a repeat"
            known = f"instances and layouts are those of row {other.id}, {how}"
            return m.with_pools(replace(other.pools, inferred=known, copied=True))
    return m
