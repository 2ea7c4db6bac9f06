"""The steps of a server at a rate: how many decode, how often a pass holds prompts, how long passes are.

Open traffic of L requests a second to a replica. A prompt that is alone in its n passes makes them e0 + e1 seconds
longer, one that joins others e1. A pass holds prompts if any came in the passes before from which its own can start:

    f = 1 - P(nobody comes in n E(S)),      E(S) = (S0 + e0 f / n) / (1 - L e1),

with S0 seconds of a pass of decodes (where prompts have passes of their own, a share 1 - f of the passes is of
those). Who decodes for D passes does so for D S(m) + b n / L seconds, S of the m that it meets in passes (``crowd``),
b the share of the time that is prompts' and n those that decode while a prompt is prefilled (Little's law for seconds:
Brumelle, Journal of Applied Probability 8, 1971): those that are inside when it comes at random (Wolff, Operations
Research 30, 1982) but those that are through by then, and one fewer if it waits for a seat. In a group decode
d = L / groups * (E(D) t(d) + extra(d)) (Little, Operations Research 9, 1961), ``extra_s`` the cost of those ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from costmodel.engine import Engine
from costmodel.plans import Array, IntArray
from costmodel.serving.mix import Mix
from costmodel.serving.rate.crowd import all_taken, clusters, others_share, prompt_queue, waiting_chance
from costmodel.serving.rate.knots import Lines
from costmodel.serving.rate.load import Load, peakedness
from costmodel.serving.rate.roots import root, secants
from costmodel.serving.rate.tables import PassTables

ROUNDS = 3  # of f and E(S), each given the other
SECANTS = 8  # at most
HALVINGS = 9  # of the interval in which the number that decode lies, at most
CLOSE = 1e-4
MOST_HELD, MOST_GROWN = 0.98, 0.9  # where prompts take all time, or steps grow as fast as those inside
LEAST_APART = 0.05  # of two numbers that decode, from which on the seconds between are a slope
MOST_BUSY = 0.999  # share of the time that prompts may take: beyond it nothing else moves
FILLING = 0.5  # share of a pass that prompts fill, from which on one more begins to cost as in a full pass
SINGLE = 1.5  # passes a prompt, below which prompts can share them


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

    @cached_property
    def kinds(self) -> Array:
        """A number for each layout with so many seats: batches that memory cuts down to the same are one server."""
        return self.tables.of + self.tables.plain.shape[1] * self.seats

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
        every = self.tables.of_layouts(np.arange(self.tables.plain.shape[1]))
        beside = self.tables.beside[:, None] + 0.0 * every.groups
        room, place = self.room(beside), every.place(beside)
        tokens, share = self.mix.new.tokens[:, None], self.mix.new.share[:, None]
        passes = np.ceil(tokens / room[:, None])
        chunk = tokens / passes
        among = place if self.apart else tuple(part[:, None] for part in place)
        pass_s = every.prompts_s(among, chunk) + every.pairs_s(self.mix.pairs[:, None] / passes, chunk)
        base = 0.0 if self.apart else every.plain_s(beside * every.groups)[:, None]
        whole = every.prompts_s(place, room, room * every.groups)
        return np.sum(share * passes * (pass_s - base), axis=1), whole, np.sum(share * passes, axis=1), passes, pass_s

    @cached_property
    def _lines(self) -> Lines | None:
        return None if self.tables.besides is None else Lines.of(self.tables.besides, *self.curves[:3])

    def prompts(self, decodes: Any) -> tuple[Any, ...]:
        """The first three ``curves`` where ``decodes`` of a group decode."""
        if self._lines is None:
            return tuple(curve[0].take(self.tables.of) + 0.0 * decodes for curve in self.curves[:3])
        return self._lines.at(decodes, self.tables.of)

    def prompt_passes(self, decodes: Array) -> tuple[Any, Any]:
        """By class of prompt, shape (classes, plans): passes that one takes, and seconds of each if it is alone."""
        cell, share = self.tables.place(decodes)
        classes, layouts = self.curves[3].shape[1:]
        index = (cell * classes + np.arange(classes)[:, None]) * layouts + self.tables.of
        found = []
        for curve in self.curves[3:]:
            first = curve.ravel().take(index)
            if len(self.tables.beside) > 1:
                second = curve.ravel().take(index + classes * layouts)
                second -= first
                second *= share
                first += second
            found.append(first)
        return found[0], found[1]

    def of_layouts(self, tables: PassTables, groups: Array, seats: Array) -> Server:
        """Other plans of the same layouts: ``tables`` says which layout each has."""
        found = Server(tables, self.engine, self.mix, groups, seats)
        found.__dict__["curves"], found.__dict__["_lines"] = self.curves, self._lines
        return found

    def take(self, index: Any) -> Server:
        """The plans at ``index`` alone."""
        return self.of_layouts(self.tables.take(index), self.groups[index], self.seats[index])


@dataclass(frozen=True)
class Steps:
    """Of shape (plans,): ``decodes`` of a group, ``plain_s`` of a pass of those that one of them meets, ``passing_s``
    of one without prompts, with the decodes that come in it, ``mean_s`` of any pass, ``turn_s`` from one without
    prompts to the next; ``step_s`` of a decoding request from token to token and ``extra_s`` once; ``prefilling`` share
    of the passes that hold prompts, ``joined`` prompts in them; ``alone_s`` and ``more_s`` that one prompt adds, alone
    and beside others; ``whole_s`` of a pass that prompts fill; ``runs`` passes a prompt; ``room`` for tokens;
    ``clustered`` as ``seats`` has it; ``seated`` share of the arrivals that find a seat."""

    decodes: Any
    plain_s: Any
    passing_s: Any
    mean_s: Any
    turn_s: Any
    step_s: Any
    extra_s: Any
    prefilling: Any
    joined: Any
    alone_s: Any
    more_s: Any
    whole_s: Any
    runs: Any
    room: Any
    clustered: Any
    seated: Any

    @property
    def turns(self) -> Array:
        """What the steps of a similar load can begin with: ``joined``, ``mean_s``, seconds between passes without
        prompts."""
        return np.stack([self.joined, self.mean_s, self.turn_s])

    def but(self, **others: Any) -> Steps:
        """As ``dataclasses.replace``, which takes as long as a look-up."""
        return Steps(**(vars(self) | others))

    def stay_s(self, mix: Mix) -> Any:
        """Seconds that a request has a seat."""
        return mix["decodes"] * self.step_s + self.extra_s + self.alone_s


def steps(
    server: Server, load: Load, decodes: Any, *, full: bool = False, near: Array | None = None, rounds: int = ROUNDS
) -> Steps:
    """The steps where ``decodes`` of a group decode at a time. ``full``: every seat is taken, and those that wait come
    in as others leave. ``near``: the ``turns`` of a similar load, from which ``rounds`` go on."""
    tables, mix, groups, rate = server.tables, load.mix, server.groups, load.rate
    # One who decodes sees more than are there in the mean, by their variance over it: that of seats which are taken
    # independently, peaked as the arrivals are.
    inside = decodes * groups
    spread = 1.0 - np.minimum(inside / server.pooled, 1.0)
    if not load.random:
        spread *= peakedness(load.gap, mix["rest"])
    seen = np.clip(inside + spread, 1.0, server.pooled)
    plain = tables.plain_s(seen)
    alone, whole, runs = server.prompts(decodes)
    beside, room = tables.place(decodes), server.room(decodes)
    base = 0.0 if server.apart else plain
    fills = room / mix["new"]  # prompts in a pass that is full
    most = fills * groups
    each = (whole - base) / most
    first = tables.prompts_s(beside, np.minimum(mix["new"], room))
    single = runs < SINGLE
    joined, mean, turn, passing = np.ones_like(decodes), plain, plain, plain
    if near is not None:
        joined, mean, turn = near
    for _ in range(2 * rounds if full and server.apart else rounds):
        count = joined + 1.0
        in_group = np.maximum(count / groups, 1.0)
        tokens = np.minimum(in_group * mix["new"], room)
        several = tables.prompts_s(beside, tokens, np.minimum(count * mix["new"], room * groups))
        chord = (several - first) / joined
        # From passes that prompts share to those that they fill, without a step between the two.
        filled = np.clip((in_group / fills - FILLING) / (1.0 - FILLING), 0.0, 1.0)
        more = np.where(single, chord + filled * (each - chord), each)
        busy = np.minimum(rate * more, MOST_BUSY)
        come = rate * mean
        prefilling = np.maximum(1.0 - load.nobody(come * runs), np.minimum(come / most, 1.0))
        if full and server.apart:
            # Seats become free in passes of decodes alone, so each is followed by one with prompts at most.
            ends = -np.expm1(-rate * turn / groups) * runs
            prefilling = np.minimum(prefilling, 1.0 - (1.0 / (1.0 + ends)) ** groups)
        if not full:
            # Tokens of decodes come at a rate of their own, so that passes hold as many as come in one.
            shared = rate * mix["decodes"] * turn
            shared = shared / np.maximum(-np.expm1(-shared), 1e-9)
            passing = tables.plain_s(np.clip(shared, 1.0, server.pooled))
        rest = passing * (1.0 - prefilling) if server.apart else passing
        mean = np.maximum(rest + (alone - more) * prefilling / runs, 0.1 * rest) / (1.0 - busy)
        turn = mean / np.maximum(1.0 - prefilling, 1e-3) if server.apart else mean
        joined = np.clip(rate * mean * runs / np.maximum(prefilling, 1e-12), 1.0, most)
    prompts_s = (mean - rest) / np.maximum(prefilling, 1e-12)  # of a pass of theirs, where they have their own
    none = 0.0 * mean
    now = Steps(
        decodes, plain, passing, mean, turn, plain, none, prefilling, joined, alone, more, whole, runs, room, none, none
    )
    if full:
        return now.but(step_s=_full_step(server, load, now, prompts_s))
    if server.apart:
        variance = (1.0 - prefilling) * (passing - mean) ** 2 + prefilling * (prompts_s - mean) ** 2
    else:
        variance = rate * mean * alone**2 * (mix["new2"] / mix["new"] ** 2) / (1.0 - busy**2)
    met = mean + variance / np.maximum(mean, 1e-12)
    held = np.clip(1.0 - rest / mean, 0.0, MOST_HELD)
    return _open_steps(server, load, now, met, held, seen, np.clip(shared, 1.0, server.pooled))


def _full_step(server: Server, load: Load, now: Steps, prompts_s: Any) -> Any:
    """From token to token where every seat is taken."""
    groups, inside, plain = server.groups, now.decodes * server.groups, now.plain_s
    bunched = load.bunching(inside)
    others = bunched * others_share(all_taken(inside, server.pooled), server.pooled)
    if not server.apart:
        return plain + others * (now.mean_s - now.passing_s)
    own = 1.0 - np.maximum(1.0 - now.prefilling, 0.0) ** (1.0 / groups)
    waits = own / np.maximum(1.0 - own, 1.0 - MOST_BUSY)
    # Its own group's prompts let it wait, other groups' make the pass longer in which it decodes.
    beside = 1.0 - (1.0 - own) ** (groups - 1.0)
    step = plain + others * beside * np.maximum(prompts_s - plain, 0.0)
    return step + bunched * others_share(all_taken(now.decodes, server.seats), server.seats) * waits * prompts_s


def _open_steps(server: Server, load: Load, now: Steps, met: Any, held: Any, seen: Any, shared: Any) -> Steps:
    """With seats to spare: ``held`` of the time is prompts', and an arrival falls into a pass of ``met`` seconds.
    ``now.plain_s`` is of ``seen`` that decode, ``now.passing_s`` of ``shared``."""
    mix, rate, seats, engine = load.mix, load.rate, server.pooled, server.engine
    varied, answer, plain = mix["new2"] / mix["new"] ** 2, mix["decodes"], now.plain_s
    inside = now.decodes * server.groups
    everybody = np.minimum(inside + rate * now.alone_s, seats)  # its own prompt's passes included

    # Arrivals that are even bring fewer while a prompt is prefilled; of bunched ones that is in their peakedness.
    branch = held if load.random else held * np.minimum(load.gap, 1.0)
    wide = clusters(branch, varied - 1.0) * mix["rest"] + (1.0 if load.random else peakedness(load.gap, mix["rest"]))
    slope = (plain - now.passing_s) / np.maximum(seen - shared, LEAST_APART)
    grows = np.clip(rate * answer * slope / (1.0 - held), 0.0, MOST_GROWN)
    waiting = waiting_chance(everybody, seats, np.maximum(wide, 1.0) / (1.0 - grows))
    seated = 1.0 - waiting
    others = np.clip(1.0 - waiting / np.maximum(everybody, 1e-9), 0.0, 1.0)

    free = np.minimum(np.maximum(now.runs * now.room * server.groups / mix["new"] - 1.0, 0.0), seats - everybody)
    own_s = (0.0 if server.apart else plain) + now.alone_s + now.more_s * np.minimum(rate * seated * met, free)
    chance, queue_s = prompt_queue(load, now.whole_s, now.room, server.groups)
    queue_s = chance * queue_s * seated * (1.0 - 1.0 / seats)

    # Of those that decode at an arrival some are through before its passes; other groups' prompts share those with it.
    passes = 1.0 + engine.steps_ahead + queue_s / now.whole_s + (now.runs - 1.0) / 2.0 * varied
    half = np.exp(-passes / max(answer, 1.0) / 2.0)
    bunched = load.bunching(inside + rate * own_s)
    reach = held * others * np.minimum(bunched, 1.0)
    stays = reach * (1.0 - (1.0 - half * half) / server.groups)
    ratio, ends = (1.0 + np.maximum(bunched, 1.0) * share / (1.0 - share) for share in (reach, stays))
    ahead = bunched * others * (own_s + engine.steps_ahead * now.mean_s) + queue_s
    before = held * half * ahead / server.groups / (1.0 - stays)

    # Whom one meets in passes: those that decode while nothing is prefilled, and itself and its cluster as far as they
    # have seats. Of a birth and death process E(min(N + 1, c)) is the mean inside and the chance to find a seat.
    meets = np.maximum(inside - rate * (before + answer * plain * (ends - ratio)), 0.0)
    meets = meets + seated * wide / (1.0 + np.maximum(wide - 1.0, 0.0) / seats)
    # Steps bend as more decode: of a number that swings their mean is that of two points, its deviation away
    # (Rosenblueth, PNAS 72, 1975).
    swing = np.sqrt(inside * wide * seated)
    plain = sum(server.tables.plain_s(np.clip(meets + side * swing, 1.0, seats)) for side in (-1.0, 1.0)) / 2.0
    return now.but(
        plain_s=plain, step_s=plain * ratio, extra_s=before + answer * plain * (ends - ratio),
        clustered=clusters(branch * seated, varied - 1.0) * mix["rest"], seated=seated,
    )  # fmt: skip


def decoding(server: Server, load: Load, guess: Array | None = None, close: float = CLOSE) -> Steps:
    """The steps at the load: d by regula falsi between nobody and all seats (``close``: in sequences, or relative to
    them), or from a ``guess`` by secants. Where waiting prompts would fill every seat, it is the seats that hold them
    back: all are taken."""
    arrivals = load.rate / server.groups
    decodes = load.mix["decodes"]
    low, high = np.zeros_like(load.rate), server.seats + 0.0 * load.rate
    first = high if guess is None else np.minimum(guess, high)
    now = steps(server, load, first, rounds=2)
    near, f_first = now.turns, first - arrivals * (decodes * now.step_s + now.extra_s)

    def beyond(d: Array, rows: IntArray) -> Array:
        now = steps(server.take(rows), load.take(rows), d, near=near[:, rows], rounds=1)
        near[:, rows] = now.turns
        return d - arrivals[rows] * (decodes * now.step_s + now.extra_s)

    if guess is None:
        at = root(beyond, low, high, beyond(low, np.arange(len(low))), f_first, HALVINGS, close)
    else:
        at = secants(beyond, first, f_first, high, SECANTS, close)
    found = steps(server, load, at, near=near)
    pinned = (server.seats - arrivals * found.extra_s) / np.maximum(arrivals * decodes, 1e-300)
    return found.but(step_s=np.minimum(found.step_s, np.maximum(pinned, 0.0)))
