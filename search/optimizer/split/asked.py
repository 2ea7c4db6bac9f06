"""What a configuration asks of split serving: ``space.serving`` and ``space.split``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from costmodel.drafts.drafter import Drafter
from costmodel.scenario import Scenario
from costmodel.scores import TRAFFIC
from costmodel.serving.split.journey import Link, Transfer, link_between, link_of
from search.base.errors import InputError
from search.inputs.checks import choice
from search.inputs.derived import check_ranges, checked
from search.inputs.schema import Config
from search.optimizer.space import Space, axis_values
from search.optimizer.split.own import USUAL, Own, own_pools

SERVING = ("aggregated", "split")
# Figures that a split plan has. Each is monotone in its pools' own figures, which makes the merge exact.
FIGURES = (
    "output_tokens_per_s", "output_tokens_per_s_per_gpu", "requests_per_s", "ttft_s", "tpot_s", "gpus",
    "usd_per_million_output_tokens", "joules_per_output_token",
)  # fmt: skip
OF_A_CACHE = ("overflow_risk", "preemptions_per_s", "prefill_again")  # not known of a split plan's two
AT_A_RATE = tuple(name for name in TRAFFIC if name not in OF_A_CACHE)


@dataclass(frozen=True)
class Asked:
    """``sizes`` of an instance of each pool; ``used``: utilisations of the prefill pool, ascending; ``tokens``: token
    budgets of its passes, ascending; ``totals``: accelerators of a deployment; ``drafters`` of the instances that
    decode, tried beside none; ``ranks`` over which they deal a sequence's cache, tried beside one; ``own``: what each
    pool has of its own, the one that prefills first."""

    prefill_sizes: tuple[int, ...]
    decode_sizes: tuple[int, ...]
    used: tuple[float, ...]
    tokens: tuple[int, ...]
    totals: tuple[int, ...]
    transfer: Transfer
    drafters: tuple[Drafter, ...] = ()
    ranks: tuple[int, ...] = ()
    own: tuple[Own, Own] = (USUAL, USUAL)

    def pools(self, scenario: Scenario) -> tuple[Scenario, Scenario]:
        """What instances that prefill, and those that decode, are scored against where the search is ``scenario``."""
        prefill, decode = self.own
        return prefill.under(scenario), decode.under(scenario)

    def link(self, scenario: Scenario, gpus: int) -> Link:
        """Between the pools of a deployment of ``gpus`` accelerators."""
        one, other = self.pools(scenario)
        if alike(one, other):
            return link_of(one.cluster, self.transfer, gpus)
        return link_between(one.cluster, other.cluster, self.transfer, gpus)

    def may(self, prefill: int, decode: int) -> bool:
        """Whether there are so many accelerators for either pool."""
        return bool(self.own[0].has(prefill) and self.own[1].has(decode))


def alike(one: Scenario, other: Scenario) -> bool:
    """Whether both pools have one kind of accelerator, and may share a scale-up domain."""
    return one.accelerator.name == other.accelerator.name and one.cluster == other.cluster


def serving_of(value: Any) -> tuple[str, ...]:
    """``space.serving``; ``InputError`` unless it is ``[aggregated]`` or ``[aggregated, split]``."""
    given = list(value) if isinstance(value, list | tuple) else [value]
    for item in given:
        choice("space.serving", item, SERVING)
    if len(set(given)) < len(given) or "aggregated" not in given:
        raise InputError(
            f"space.serving: {given} is not allowed; give [aggregated] or [aggregated, split]: a split plan is set "
            "beside the best aggregated one"
        )
    return tuple(given)


def asked_of(config: Config, space: Space) -> Asked | None:
    """``None`` where only aggregated plans are asked for; ``InputError`` for what split plans have no answer to."""
    if serving_of(config.space.serving) == ("aggregated",):
        return None
    split = config.space.split
    if config.engine.name == "any":
        raise InputError("space.serving: split needs an engine; engine any is not allowed, give vllm, sglang or trtllm")
    if config.limits.ttft_s is not None and config.limits.ttft_statistic == "burst":
        raise InputError("limits.ttft_statistic: burst is not allowed with space.serving=split; give mean")
    for key, columns in (("columns", config.objective.columns), ("recommend", config.objective.recommend)):
        _known(f"objective.{key}", columns, at_rate=config.workload.arrivals.kind != "closed")
    if config.limits.overflow_risk is not None:
        raise InputError("limits.overflow_risk: is not allowed with space.serving=split: its seats are those that fit")
    check_ranges("space.split", split)
    own = own_pools(config)
    totals = _totals(space, own)
    largest = max(totals) - 1
    machine = own[0].machine
    usual = config.engine.max_batched_tokens if machine is None else machine.engine.max_batched_tokens
    return Asked(
        _sizes("space.split.prefill_gpus", split.prefill_gpus, space, own[0].most(largest)),
        _sizes("space.split.decode_gpus", split.decode_gpus, space, own[1].most(largest)),
        _used(split.prefill_used),
        axis_values("space.split.prefill_tokens", usual if split.prefill_tokens is None else split.prefill_tokens),
        totals,
        Transfer(**checked(Transfer, split, "space.split")),
        own=own,
    )


def _totals(space: Space, own: tuple[Own, Own]) -> tuple[int, ...]:
    """Accelerators of both pools together: the sums of what each may have, or those of the space."""
    prefill, decode = own
    if prefill.gpus and decode.gpus:
        return tuple(sorted({p + d for p in prefill.gpus for d in decode.gpus}))
    totals = space.axes["gpus"]
    if max(totals) < 2:
        raise InputError("space.gpus: split serving needs two accelerators at least")
    for name, pool in (("prefill", prefill), ("decode", decode)):
        if pool.gpus and min(pool.gpus) >= max(totals):
            raise InputError(
                f"space.split.{name}.gpus: {list(pool.gpus)} leaves none of the {max(totals)} of space.gpus to the "
                f"other pool; give at most {max(totals) - 1}, or what the other pool may have too"
            )
    return totals


def _known(key: str, columns: Mapping[str, str], at_rate: bool) -> None:
    """``InputError`` for a column that split plans do not have."""
    known = (*FIGURES, *AT_A_RATE) if at_rate else FIGURES
    for name in columns:
        if name not in known:
            raise InputError(f"{key}.{name}: split plans have no such figure; with space.serving=split give one of "
                             f"{', '.join(known)}")  # fmt: skip


def _sizes(key: str, given: Any, space: Space, largest: int) -> tuple[int, ...]:
    """As given; else the replicas that the space's gpus and dp make, and the powers of two."""
    if given is not None:
        sizes = tuple(size for size in axis_values(key, given) if size <= largest)
        if not sizes:
            raise InputError(f"{key}: {given} leaves no accelerator for the other pool; give at most {largest}")
        return sizes
    made = {g // d for g in space.axes["gpus"] for d in space.axes["dp"] if g % d == 0}
    made |= {1 << i for i in range(largest.bit_length())}
    return tuple(sorted(size for size in made if size <= largest))


def _used(given: Any) -> tuple[float, ...]:
    values = list(given) if isinstance(given, list | tuple) else [given]
    if not values:
        raise InputError("space.split.prefill_used: [] is empty; give at least one number above 0 and below 1")
    return tuple(sorted(float(value) for value in values))
