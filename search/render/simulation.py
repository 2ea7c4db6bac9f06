"""A simulation as people read it: percentiles, a line a request, requests and cache over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from costmodel.plans import Array, IntArray
from costmodel.serving.simulation.requests import Requests, Served
from search.render.document.formats import count, percent, seconds, table
from search.render.palette import BLUE, LINE, ORANGE, VERMILION
from search.render.svg import Picture

STATISTICS = ("mean", "p50", "p90", "p95", "p99")
FIGURES = {"ttft_s": "TTFT", "tpot_s": "TPOT", "e2e_s": "end to end"}
WIDTH, HEIGHT, MARGIN = 900.0, 420.0, 70.0


def statistics(values: Array) -> dict[str, float]:
    """Mean and percentiles (linear between order statistics) of those that are numbers; not a number without any."""
    kept = values[~np.isnan(values)]
    if not len(kept):
        return dict.fromkeys(STATISTICS, float("nan"))
    with np.errstate(invalid="ignore"):  # between two requests that are never served
        found = np.percentile(kept, [float(name[1:]) for name in STATISTICS[1:]])
    return dict(zip(STATISTICS, [float(kept.mean()), *np.where(np.isnan(found), np.inf, found).tolist()], strict=True))


def figures(requests: Requests, served: Served) -> dict[str, dict[str, float]]:
    """Statistics by figure, in seconds."""
    columns = {"ttft_s": served.ttft_s, "tpot_s": served.tpot_s(requests.answer_tokens), "e2e_s": served.e2e_s}
    return {name: statistics(column) for name, column in columns.items()}


def summary(requests: Requests, served: Served) -> dict[str, Any]:
    """What ``--json`` prints: requests, seconds until the last answer, rates, statistics, prefix hits, preemptions."""
    found = figures(requests, served)
    return summary_of(requests, served.e2e_s, served.end_s, found, served.hit_tokens) | {
        "preemptions": int(served.preemptions.sum()),
        "passes": served.passes,
    }


def summary_of(
    requests: Requests, e2e_s: Array, end_s: float, found: Mapping[str, Mapping[str, float]], hit_tokens: IntArray
) -> dict[str, Any]:
    """The part of a summary that every deployment has. ``e2e_s`` and ``hit_tokens`` by request, ``end_s`` of the last
    answer, ``found`` statistics by figure."""
    done = np.isfinite(e2e_s)
    tokens = int(requests.answer_tokens[done].sum())
    return {
        "requests": len(requests),
        "never_served": int((~done).sum()),
        "seconds": end_s,
        "requests_per_s": float(done.sum()) / end_s if end_s else 0.0,
        "output_tokens_per_s": tokens / end_s if end_s else 0.0,
        **found,
        "prefix_hit": float(hit_tokens.sum() / max(requests.prompt_tokens.sum(), 1)),
    }


def text(found: dict[str, Any]) -> str:
    """A ``summary`` for a terminal."""
    lines = text_of(found, FIGURES)
    if found["prefix_hit"]:
        lines.append(f"Prefix cache: {percent(found['prefix_hit'])} of the prompt tokens were found.")
    if found["preemptions"]:
        lines.append(f"Preemptions: {found['preemptions']}; the cache was full and requests were computed again.")
    if found["never_served"]:
        lines.append(f"Never served: {found['never_served']} requests, longer than the model's context or the cache.")
    return "\n".join(lines)


def text_of(found: dict[str, Any], titles: Mapping[str, str]) -> list[str]:
    """Percentiles of the figures in ``titles``, and the rate that came of it."""
    rows = [
        [title, *("never" if np.isinf(found[name][s]) else seconds(found[name][s]) for s in STATISTICS)]
        for name, title in titles.items()
    ]
    return [
        table(["", *STATISTICS], rows), "",
        f"{count(found['requests'])} requests in {seconds(found['seconds'])}: "
        f"{found['requests_per_s']:.3g} requests/s, {count(found['output_tokens_per_s'])} output tokens/s.",
    ]  # fmt: skip


COLUMNS = (
    "arrival_s", "prompt_tokens", "answer_tokens", "ttft_s", "tpot_s", "e2e_s", "hit_tokens", "preemptions", "replica",
)  # fmt: skip


def csv_text(requests: Requests, served: Served) -> str:
    """``requests.csv``: a line a request, in the order of arrival."""
    columns: list[Sequence[object]] = [
        np.round(requests.arrival_s, 6).tolist(), requests.prompt_tokens.tolist(), requests.answer_tokens.tolist(),
        np.round(served.ttft_s, 6).tolist(), np.round(served.tpot_s(requests.answer_tokens), 6).tolist(),
        np.round(served.e2e_s, 6).tolist(), served.hit_tokens.tolist(), served.preemptions.tolist(),
        served.replica.tolist(),
    ]  # fmt: skip
    return csv_of(COLUMNS, columns)


def csv_of(names: Sequence[str], columns: Sequence[Sequence[object]]) -> str:
    """CSV of ``columns``, what is not a number left empty."""
    lines = [",".join("" if value != value else str(value) for value in row) for row in zip(*columns, strict=True)]
    return "\n".join([",".join(names), *lines]) + "\n"


def picture(served: Served, title: str) -> str:
    """``simulation.svg``: requests running and waiting, and the share of the cache that is taken, over time."""
    return over_time(
        served.history, title, ("running", "waiting", "cache taken (right)"),
        "Requests running and waiting, and share of the cache taken, over simulated time.",
    )  # fmt: skip


def over_time(points: Array, title: str, names: tuple[str, str, str], said: str) -> str:
    """``points`` of shape (n, 4): seconds, two numbers of requests, a share, by ``names``."""
    drawn = Picture(WIDTH, HEIGHT)
    drawn.text(MARGIN, 28, title, size=17, weight="bold")
    most = max(float(points[:, 1:3].max(initial=1.0)), 1.0)
    last = max(float(points[:, 0].max(initial=1.0)), 1e-9)
    left, right, top, bottom = MARGIN, WIDTH - MARGIN, 70.0, HEIGHT - 50.0

    def x(at: float) -> float:
        return left + (right - left) * at / last

    def y(share: float) -> float:
        return bottom - (bottom - top) * share

    for tick in range(5):
        at = y(tick / 4)
        drawn.line(left, at, right, at, LINE)
        drawn.text(left - 8, at + 4, f"{most * tick / 4:.3g}", anchor="end")
        drawn.text(right + 8, at + 4, f"{25 * tick} %")
        drawn.text(x(last * tick / 4), bottom + 18, f"{last * tick / 4:.3g} s", anchor="middle")
    for i, (name, colour, scale) in enumerate(
        zip(names, (BLUE, VERMILION, ORANGE), (1.0 / most, 1.0 / most, 1.0), strict=True)
    ):
        drawn.polyline([(x(p[0]), y(min(p[i + 1] * scale, 1.0))) for p in points.tolist()], colour)
        drawn.rect(left + 130 * i, 45, 12, 11, colour)
        drawn.text(left + 130 * i + 17, 55, name)
    return drawn.render(title, said)
