"""The front as a plot in characters, for the terminal: what the recommendation is best in over a latency."""

from __future__ import annotations

import numpy as np

from costmodel.columns import column
from costmodel.plans import Array
from search.optimizer.outcome import Outcome
from search.render.front_table import cell, heading, limited

WIDTH, HEIGHT = 64, 12
SYMBOLS = "o+x#%&"  # by number of accelerators
BEST, SEVERAL = "*", "@"
TITLES = {"output_tokens_per_s_per_gpu": "tokens/s per GPU"}
LATENCIES = ("tpot_s", "ttft_s", "burst_ttft_s")


def plot_axes(outcome: Outcome) -> tuple[str, str]:
    """(across, up): what the recommendation is best in stands up; across stands the front's latency, or the next of
    its columns."""
    up, _ = outcome.policy.first
    names = [name for name in outcome.objectives.names if name != up]
    bounds = [name for name in limited(outcome) if name in names]
    across = next((name for name in (*LATENCIES, *bounds) if name in names), names[0] if names else "tpot_s")
    return across, up


def front_plot(outcome: Outcome, width: int) -> list[str]:
    """Lines of at most ``width`` characters; none for a front of fewer than three plans or figures without words."""
    across, up = plot_axes(outcome)
    front = outcome.front
    try:
        names = heading(across), TITLES.get(up, heading(up))
    except KeyError:  # gpus, for instance: degrees have no unit to show
        return []
    x, y = (column(name, outcome.plans, outcome.scores)[front].astype(float) for name in (across, up))
    shown = np.isfinite(x) & np.isfinite(y)
    if shown.sum() < 3 or width < WIDTH + 12:
        return []
    front, x, y = front[shown], x[shown], y[shown]
    gpus = outcome.plans.gpus[front]
    kinds = sorted(set(gpus.tolist()))
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    places = list(zip(_at(x, WIDTH), _at(y, HEIGHT), strict=True))
    named = [f"{name}, log" if _wide(v) else name for name, v in zip(names, (x, y), strict=True)]
    for (i, j), n in zip(places, gpus.tolist(), strict=True):
        symbol, there = SYMBOLS[min(kinds.index(n), len(SYMBOLS) - 1)], grid[HEIGHT - 1 - j][i]
        grid[HEIGHT - 1 - j][i] = symbol if there in (" ", symbol) else SEVERAL
    best = outcome.choice.recommended if outcome.choice is not None else -1
    for k in np.flatnonzero(front == best).tolist():
        i, j = places[k]
        grid[HEIGHT - 1 - j][i] = BEST
    ends = cell(up, float(y.max())), cell(up, float(y.min()))
    margin = max(map(len, ends))
    lines = [f"{'':>{margin}}   {named[1]} over {named[0]}"]
    for j, row in enumerate(grid):
        said = ends[0] if j == 0 else ends[1] if j == HEIGHT - 1 else ""
        lines.append(f"{said:>{margin}} |{''.join(row)}".rstrip())
    left, right = cell(across, float(x.min())), cell(across, float(x.max()))
    lines.append(f"{'':>{margin}} +{'-' * WIDTH}")
    lines.append(f"{'':>{margin}}  {left}{named[0]:^{WIDTH - len(left) - len(right)}}{right}")
    more = len(kinds) > len(SYMBOLS)
    key = [f"{SYMBOLS[min(k, len(SYMBOLS) - 1)]} {n} GPUs" for k, n in enumerate(kinds[: len(SYMBOLS)])]
    key[-1] += " or more" if more else ""
    key += [f"{SEVERAL} several of them"] if any(SEVERAL in row for row in grid) else []
    lines.append(f"{'':>{margin}}  {', '.join(key)}; {BEST} recommended")
    return lines


def _wide(values: Array) -> bool:
    """Whether values reach so far that a logarithm shows them better."""
    return bool(values.min() > 0 and values.max() > 20 * values.min())


def _at(values: Array, cells: int) -> list[int]:
    """Which of ``cells`` each value falls into."""
    if _wide(values):
        values = np.log(values)
    low, high = float(values.min()), float(values.max())
    if high == low:
        return [cells // 2] * len(values)
    return [int(i) for i in np.clip((values - low) / (high - low) * cells, 0, cells - 1)]
