"""Figures for people. SI units come in, one text goes out; names pass through ``search.base.escape.markdown``."""

from __future__ import annotations

import math
from collections.abc import Sequence


def gb(value: float) -> str:
    """Bytes as GB of 1e9."""
    return f"{value / 1e9:,.2f} GB"


def seconds(value: float) -> str:
    """Microseconds, milliseconds or seconds, whichever reads best."""
    size = abs(value)
    if size == math.inf:
        return "unstable"
    if size >= 1.0:
        return f"{value:,.2f} s"
    if size >= 1e-3:
        return f"{value * 1e3:.3g} ms" if size < 0.01 else f"{value * 1e3:.1f} ms"
    return f"{value * 1e6:.3g} µs" if value else f"{value:g} s"


def count(value: float) -> str:
    """Whole numbers with separators; below a thousand, broken ones with up to two decimals; small ones with three
    digits."""
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.3g}"


def percent(value: float) -> str:
    """A share; beyond the whole without decimals."""
    return f"{value * 100:.1f} %" if abs(value) < 1.0 else f"{value * 100:,.0f} %"


def signed_percent(value: float) -> str:
    """A relative change; one of more than a hundredfold as a factor."""
    if value == math.inf:
        return "without end"
    shown = f"{value * 100:+,.1f} %" if value < MANY else f"×{1.0 + value:,.0f}"
    return "0.0 %" if shown in ("+0.0 %", "-0.0 %") else shown


MANY = 100.0


def by(value: float) -> str:
    """How far a limit is missed, relative to it."""
    if value == math.inf:
        return "without end"
    return (
        f"by {value * 100:,.1f} %"
        if value < 10.0
        else f"by a factor of {min(1.0 + value, 1e6):,.0f}" + (" or more" if value > 1e6 else "")
    )


def _scaled(value: float, unit: str) -> str:
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= size:
            return f"{value / size:,.4g} {prefix}{unit}"
    return f"{value:,.4g} {unit}"


def bytes_per_s(value: float) -> str:
    return _scaled(value, "B/s")


def flops_per_s(value: float) -> str:
    return _scaled(value, "FLOP/s")


def flops(value: float) -> str:
    return f"{value:.3g} FLOP"


def billions(value: float) -> str:
    """Parameters."""
    return f"{value / 1e9:,.2f} billion"


SHARES = ("_utilization", "_mfu", "_of_limit", "_risk", "_headroom", "_chance", "_hit", "_again", "goodput")


def figure(name: str, value: float) -> str:
    """A column of the scores, by the unit at the end of its name."""
    name = name.rpartition("_p")[0] if name[-2:].isdigit() else name  # a percentile of it
    if name.endswith("_bytes_per_gpu"):
        return gb(value)
    if name.endswith(("_per_s", "_per_s_per_gpu")):
        return f"{value:,.0f}" if abs(value) >= 100 else count(value)
    if name.endswith("_s"):
        return seconds(value)
    if name.endswith(SHARES):
        return percent(value)
    if name.startswith("usd_"):
        return usd(value)
    if name.startswith("joules_"):
        return f"{value:,.3g} J"
    return f"{value:,.0f}" if abs(value) >= 100 else count(value)


def usd(value: float) -> str:
    """US dollars, in cents or, below one dollar, with three digits."""
    return f"{value:,.2f} USD" if abs(value) >= 1.0 else f"{value:.3g} USD"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, text: Sequence[int] = (0,)) -> str:
    """A markdown table; columns ``text`` stand to the left, the others to the right. Cells are escaped already."""
    marks = [":--" if i in text else "--:" for i in range(len(header))]
    lines = [header, marks, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def plural(shown: str, noun: str) -> str:
    """``1 node``, ``2 nodes``, ``2 passes``."""
    return f"{shown} {noun}" if shown == "1" else f"{shown} {noun}{'es' if noun.endswith('s') else 's'}"


def span(low: str, high: str) -> str:
    """Two figures as a range, or one if they read the same."""
    return low if low == high else f"{low} to {high}"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))
