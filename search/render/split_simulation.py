"""The simulation of a split plan as people read it: percentiles with the parts of the first token's wait, a line a
request, requests in each pool over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from costmodel.plans import Array
from costmodel.serving.simulation.requests import Requests
from costmodel.serving.split.simulated import SplitServed
from search.render.document.formats import percent
from search.render.simulation import FIGURES, csv_of, over_time, statistics, summary_of, text_of

PARTS = {
    "prefill_s": "of TTFT: queue and prefill", "journey_s": "of TTFT: the cache's journey",
    "join_s": "of TTFT: a seat, joining the steps",
}  # fmt: skip
POINTS = 600  # of the picture
COLUMNS = (
    "arrival_s", "prompt_tokens", "answer_tokens", "ttft_s", "tpot_s", "e2e_s", *PARTS, "hit_tokens", "prefill",
    "decode",
)  # fmt: skip


def _parts(served: SplitServed) -> dict[str, Array]:
    """Seconds by ``PARTS``, which add up to the TTFT."""
    with np.errstate(invalid="ignore"):
        return {
            "prefill_s": served.prefilled_s - served.arrival_s,
            "journey_s": served.arrived_s - served.prefilled_s,
            "join_s": served.first_s - served.arrived_s,
        }


def figures(served: SplitServed) -> dict[str, dict[str, float]]:
    """Statistics by figure, in seconds."""
    columns = {name: getattr(served, name) for name in FIGURES} | _parts(served)
    return {name: statistics(column) for name, column in columns.items()}


def summary(requests: Requests, served: SplitServed) -> dict[str, Any]:
    """What ``--json`` prints."""
    end = float(served.last_s[np.isfinite(served.e2e_s)].max(initial=0.0))
    return summary_of(requests, served.e2e_s, end, figures(served), served.hits)


def text(found: dict[str, Any]) -> str:
    """A ``summary`` for a terminal."""
    lines = text_of(found, FIGURES | PARTS)
    if found["prefix_hit"]:
        lines.append(f"Prefix cache: {percent(found['prefix_hit'])} of the prompt tokens are not prefilled again.")
    if found["never_served"]:
        lines.append(f"Never served: {found['never_served']} requests, longer than the model's context.")
    return "\n".join(lines)


def csv_text(requests: Requests, served: SplitServed) -> str:
    """``requests.csv``: a line a request, in the order of arrival."""
    seconds = [getattr(served, name) for name in FIGURES] + list(_parts(served).values())
    columns: list[Sequence[object]] = [
        np.round(served.arrival_s, 6).tolist(), requests.prompt_tokens.tolist(), requests.answer_tokens.tolist(),
        *(np.round(values, 6).tolist() for values in seconds), served.hits.tolist(), served.prefill.tolist(),
        served.decode.tolist(),
    ]  # fmt: skip
    return csv_of(COLUMNS, columns)


def picture(served: SplitServed, title: str, seats: int) -> str:
    """``simulation.svg``: requests that decode and that wait for their first token, and the share of all ``seats``."""
    done = np.isfinite(served.last_s)
    times = np.linspace(0.0, float(served.last_s[done].max(initial=1.0)), POINTS)

    def past(seconds: Array) -> Array:
        return np.searchsorted(np.sort(seconds[done]), times, side="right").astype(float)

    came, first, last = past(served.arrival_s), past(served.first_s), past(served.last_s)
    points = np.stack([times, first - last, came - first, (first - last) / seats], axis=1)
    return over_time(
        points, title, ("decoding", "no token yet", "seats taken (right)"),
        "Requests that decode and that wait for their first token, and share of the seats taken, over simulated time.",
    )  # fmt: skip
