"""Pools under requests that arrive at a rate: cumulants of what a first token waits for, and of tokens after it.

Requests go to instances in turn, so an instance of n sees gaps of squared variation ca^2 / n. A prompt waits for half
of the pass that it falls into, with the chance that one runs (less where gaps are regular), and for the queue: its mean
is that of ``prefill`` times ca^2 + cs^2 (Kingman 1961; 1 for Poisson arrivals of equal prompts), exponential for those
that wait (heavy traffic), who are a share rho. Its own passes are those of its class of lengths. An instance that
decodes holds n sequences with n = rate stay(n) (Little's law); who waits for a seat, and how much n swings, are
``costmodel.serving.rate.seats``'s birth and death process, of the queues that the engine has (``decode.QUEUES``). No
step holds a prompt, so tokens differ by the swing of n alone. Parts are independent: their cumulants add up
(``costmodel.serving.rate.distribution``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.lengths import FixedLengths
from costmodel.plans import Array, IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.serving.mix import Mix
from costmodel.serving.rate.distribution import Part, collapsed, exponential, sometimes
from costmodel.serving.rate.latency import AVERAGED
from costmodel.serving.rate.load import Load, bunching, peakedness
from costmodel.serving.rate.seats import MOST_BUSY, Seats, seats
from costmodel.serving.split.decode import QUEUES, decode
from costmodel.serving.split.prefill import Prefill, prefill

KNOTS = np.unique(np.round(np.geomspace(1.0, 4096.0, 64), 1))  # sequences at which an instance is timed
HALVINGS = 40  # of the interval in which the sequences inside are looked for
MOST_USED = 0.995  # of what a pool can do


@dataclass(frozen=True)
class PrefillRate:
    """Instances of ``plans`` (one each), timed for prompts of the mean length (``mean``) and of each class."""

    mean: Prefill
    classes: tuple[Prefill, ...]
    share: Array
    spread: float

    @classmethod
    def of(cls, scenario: Scenario, plans: Plans) -> PrefillRate:
        mix = Mix.of(scenario.lengths)
        hit = scenario.lengths.prefix_hit
        found = tuple(
            prefill(replace(scenario, lengths=FixedLengths(max(round(tokens), 1), 1, hit)), plans)
            for tokens in mix.prompt_of_new.tolist()
        )
        spread = max(mix["new2"] / mix["new"] ** 2 - 1.0, 0.0)
        return cls(prefill(scenario, plans), found, mix.new.share, spread)

    def take(self, rows: IntArray) -> PrefillRate:
        return PrefillRate(_rows(self.mean, rows), tuple(_rows(c, rows) for c in self.classes), self.share, self.spread)

    def waits(self, rate: Array, gap: Array) -> Part:
        """From arrival to the end of a prompt's passes, at ``rate`` requests a second of one instance with gaps of
        squared variation ``gap``, below its capacity (beyond it: as at ``MOST_USED`` of it)."""
        pool = self.mean
        rate = np.minimum(rate, MOST_USED * pool.capacity_per_s)
        used = rate / pool.capacity_per_s
        length = pool.taken_s(rate)
        busy = np.minimum(rate * length / pool.least, 1.0) * _met(rate * length / pool.least, gap)
        longer = pool.longer(rate, gap)
        whole = length * np.where(pool.serial, pool.passes, 1.0) * longer
        # Longer passes are exponential rather than alike: the rest of one is as long again for those that meet it.
        rest = Part(
            whole / 2.0, whole**2 * (1.0 / 12.0 + (1.0 - 1.0 / longer) / 6.0), whole**3 * (1.0 - 1.0 / longer) / 4.0
        )
        half = sometimes(rest, busy)
        beside = 2.0 * rate * pool.slope_s * half.mean * bunching(rate * half.mean, gap) - pool.slope_s * (
            pool.filled(rate) - pool.least
        )
        times = 1.0 + np.maximum(beside, 0.0) / np.maximum(half.mean, 1e-12)
        half = Part(half.mean * times, half.variance * times**2, half.third * times**3)
        with np.errstate(divide="ignore"):
            alike = (pool.filled(rate) / pool.prompts * used) ** 2 / (
                2.0 * pool.capacity_per_s * np.maximum(1.0 - used, 1e-9)
            )
        varied = gap + self.spread / np.maximum(pool.filled(rate), 1.0)
        varied = varied * _regular(used, gap, varied)
        queue = sometimes(exponential(alike * varied / np.maximum(used, 1e-12)), np.minimum(used, 1.0))
        own = np.stack([c.own_s(rate) for c in self.classes])
        # Prompts that share a pass come at random: as many as there are, times what each adds to it, squared.
        more = pool.slope_s
        others = np.maximum(pool.filled(rate) - pool.least, 0.0)
        shared = Part(0.0 * own, (others * more**2 * gap) + 0.0 * own, (others * more**3) + 0.0 * own)
        found = half + queue + collapsed(self.share[:, None], Part(own, shared.variance, shared.third))
        return found


def _met(expected: Any, gap: Any) -> Any:
    """Of the chance that a prompt that comes at random falls into a pass: how much of it is left where gaps are gamma
    distributed, from the chance that the one before came within the pass (``expected`` come in it)."""
    from scipy.special import gammainc  # a tenth of a second, which no closed loop needs

    shape = 1.0 / np.maximum(gap, 1e-3)
    expected = np.maximum(expected, 1e-12)
    return np.minimum(gammainc(shape, shape * expected) / -np.expm1(-expected), 1.0)


def _regular(used: Any, gap: Any, varied: Any) -> Any:
    """The correction of Kraemer and Langenbach-Belz (Teletraffic Congress 8, 1976) for gaps that vary less."""
    less = np.maximum(1.0 - gap, 0.0)
    power = 2.0 * (1.0 - used) * less**2 / (3.0 * np.maximum(used * varied, 1e-9))
    return np.exp(-np.minimum(power, 700.0))


def _rows(pool: Prefill, rows: IntArray) -> Prefill:
    names = ("passes", "one_s", "full_s", "one_slowest_s", "slowest_s", "least", "prompts", "serial")
    return replace(pool, **{name: getattr(pool, name)[rows] for name in names})


def _along(table: Array, inside: Any, of: IntArray) -> Any:
    """``table`` of shape (knots, layouts) at ``inside`` sequences of row i's layout ``of[i]``, straight lines between
    the knots."""
    at = np.clip(np.searchsorted(KNOTS, inside) - 1, 0, len(KNOTS) - 2)
    share = (inside - KNOTS[at]) / (KNOTS[at + 1] - KNOTS[at])
    return table[at, of] + share * (table[at + 1, of] - table[at, of])


@dataclass(frozen=True)
class DecodeRate:
    """Instances whose layouts were timed at ``KNOTS`` sequences, tables of shape (knots, layouts); row i is layout
    ``of[i]`` with ``count[i]`` seats in ``groups[i]`` attention groups; ``queue`` as in ``QUEUES``."""

    mix: Mix
    tpot_s: Array
    join_s: Array
    stay_s: Array
    of: IntArray
    count: Array
    groups: Array
    queue: str | None = None

    @classmethod
    def of_plans(cls, scenario: Scenario, plans: Plans) -> DecodeRate:
        """``plans.batch`` are the seats."""
        shape = np.stack([getattr(plans, a) for a in ("gpus", "tp", "ep", "pp", "sp")])
        _, first, of = np.unique(shape, axis=1, return_index=True, return_inverse=True)
        layouts = plans.take(first)
        many = layouts.take(np.tile(np.arange(len(first)), len(KNOTS)))
        found = decode(scenario, many, np.repeat(KNOTS, len(first)))
        tpot, join, stay = (
            np.asarray(values).reshape(len(KNOTS), len(first)) for values in (found.tpot_s, found.join_s, found.stay_s)
        )
        count, groups = plans.batch.astype(float), plans.attn_dp.astype(float)
        queue = QUEUES.get(scenario.engine.name)
        return cls(Mix.of(scenario.lengths), tpot, join, stay, np.ravel(of), count, groups, queue)

    def take(self, rows: IntArray) -> DecodeRate:
        return replace(self, of=self.of[rows], count=self.count[rows], groups=self.groups[rows])

    @property
    def capacity_per_s(self) -> Array:
        """Requests a second of an instance all of whose seats are taken."""
        return np.asarray(self.count / np.maximum(_along(self.stay_s, self.count, self.of), 1e-12))

    def seen(self, inside: Any, gap: Any) -> Any:
        """Sequences while one is there: a moment with more of them is met by more, E(n^2) / E(n) = n + var / n, and the
        variance over the mean is the peakedness of the arrivals."""
        more = peakedness(gap, self.mix["rest"])
        return np.clip(inside + more, 1.0, np.maximum(self.count, 1.0))

    def inside(self, rate: Array, gap: Array) -> Array:
        """Sequences that decode in the mean: n = rate stay(n), no more than there are seats."""
        low, high = np.zeros_like(rate), self.count + 0.0 * rate
        for _ in range(HALVINGS):
            middle = (low + high) / 2.0
            less = rate * _along(self.stay_s, self.seen(middle, gap), self.of) > middle
            low, high = np.where(less, middle, low), np.where(less, high, middle)
        return high

    def at(self, rate: Array, gap: Array) -> Decoding:
        """At ``rate`` requests a second of one instance with gaps of squared variation ``gap``, as far as it can
        follow."""
        rate = np.minimum(rate, MOST_USED * self.capacity_per_s)
        mix, count = self.mix, self.count
        inside = self.inside(rate, gap)
        here = self.seen(inside, gap)
        tpot = _along(self.tpot_s, here, self.of)
        answers = max(mix["decodes2"] / max(mix["decodes"], 1e-9) ** 2 - 1.0, 0.0)
        stay = _along(self.stay_s, here, self.of)
        work = answers * (mix["decodes"] * tpot / np.maximum(stay, 1e-12)) ** 2
        found = self._seats(rate, gap, inside, work)
        up = np.minimum(1.1 * here + 1.0, np.maximum(count, here + 1e-6))
        slope = (_along(self.tpot_s, up, self.of) - tpot) / np.maximum(up - here, 1e-9)
        swing = np.minimum(inside * found.spread, inside * np.maximum(count - inside, 0.0))
        join = _along(self.join_s, here, self.of)
        waits = sometimes(exponential(np.maximum(found.wait_s, 1e-12)), found.chance)
        first = waits + Part(join, tpot**2 / 12.0, 0.0 * join)
        return Decoding(inside, tpot, AVERAGED * slope**2 * swing, first, found.chance)

    def _seats(self, rate: Array, gap: Array, inside: Array, work: Array) -> Seats:
        """Of the queues that the engine has: one, or one of each group, between which requests go in turn or to the
        group with the fewest."""
        queues = self.groups if self.queue == "round_robin" else np.ones_like(self.groups)
        groups = self.groups if self.queue == "least_loaded" else np.ones_like(self.groups)
        some = np.minimum(inside, 0.9 * self.count)
        # Where one queue has all its seats taken the others have as many as in the mean.
        full = some + (self.count - some) / queues
        stay, longest = (_along(self.stay_s, np.maximum(n, 1.0), self.of) for n in (some, full))
        found = seats(
            Load.of(rate / queues, gap / queues, self.mix), np.maximum(self.count / queues, 1.0), groups, some / queues,
            stay, longest, self.mix["rest"], work,
        )  # fmt: skip
        more = rate * np.maximum(longest - stay, 0.0) / np.maximum(full - some, 1e-9)
        wide = np.maximum(peakedness(gap, self.mix["rest"]), 0.05) / (1.0 - np.minimum(more, MOST_BUSY))
        return replace(found, spread=wide)  # of all queues together


@dataclass(frozen=True)
class Decoding:
    """Arrays of shape (rows,): sequences ``inside`` an instance in the mean, seconds a token of the mean step and the
    variance of a request's mean (``swing``), ``first``: waiting for a seat and joining the steps, ``chance`` of the
    former."""

    inside: Array
    tpot_s: Array
    swing: Array
    first: Part
    chance: Array
