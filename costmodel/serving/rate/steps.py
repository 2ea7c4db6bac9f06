"""The steps of a server at a rate: how many decode, how often a pass holds prompts, how long passes are.

Open traffic of L requests a second to a replica. In a second E(S) passes of S seconds go by; a prompt that is alone in
its passes makes them longer by e0 + e1 seconds, one that joins others by e1. A pass has prompts if any came in the
passes that its prefill can start from,

    f = 1 - P(nobody comes in n E(S)),      E(S) = (S0 + e0 f / n) / (1 - L e1),

with S0 seconds of a pass of decodes and n passes a prompt. Of a decoding request a step takes t = E(S), or E(S) / (1 - f)
where prompts have passes of their own. Those that decode in a group, by Little's law (Little, Operations Research 9,
1961), are

    d = L / groups * E(D) * t(d).

``capacity`` is the rate at which d reaches the seats or passes hold nothing but prompts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import gammaincc

from costmodel.engine import Engine
from costmodel.plans import Array
from costmodel.serving.mix import Mix
from costmodel.serving.rate.tables import PassTables

ROUNDS = 4  # of f and E(S), each given the other
BISECTIONS = 26
MOST_BUSY = 0.999  # share of the time that passes with prompts may take: beyond it nothing else moves


@dataclass(frozen=True)
class Load:
    """What comes: ``rate`` requests a second of a replica, shape (plans,), with gaps of squared coefficient of
    variation ``gap``; lengths by ``mix``."""

    rate: Array
    gap: Any
    mix: Mix


@dataclass(frozen=True)
class Server:
    """Plans as servers: ``groups`` of a replica, each with ``seats``; ``budget`` new tokens a pass."""

    tables: PassTables
    engine: Engine
    groups: Array
    seats: Array

    @property
    def apart(self) -> bool:
        """Prompts have passes of their own."""
        return bool(self.engine.prefill_first)

    def room(self, decodes: Any) -> Any:
        """New tokens of prompts that a pass takes beside ``decodes``."""
        budget = float(self.engine.max_batched_tokens)
        if self.apart:
            return budget + 0.0 * decodes
        return np.maximum(budget - decodes, float(self.engine.block_tokens))

    def take(self, index: Any) -> Server:
        return Server(self.tables.take(index), self.engine, self.groups[index], self.seats[index])


@dataclass(frozen=True)
class Steps:
    """Of shape (plans,): ``decodes`` of a group, ``plain_s`` of a pass of theirs, ``mean_s`` of any pass, ``step_s``
    of a decoding request from token to token; ``prefilling`` share of the passes that hold prompts, ``joined`` prompts in
    such a run of passes. By class of prompt, shape (classes, plans): ``runs`` passes of ``tokens`` each."""

    decodes: Any
    plain_s: Any
    mean_s: Any
    step_s: Any
    prefilling: Any
    own_prefilling: Any
    joined: Any
    extra_s: Any
    alone_s: Any
    more_s: Any
    room: Any


def nobody(expected: Any, gap: Any) -> Any:
    """Chance that in a time in which ``expected`` requests come in the mean none does, from a moment that has nothing to
    do with them: the equilibrium excess of gaps of a gamma distribution (Cox, Renewal Theory, 1962, ch. 5)."""
    if np.all(gap == 1.0):
        return np.exp(-expected)
    shape = 1.0 / np.maximum(gap, 1e-3)
    scaled = expected * shape
    return np.clip(gammaincc(shape + 1.0, scaled) - expected * gammaincc(shape, scaled), 0.0, 1.0)


def bunching(inside: Any, gap: Any) -> Any:
    """Arrivals in the time of one stay, counted from an arrival, over those counted from any moment, where ``inside``
    are there in the mean: the renewal function is L t + (ca^2 - 1) / 2 in the long run (Cox, Renewal Theory, 1962, ch.
    4) and starts as ca^2 L t."""
    inside = np.maximum(inside, 1e-6)
    return 1.0 + (gap - 1.0) * -np.expm1(-2.0 * inside) / (2.0 * inside)


def others_share(decodes: Any, seats: Any) -> Any:
    """Share of the prompts that one who decodes sees prefilled: none that waits for its own seat. Full seats change
    hands c - 1 times beside it while they do c times; the others are all taken with a chance of (d / c)^(c - 1)."""
    seats = np.maximum(seats, 1.0)
    return 1.0 - np.clip(decodes / seats, 0.0, 1.0) ** (seats - 1.0) / seats


def steps(server: Server, load: Load, decodes: Any, *, full_seats: bool = False) -> Steps:
    """The steps where ``decodes`` of a group decode at a time. ``full_seats``: those that wait come in as others leave."""
    mix, tables = load.mix, server.tables
    groups = server.groups
    # Of one who decodes: it and, as it finds them, the others. The least busy group takes an arrival.
    bunched = bunching(decodes * groups, load.gap)
    pooled = np.maximum(server.seats * groups, 1.0)
    present = np.minimum(decodes * groups * bunched + 1.0, pooled)
    plain = tables.decode_s(np.maximum(present / groups, 1.0), present)
    room = server.room(decodes)
    tokens = mix.new.tokens[:, None]
    runs = np.ceil(tokens / room)
    base = 0.0 if server.apart else plain
    # A prompt that is alone, and one that comes second.
    seen = mix["seen"] + 0.0 * decodes
    chunk = tokens / runs
    pass_s = tables.prefill_s(decodes, chunk, seen, chunk, apart=server.apart)
    share = mix.new.share[:, None]
    alone = np.sum(share * runs * (pass_s - base), axis=0)
    mean_runs = np.sum(share * runs, axis=0)
    mean_new = mix["new"]
    full = room / mean_new  # prompts in a pass that is full
    found_joined = np.ones_like(decodes)
    f = prefilling = mean = more = np.zeros_like(decodes)
    mean = plain + 0.0 * decodes
    first = tables.prefill_s(decodes, np.minimum(mean_new, room), seen, np.minimum(mean_new, room), apart=server.apart)
    whole = tables.prefill_s(decodes, room, seen, room * groups, apart=server.apart)
    for _ in range(ROUNDS):
        # From one prompt to ``found_joined + 1``; a full pass where one does not hold as many.
        count = found_joined + 1.0
        in_group = np.maximum(count / groups, 1.0)
        some = tables.prefill_s(
            decodes, np.minimum(in_group * mean_new, room), seen, np.minimum(count * mean_new, room * groups),
            apart=server.apart,
        )  # fmt: skip
        fits = (in_group <= full) & (mean_runs < 1.5)
        more = np.where(fits, (some - first) / (count - 1.0), (whole - base) / (full * groups))
        first_s = alone - more
        busy = np.minimum(load.rate * more, MOST_BUSY)
        prefilling = np.maximum(
            1.0 - nobody(load.rate * mean * mean_runs, load.gap), np.minimum(load.rate * mean / (full * groups), 1.0)
        )
        if full_seats and server.apart:
            # Seats become free in passes of decodes alone, so each is followed by one with prompts at most.
            turn = mean / np.maximum(1.0 - prefilling, 1e-3)
            ends = -np.expm1(-load.rate * turn / groups) * mean_runs
            prefilling = np.minimum(prefilling, 1.0 - (1.0 / (1.0 + ends)) ** groups)
        base_s = plain * (1.0 - prefilling) if server.apart else plain
        mean = np.maximum(base_s + first_s * prefilling / mean_runs, 0.1 * base_s) / (1.0 - busy)
        f = prefilling / mean_runs
        found_joined = np.clip(load.rate * mean / np.maximum(f, 1e-12), 1.0, full * groups)
    with_prompts = (mean - base_s) / np.maximum(prefilling, 1e-12) + (0.0 if server.apart else plain)
    others = bunched * others_share(decodes * groups, pooled)
    if server.apart:
        # Its own group's prompts let it wait, other groups' make the pass in which it decodes longer.
        own = 1.0 - (1.0 - prefilling) ** (1.0 / groups)
        other = 1.0 - (1.0 - own) ** (groups - 1.0)
        waits = own / np.maximum(1.0 - own, 1.0 - MOST_BUSY)
        step = plain + others * other * np.maximum(with_prompts - plain, 0.0)
        step = step + bunched * others_share(decodes, server.seats) * waits * with_prompts
        variance = (1.0 - prefilling) * (plain - mean) ** 2 + prefilling * (with_prompts - mean) ** 2
        own_s = alone
    else:
        own = 0.0 * prefilling
        step = plain + others * (mean - plain)
        variance = load.rate * mean * alone**2 * (mix["new2"] / mean_new**2) / (1.0 - busy**2)
        own_s = plain + alone
    # What comes during one's own prefill, more than in a usual pass, is prefilled while one decodes.
    own_s = own_s + more * load.rate * (mean + variance / mean)
    extra = others * np.maximum(own_s - mean, 0.0) * busy / (1.0 - busy)
    if full_seats:  # as many come in as leave, whatever the pass
        extra = 0.0 * extra
    return Steps(decodes, plain, mean, step, prefilling, own, found_joined, extra, alone, more, room)


def stay_s(load: Load, now: Steps) -> Any:
    """Seconds that a request has a seat."""
    return load.mix["decodes"] * now.step_s + now.extra_s + now.alone_s


def decoding(server: Server, load: Load) -> tuple[Steps, Array]:
    """The fixed point d, by bisection between nobody and all seats; and where there is none (``unstable``)."""
    per_group = load.rate / server.groups * load.mix["decodes"]
    low, high = np.zeros_like(load.rate), server.seats + 0.0 * load.rate
    at_most = steps(server, load, high, full_seats=True)
    unstable = load.rate / server.groups * stay_s(load, at_most) > server.seats
    found = steps(server, load, _root(server, load, per_group, low, high))
    # Where waiting prompts would fill every seat, it is the seats that hold them back: all are taken (Little's law).
    pinned = np.minimum(found.step_s, (server.seats - load.rate / server.groups * found.extra_s) / np.maximum(per_group, 1e-300))
    return replace(found, step_s=pinned), unstable


def _root(server: Server, load: Load, per_group: Array, low: Array, high: Array) -> Array:
    """d where L E(D) t(d) - d changes its sign: the Illinois form of regula falsi (Dowell and Jarratt, BIT 11, 1971)."""

    def excess(d: Array) -> Array:
        now = steps(server, load, d)
        return per_group * now.step_s + load.rate / server.groups * now.extra_s - d

    f_low, f_high = excess(low), excess(high)
    kept = np.zeros_like(low)
    for _ in range(10):
        width = f_low - f_high
        at = np.where(width > 0, low + (high - low) * f_low / np.where(width > 0, width, 1.0), high)
        at = np.clip(at, low, high)
        f_at = excess(at)
        up = f_at > 0
        f_low, f_high = (
            np.where(up, f_at, np.where(kept < 0, f_low / 2.0, f_low)),
            np.where(up, np.where(kept > 0, f_high / 2.0, f_high), f_at),
        )
        low, high, kept = np.where(up, at, low), np.where(up, high, at), np.where(up, 1.0, -1.0)
    return np.where(np.abs(f_low) < np.abs(f_high), low, high)
