"""What a column of plans is called for people, and in which unit it is shown: a function of the column's name alone,
so that a new column of ``search.render.tables.header`` joins the report by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from costmodel.columns import PLAN_COLUMNS
from costmodel.scores import COSTS, PREDICTED
from search.render.words import LABELS

INTERVALS = (*PREDICTED, *COSTS, "kv_capacity_tokens")
# (end of the name, unit, SI times this); the first that fits.
UNITS = (
    ("tpot_s", "ms", 1e3),
    *((f"tpot_s_p{p}", "ms", 1e3) for p in (50, 90, 95, 99)),
    *((f"_s_p{p}", "s", 1.0) for p in (50, 90, 95, 99)),
    ("goodput", "%", 1e2),
    ("_chance", "%", 1e2),
    ("_risk", "%", 1e2),
    ("_headroom", "%", 1e2),
    ("prefix_hit", "%", 1e2),
    ("prefill_again", "%", 1e2),
    ("_bytes_per_gpu", "GB", 1e-9),
    ("_per_s_per_gpu", "", 1.0),
    ("_per_s", "", 1.0),
    ("_s", "s", 1.0),
    ("_utilization", "%", 1e2),
    ("_mfu", "%", 1e2),
    ("_of_limit", "%", 1e2),
    ("usd_per_million_output_tokens", "USD", 1.0),
    ("joules_per_output_token", "J", 1.0),
)
TEXT = ("engine", "engines", "coverage")
DEGREES = (*PLAN_COLUMNS, "attn_dp", "moe_tp")
# Of the table before the viewer chooses: what the terminal shows.
SHOWN_FIRST = (
    "gpus", "dp", "pp", "sp", "tp", "ep", "batch", "output_tokens_per_s", "output_tokens_per_s_per_gpu", "ttft_s",
    "burst_ttft_s", "tpot_s", "memory_utilization", "share_of_limit", "engines",
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """``kind``: ``degree``, ``figure`` or ``text``. ``interval``: whether ``_low`` and ``_high`` stand beside it."""

    name: str
    label: str
    unit: str
    scale: float
    kind: str
    interval: bool
    shown: bool

    @property
    def title(self) -> str:
        """Label with the unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@cache
def describe(name: str) -> Column:
    """How a column is shown; the ends of an interval as the figure that they are about."""
    if is_bound(name):
        name = name.removesuffix("_low").removesuffix("_high")
    unit, scale = next(((u, s) for end, u, s in UNITS if name.endswith(end)), ("", 1.0))
    kind = "degree" if name in DEGREES else "text" if name in TEXT else "figure"
    label = LABELS.get(name, _words(name))
    return Column(name, label, unit, scale, kind, name in INTERVALS, name in SHOWN_FIRST)


def ordered(names: Iterable[str]) -> list[str]:
    """Columns in the order in which they are shown: first those of ``SHOWN_FIRST``."""
    given = list(names)
    return [n for n in SHOWN_FIRST if n in given] + [n for n in given if n not in SHOWN_FIRST]


def _words(name: str) -> str:
    for end, words in (("_bytes_per_gpu", " per GPU"), ("_s", "")):
        if name.endswith(end):
            return name.removesuffix(end).replace("_", " ") + words
    return name.replace("_", " ")


def is_bound(name: str) -> bool:
    """Whether a column is the low or the high end of another's interval."""
    return any(name.removesuffix(end) in INTERVALS for end in ("_low", "_high") if name.endswith(end))
