"""Those who are inside together: how they come in clusters, what seats they leave, how many one of them meets.

While prompts are prefilled nothing decodes, or a token a pass. By a clock that stands still then, requests come in
clusters: those whose prompts follow each other without a pause. The number that decodes is peaked as of any arrivals
in batches, z = 1 + E(X (X - 1)) / E(X) E(min(S, S')) / E(S) (Eckberg, Teletraffic Congress 10, 1983), and since steps
grow with it, wider by 1 / (1 - q) (``seats``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.serving.rate.knots import power
from costmodel.serving.rate.load import Load


def clusters(busy: Any, varied: Any) -> Any:
    """E(X (X - 1)) / E(X) of X requests whose prompts follow each other without a pause: a branching process (Borel
    1942) in which each prompt brings those that come while it is prefilled, ``busy`` in the mean, of variance ``busy``
    + ``varied`` ``busy``^2 as prompts vary."""
    return busy * (2.0 + busy * (varied - 1.0)) / (1.0 - busy) ** 2


def waiting_chance(inside: Any, seats: Any, wide: Any) -> Any:
    """Chance that all ``seats`` are taken where ``inside`` are in the mean, their variance ``wide`` times that if seats
    were no matter: Sakasegawa's power (Annals of the Institute of Statistical Mathematics 29, 1977), of seats counted
    in units of what the number inside swings by. The tests set it against birth and death chains."""
    return power(np.minimum(inside / seats, 1.0), np.sqrt(2.0 * (seats - 1.0) / np.sqrt(wide) + 4.0) - 1.0)


def all_taken(decodes: Any, seats: Any) -> Any:
    """Chance that all seats but one are taken, where ``decodes`` of them are: independently of each other."""
    return power(np.clip(decodes / seats, 0.0, 1.0), np.maximum(seats - 1.0, 0.0))


def others_share(taken: Any, seats: Any) -> Any:
    """Share of the prompts that one who decodes sees prefilled: none that waits for its own seat. Full seats change
    hands c - 1 times beside it while they do c times; the others are all ``taken`` with a chance of (d / c)^(c - 1)."""
    return 1.0 - taken / seats


def prompt_queue(load: Load, whole: Any, room: Any, groups: Any) -> tuple[Any, Any]:
    """Chance that more prompts wait than a pass of ``whole`` seconds takes, and seconds that one then waits. What a
    pass leaves over, U' = max(U + A - M, 0) tokens, is the wait of a queue with a service of A every M: Kingman's
    (1961) mean, with the correction of Kraemer and Langenbach-Belz (Teletraffic Congress 8, 1976) for arrivals without
    variance."""
    mix, come = load.mix, load.rate / groups * whole
    busy = np.minimum(come * mix["new"] / room, 0.999)
    work = (mix["new2"] / mix["new"] ** 2 - 1.0 + load.gap) / np.maximum(come, 1e-12)
    chance = busy * np.exp(-2.0 * (1.0 - busy) / (3.0 * np.maximum(busy * work, 1e-9)))
    return chance, np.maximum(busy * work * whole / 2.0 / (1.0 - busy), 1e-12)
