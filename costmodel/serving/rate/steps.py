"""The steps of a server at a rate: how many decode, how often a pass holds prompts, how long passes are.

Open traffic of L requests a second to a replica. A prompt that is alone in its n passes makes them e0 + e1 seconds
longer, one that joins others e1. A pass holds prompts if any came in the passes before from which its own can start:

    f = 1 - P(nobody comes in n E(S)),      E(S) = (S0 + e0 f / n) / (1 - L e1),

with S0 seconds of a pass of decodes (where prompts have passes of their own, a share 1 - f of the passes is of
those). Of a decoding request a step takes t = E(S), or E(S) / (1 - f) where it waits for prompts of its own group.
Who decodes has had a long pass before, its own, during which more requests came than in others: ``extra_s``, a
geometric series of passes that bring passes as long as one is there. Those that decode in a group are, by Little's
law (Operations Research 9, 1961),

    d = L / groups * (E(D) t(d) + extra(d)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import gammaincc

from costmodel.engine import Engine
from costmodel.plans import Array
from costmodel.serving.mix import Mix
from costmodel.serving.rate.tables import PassTables, along, place

# At which the chance that nobody comes is tabulated.
EXPECTED = np.concatenate([[0.0], np.geomspace(0.01, 30.0, 80)])
ROUNDS = 3  # of f and E(S), each given the other
SECANTS = 2
HALVINGS = 9  # of the interval in which the number that decode lies
MOST_BUSY = 0.999  # share of the time that prompts may take: beyond it nothing else moves
SINGLE = 1.5  # passes a prompt, below which prompts can share them


@dataclass(frozen=True)
class Load:
    """What comes: ``rate`` requests a second of a replica, shape (plans,), with gaps of squared coefficient of
    variation ``gap``; lengths by ``mix``."""

    rate: Array
    gap: Array
    mix: Mix

    def nobody(self, expected: Any) -> Any:
        """Chance that in a time in which ``expected`` requests come in the mean none does, from a moment that has
        nothing to do with them."""
        expected = np.maximum(expected, 0.0)
        if np.all(self.gap == 1.0):
            return np.exp(-expected)
        table, of = self._quiet
        return along(EXPECTED, table, expected, of)

    def take(self, index: Any) -> Load:
        """The plans at ``index`` alone."""
        return Load(self.rate[index], self.gap[index], self.mix)

    @cached_property
    def _quiet(self) -> tuple[Array, Any]:
        gaps, of = np.unique(self.gap, return_inverse=True)
        return nobody(EXPECTED[:, None], gaps), of


@dataclass(frozen=True)
class Server:
    """Plans as servers: ``groups`` of a replica, each with ``seats``, arrays of shape (plans,)."""

    tables: PassTables
    engine: Engine
    mix: Mix
    groups: Array
    seats: Array

    @property
    def apart(self) -> bool:
        """Prompts have passes of their own."""
        return self.tables.apart

    @cached_property
    def pooled(self) -> Array:
        """Seats of a replica."""
        return np.maximum(self.seats * self.groups, 1.0)

    def room(self, decodes: Any) -> Any:
        """New tokens of prompts that a pass takes beside ``decodes``."""
        budget = float(self.engine.max_batched_tokens)
        if self.apart:
            return budget + 0.0 * decodes
        return np.maximum(budget - decodes, float(self.engine.block_tokens))

    @cached_property
    def curves(self) -> tuple[Array, ...]:
        """By ``tables.beside`` and layout: seconds that a prompt which is alone adds, in the mean of the requests;
        those of a pass that is full in every group; passes a prompt; and, by class of prompt as well, shape (beside,
        classes, layouts), passes and seconds of each if it is alone."""
        layouts = self.tables.plain.shape[1]
        every = replace(self.tables, of=np.arange(layouts))
        rows = [self._curve(every, np.full(layouts, d)) for d in self.tables.beside]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))

    def _curve(self, every: PassTables, decodes: Array) -> tuple[Array, ...]:
        room, share = self.room(decodes), self.mix.new.share[:, None]
        passes, pass_s = self._alone(every, decodes)
        base = 0.0 if self.apart else every.plain_s(decodes * every.groups)
        whole = every.prompts_s(decodes, room, room * every.groups)
        return np.sum(share * passes * (pass_s - base), axis=0), whole, np.sum(share * passes, axis=0), passes, pass_s

    def prompt_passes(self, decodes: Array) -> tuple[Any, Any]:
        """By class of prompt, shape (classes, plans): passes that one takes, and seconds of each if it is alone."""
        cell, share = place(self.tables.beside, decodes)
        classes, layouts = self.curves[3].shape[1:]
        index = (cell * classes + np.arange(classes)[:, None]) * layouts + self.tables.of
        found = []
        for curve in self.curves[3:]:
            first = curve.ravel().take(index)
            if len(self.tables.beside) > 1:
                first = first + share * (curve.ravel().take(index + classes * layouts) - first)
            found.append(first)
        return found[0], found[1]

    def _alone(self, tables: PassTables, decodes: Array) -> tuple[Array, Array]:
        tokens = self.mix.new.tokens[:, None]
        passes = np.ceil(tokens / self.room(decodes))
        chunk = tokens / passes
        more = tables.pairs_s(self.mix.pairs[:, None] / passes, chunk)
        return passes, tables.prompts_s(decodes, chunk, chunk) + more

    def of_layouts(self, tables: PassTables, groups: Array, seats: Array) -> Server:
        """Other plans of the same layouts: ``tables`` says which layout each has."""
        found = Server(tables, self.engine, self.mix, groups, seats)
        found.__dict__["curves"] = self.curves
        return found

    def take(self, index: Any) -> Server:
        """The plans at ``index`` alone."""
        return self.of_layouts(self.tables.take(index), self.groups[index], self.seats[index])


@dataclass(frozen=True)
class Steps:
    """Of shape (plans,): ``decodes`` of a group, ``plain_s`` of a pass of theirs, ``mean_s`` of any pass, ``step_s``
    of a decoding request from token to token and ``extra_s`` once; ``prefilling`` share of the passes that hold
    prompts, ``own_prefilling`` of one's own group where that stops it, ``joined`` prompts in them; ``alone_s`` and
    ``more_s`` that one prompt adds, alone and beside others; ``runs`` passes a prompt; ``room`` for tokens."""

    decodes: Any
    plain_s: Any
    mean_s: Any
    step_s: Any
    extra_s: Any
    prefilling: Any
    own_prefilling: Any
    joined: Any
    alone_s: Any
    more_s: Any
    whole_s: Any
    runs: Any
    room: Any

    def stay_s(self, mix: Mix) -> Any:
        """Seconds that a request has a seat."""
        return mix["decodes"] * self.step_s + self.extra_s + self.alone_s


def nobody(expected: Any, gap: Any) -> Any:
    """Chance that in a time in which ``expected`` requests come in the mean none does, from a moment that has nothing
    to do with them: the equilibrium excess of gaps of a gamma distribution (Cox, Renewal Theory, 1962, ch. 5)."""
    shape = 1.0 / np.maximum(gap, 1e-2)
    scaled = expected * shape
    return np.clip(gammaincc(shape + 1.0, scaled) - expected * gammaincc(shape, scaled), 0.0, 1.0)


def bunching(inside: Any, gap: Any) -> Any:
    """Arrivals in the time of one stay, counted from an arrival, over those counted from any moment, where ``inside``
    are there in the mean: the renewal function is L t + (ca^2 - 1) / 2 in the long run (Cox, Renewal Theory, 1962, ch.
    4) and starts as ca^2 L t."""
    if np.all(gap == 1.0):
        return 1.0
    inside = np.maximum(inside, 1e-6)
    return 1.0 + (gap - 1.0) * -np.expm1(-2.0 * inside) / (2.0 * inside)


def peakedness(gap: Any, rest: Any) -> Any:
    """Variance over mean of the number inside, if seats are no matter: z = 1 + (ca^2 - 1) E(min(S, S')) / E(S) with the
    last factor ``rest`` (Eckberg, Teletraffic Congress 10, 1983)."""
    return np.maximum(1.0 + (gap - 1.0) * rest, 0.0)


def others_share(decodes: Any, seats: Any) -> Any:
    """Share of the prompts that one who decodes sees prefilled: none that waits for its own seat. Full seats change
    hands c - 1 times beside it while they do c times; the others are all taken with a chance of (d / c)^(c - 1)."""
    return 1.0 - np.clip(decodes / seats, 0.0, 1.0) ** np.maximum(seats - 1.0, 0.0) / seats


def steps(
    server: Server, load: Load, decodes: Any, *, full: bool = False, near: Steps | None = None, rounds: int = ROUNDS
) -> Steps:
    """The steps where ``decodes`` of a group decode at a time. ``full``: every seat is taken, and those that wait come
    in as others leave. ``near``: the steps of a similar load, from which ``rounds`` go on."""
    tables, mix, groups, rate = server.tables, load.mix, server.groups, load.rate
    # One who decodes sees more than are there in the mean, by their variance over it: that of seats which are taken
    # independently, peaked as the arrivals are.
    inside = decodes * groups
    spread = peakedness(load.gap, mix["rest"]) * (1.0 - np.minimum(inside / server.pooled, 1.0))
    bunched = bunching(inside, load.gap)
    plain = tables.plain_s(np.clip(inside + spread, 1.0, server.pooled))
    alone, whole, runs = (along(tables.beside, curve, decodes, tables.of) for curve in server.curves[:3])
    beside = place(tables.beside, decodes)
    room = server.room(decodes)
    base = 0.0 if server.apart else plain
    fills = room / mix["new"]  # prompts in a pass that is full
    one = np.minimum(mix["new"], room)
    first = tables.prompts_s(beside, one, one)
    joined, mean, turn = np.ones_like(decodes), plain, plain
    if near is not None:
        joined, mean, turn = near.joined, near.mean_s, near.mean_s / np.maximum(1.0 - near.prefilling, 1e-3)
    for _ in range(2 * rounds if full and server.apart else rounds):
        count = joined + 1.0
        in_group = np.maximum(count / groups, 1.0)
        tokens = np.minimum(in_group * mix["new"], room)
        several = tables.prompts_s(beside, tokens, np.minimum(count * mix["new"], room * groups))
        fits = (in_group <= fills) & (runs < SINGLE)
        more = np.where(fits, (several - first) / (count - 1.0), (whole - base) / (fills * groups))
        busy = np.minimum(rate * more, MOST_BUSY)
        prefilling = 1.0 - load.nobody(rate * mean * runs)
        prefilling = np.maximum(prefilling, np.minimum(rate * mean / (fills * groups), 1.0))
        if full and server.apart:
            # Seats become free in passes of decodes alone, so each is followed by one with prompts at most.
            ends = -np.expm1(-rate * turn / groups) * runs
            prefilling = np.minimum(prefilling, 1.0 - (1.0 / (1.0 + ends)) ** groups)
        rest = plain * (1.0 - prefilling) if server.apart else plain
        mean = np.maximum(rest + (alone - more) * prefilling / runs, 0.1 * rest) / (1.0 - busy)
        turn = mean / np.maximum(1.0 - prefilling, 1e-3)
        joined = np.clip(rate * mean * runs / np.maximum(prefilling, 1e-12), 1.0, fills * groups)
    others = bunched * others_share(decodes * groups, server.pooled)
    if server.apart:
        own = 1.0 - np.maximum(1.0 - prefilling, 0.0) ** (1.0 / groups)
        waits = own / np.maximum(1.0 - own, 1.0 - MOST_BUSY)
        prompts_s = (mean - rest) / np.maximum(prefilling, 1e-12)
        # Its own group's prompts let it wait, other groups' make the pass longer in which it decodes.
        beside = 1.0 - (1.0 - own) ** (groups - 1.0)
        step = plain + others * beside * np.maximum(prompts_s - plain, 0.0)
        step = step + bunched * others_share(decodes, server.seats) * waits * prompts_s
        variance = (1.0 - prefilling) * (plain - mean) ** 2 + prefilling * (prompts_s - mean) ** 2
    else:
        own = 0.0 * prefilling
        step = plain + others * (mean - plain)
        variance = rate * mean * alone**2 * (mix["new2"] / mix["new"] ** 2) / (1.0 - busy**2)
    extra = 0.0 * mean
    if not full:
        own_s = base + alone + more * rate * (mean + variance / np.maximum(mean, 1e-12))
        last = busy ** (mix["decodes"] / (1.0 + server.engine.steps_ahead))
        # They find a seat unless all others are taken.
        free = 1.0 - np.clip(decodes * groups / server.pooled, 0.0, 1.0) ** np.maximum(server.pooled - 1.0, 0.0)
        extra = others * free * np.maximum(own_s - mean, 0.0) * busy * (1.0 - last) / (1.0 - busy)
    return Steps(decodes, plain, mean, step, extra, prefilling, own, joined, alone, more, whole, runs, room)


def decoding(server: Server, load: Load, guess: Array | None = None) -> Steps:
    """The steps at the load: d by the Illinois form of regula falsi (Dowell and Jarratt, BIT 11, 1971) between nobody
    and all seats, or from a ``guess`` by secants. Where waiting prompts would fill every seat, it is the seats that
    hold them back: all are taken."""
    arrivals = load.rate / server.groups
    decodes = load.mix["decodes"]
    now: Steps | None = None

    def excess(d: Array) -> Array:
        nonlocal now
        now = steps(server, load, d, near=now, rounds=2 if now is None else 1)
        return arrivals * (decodes * now.step_s + now.extra_s) - d

    low, high = np.zeros_like(load.rate), server.seats + 0.0 * load.rate
    at = _illinois(excess, low, high) if guess is None else _secants(excess, np.minimum(guess, high), high)
    found = steps(server, load, at, near=now)
    pinned = (server.seats - arrivals * found.extra_s) / np.maximum(arrivals * decodes, 1e-300)
    return replace(found, step_s=np.minimum(found.step_s, np.maximum(pinned, 0.0)))


def _illinois(excess: Callable[[Array], Array], low: Array, high: Array) -> Array:
    f_low, f_high, last = excess(low), excess(high), np.zeros_like(low)
    for _ in range(HALVINGS):
        width = np.where(f_high < 0.0, f_low - f_high, 1.0)
        at = np.where(f_high < 0.0, low + (high - low) * f_low / np.maximum(width, 1e-30), high)
        f_at = excess(at)
        up = f_at > 0
        f_low, f_high = (
            np.where(up, f_at, np.where(last < 0, f_low / 2.0, f_low)),
            np.where(up, np.where(last > 0, f_high / 2.0, f_high), f_at),
        )
        low, high, last = np.where(up, at, low), np.where(up, high, at), np.where(up, 1.0, -1.0)
    return np.where(np.abs(f_low) < np.abs(f_high), low, high)


def _secants(excess: Callable[[Array], Array], guess: Array, most: Array) -> Array:
    before, f_before = guess, excess(guess)
    at = np.clip(guess + f_before, 0.0, most)
    for _ in range(SECANTS):
        f_at = excess(at)
        slope = (f_at - f_before) / np.where(at == before, np.inf, at - before)
        step = -f_at / np.where(slope < -0.01, slope, -1.0)
        before, f_before, at = at, f_at, np.clip(at + step, 0.0, most)
    return at
