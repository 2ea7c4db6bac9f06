"""Split plans whose pools are not what the search is on: what they are called, and what they cost."""

from __future__ import annotations

import numpy as np

from costmodel.columns import column
from costmodel.scenario import Scenario
from search.inputs.split.machines import POOLS
from search.optimizer.outcome import Outcome
from search.render.document.formats import usd

USD = "usd_per_million_output_tokens"


def nouns(search: Scenario, pools: tuple[Scenario, Scenario]) -> tuple[str, str]:
    """What the accelerators of each pool are called: their names where they are not all the search's."""
    names = [pool.accelerator.name for pool in pools]
    own = {search.accelerator.name, *names}
    return ("GPUs", "GPUs") if len(own) == 1 else (names[0], names[1])


def kinds_lines(outcome: Outcome) -> list[str]:
    """Which accelerators are where, and what an hour of them costs; nothing where all are the search's."""
    found, usual = outcome.split, outcome.scenario.accelerator
    assert found is not None
    pools = [pool.accelerator for pool in found.front.pools]
    if all(pool.name == usual.name for pool in pools):
        return []
    others = " or ".join(dict.fromkeys(pool.name for pool in pools if pool.name != usual.name))
    lines = [
        f"Prefill on {pools[0].name}, decode on {pools[1].name}; accelerators of every kind count alike in GPUs and in "
        f"tokens/s/GPU. Aggregated plans are on {usual.name} alone: a search with another hardware= says what they "
        f"come to on {others}."
    ]
    if found.best is None:
        return lines
    prices = [pool.price_per_hour for pool in pools]
    if None in prices:
        missing = POOLS[prices.index(None)]
        key = "hardware" if pools[prices.index(None)].name == usual.name else f"space.split.{missing}.hardware"
        return [*lines, f"What an hour costs is not known: {key}.price_per_hour is null."]
    counts = [int(count[0]) for count in found.best.gpus_of]
    each = [price * count for price, count in zip(prices, counts, strict=True) if price is not None]
    told = " and ".join(f"{usd(total)} for {n} that {pool}" for total, n, pool in zip(each, counts, POOLS, strict=True))
    text = f"An hour of the best split plan costs {usd(sum(each))} ({told}), a million output tokens "
    text += usd(float(found.best.column(USD)[0]))
    if outcome.choice is not None and usual.price_per_hour is not None:
        row = outcome.choice.recommended
        hour = usual.price_per_hour * int(outcome.plans.gpus[row])
        million = float(column(USD, outcome.plans, outcome.scores)[row])
        text += f"; of the best aggregated one {usd(hour)} and {usd(million)}"
    return [*lines, f"{text}."]


def empty_pools(outcome: Outcome) -> list[str]:
    """A line for each pool that has no instance at all."""
    found = outcome.split
    assert found is not None
    return [
        f"No instance that {name}s fits on {pool.accelerator.name}, or is legal there."
        for name, pool, n in zip(POOLS, found.front.pools, np.asarray(found.instances).tolist(), strict=True)
        if n == 0
    ]
