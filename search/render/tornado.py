"""``sensitivity.svg``: what moves the recommended plan's figures, as tornado bars."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.plans import READING_ORDER
from search.optimizer.outcome import Outcome
from search.optimizer.sensitivity.records import Sensitivity, Situation
from search.optimizer.sensitivity.table import change, label
from search.render.palette import BLUE, VERMILION
from search.render.svg import Picture

LOW, HIGH, UNIT = BLUE, VERMILION, "#555555"
WIDTH, NAMES, PANEL, GAP = 1000.0, 190.0, 250.0, 15.0
ROW, BAR = 30.0, 11.0
LABEL = 52.0  # pixels beside a bar for its figure
LARGEST = 1.0  # change at which a bar is cut off; its figure stands beside it
TENFOLD = 9.0  # change from which a factor reads better
SMALLEST = 0.01  # the scale of a panel in which nothing moves
HEADS = {
    "output_tokens_per_s": "output tokens/s", "ttft_s": "TTFT, steady mean", "burst_ttft_s": "TTFT, end of a burst",
    "tpot_s": "TPOT",
}  # fmt: skip

Row = tuple[str, list[Situation]]


def tornado(outcome: Outcome) -> str:
    """Three panels of ranges, the widest for throughput first, and the gain from one unit more below."""
    found = outcome.sensitivity
    assert found is not None
    limits = outcome.scenario.limits
    ttft = "burst_ttft_s" if limits.ttft_s is not None and limits.ttft_statistic == "burst" else "ttft_s"
    figures = ("output_tokens_per_s", ttft, "tpot_s")
    ranges = _ranges(found)
    more = [s for s in found.situations if s.kind != "range" and s.best is not None]
    top = 84.0
    middle = top + ROW * len(ranges) + (58.0 if ranges else 0.0)
    height = middle + 20.0 * len(more) + 44.0
    picture = Picture(WIDTH, height)
    name = f"{outcome.scenario.model.name} on {outcome.scenario.accelerator.name}"
    plan = ", ".join(f"{axis} {found.plan[axis]}" for axis in READING_ORDER)
    picture.text(16, 26, _cut(f"What moves the recommended plan: {name}", 105), size=17, weight="bold")
    picture.text(16, 46, plan, size=13, fill="#444")
    if ranges:
        _legend(picture)
        for i, figure in enumerate(figures):
            _panel(picture, found, ranges, figure, NAMES + i * (PANEL + GAP), top)
        for i, (row, ends) in enumerate(ranges):
            y = top + i * ROW
            picture.text(16, y + 13, row, weight="bold")
            picture.text(16, y + 26, f"×{ends[0].after:.3g} to ×{ends[1].after:.3g}", size=11, fill="#555")
    _gains(picture, outcome, more, middle)
    picture.text(16, height - 12, _draws(found), size=13)
    return picture.render(f"Sensitivity of the recommended plan: {name}", _words(found, ranges, figures, more))


def _ranges(found: Sensitivity) -> list[Row]:
    rows: list[Row] = []
    for r in found.ranges:
        ends = [s for s in found.situations if s.kind == "range" and s.name == r.name]
        rows.append((label(ends[0]), ends))
    return sorted(rows, key=lambda row: -max(abs(change(found, s, "output_tokens_per_s")) for s in row[1]))


def _legend(picture: Picture) -> None:
    for x, colour, words in (
        (620.0, LOW, "input at its low end (upper bar)"),
        (810.0, HIGH, "at its high end (lower)"),
    ):
        picture.rect(x, 36, 12, 11, colour)
        picture.text(x + 17, 46, words)


def _panel(picture: Picture, found: Sensitivity, rows: Sequence[Row], figure: str, left: float, top: float) -> None:
    """Bars from the figure as configured, in the middle of the panel."""
    changes = [(change(found, ends[0], figure), change(found, ends[1], figure)) for _, ends in rows]
    most = max(max((min(abs(c), LARGEST) for pair in changes for c in pair), default=0.0), SMALLEST)
    zero, room = left + PANEL / 2, PANEL / 2 - LABEL
    picture.text(zero, top - 12, HEADS[figure], size=13, anchor="middle", weight="bold")
    for i, pair in enumerate(changes):
        for j, (value, colour) in enumerate(zip(pair, (LOW, HIGH), strict=True)):
            y = top + i * ROW + 3 + j * (BAR + 1)
            _bar(picture, zero, y, BAR, value, min(abs(value), LARGEST) / most * room, colour)
    picture.line(zero, top - 4, zero, top + len(rows) * ROW, stroke="#222")


def _bar(picture: Picture, zero: float, y: float, height: float, value: float, length: float, colour: str) -> None:
    """A bar of ``length`` pixels to the side of its sign, with its figure at its end."""
    right = value >= 0.0
    picture.rect(zero if right else zero - length, y, length, height, colour)
    shown = f"{value * 100:+.1f} %" if value < TENFOLD else f"×{1.0 + value:,.0f}"
    words = f"» {shown}" if value > LARGEST else shown
    x = zero + length + 4 if right else zero - length - 4
    picture.text(x, y + height - 1.5, words, size=11, anchor="start" if right else "end")


def _gains(picture: Picture, outcome: Outcome, more: Sequence[Situation], top: float) -> None:
    if not more:
        return
    column = outcome.policy.first[0]
    picture.text(16, top - 12, f"One unit more: gain in {column} of the plan recommended then", size=13, weight="bold")
    gains = [s.best.gain for s in more if s.best is not None]
    most = max(max(min(abs(g), LARGEST) for g in gains), SMALLEST)
    zero = NAMES + 225.0
    for i, (s, gain) in enumerate(zip(more, gains, strict=True)):
        y = top + i * 20.0
        picture.text(16, y + 12, _unit(s))
        _bar(picture, zero, y + 1, 13, gain, min(abs(gain), LARGEST) / most * 300.0, UNIT)
    picture.line(zero, top - 4, zero, top + 20.0 * len(more), stroke="#222")


def _unit(s: Situation) -> str:
    """What one more is, for instance ``limit: TTFT 30 → 33 s``."""
    unit = {"bytes": "B", "bytes/s": "B/s"}.get(s.unit, s.unit)
    prefixes = ((1e12, "T"), (1e9, "G"), (1.0, "")) if s.unit != "s" else ((1.0, ""), (1e-3, "m"), (1e-6, "µ"))
    size, prefix = next((p for p in prefixes if s.before >= p[0]), (1.0, ""))
    return f"{label(s)} {s.before / size:.4g} → {s.after / size:.4g} {prefix}{unit}"


def _draws(found: Sensitivity) -> str:
    d = found.draws
    if d is None:
        return ""
    return (
        f"{d.count} draws over all inputs at once: feasible in {d.feasible:.0%}, the best plan in {d.best:.0%}, its "
        f"layout the best in {d.layout:.0%}."
    )


def _words(found: Sensitivity, ranges: Sequence[Row], figures: Sequence[str], more: Sequence[Situation]) -> str:
    """The picture in words."""
    said = [
        f"{row}, {HEADS[f]}: {change(found, ends[0], f) * 100:+.1f} % at ×{ends[0].after:.3g}, "
        f"{change(found, ends[1], f) * 100:+.1f} % at ×{ends[1].after:.3g}."
        for row, ends in ranges
        for f in figures
    ]
    said += [f"{_unit(s)}: gain {s.best.gain * 100:+.1f} %." for s in more if s.best is not None]
    return " ".join([*said, _draws(found)])


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
