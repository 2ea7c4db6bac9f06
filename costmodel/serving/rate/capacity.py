"""The most requests a second that a plan carries: at all, and within its limits."""

from __future__ import annotations

import numpy as np

from costmodel.plans import Array, IntArray, grouped
from costmodel.serving.rate.knots import Knots, Lines
from costmodel.serving.rate.load import Load
from costmodel.serving.rate.roots import Rising, root
from costmodel.serving.rate.steps import Server, steps

ROUNDS = 14  # of regula falsi for the capacity, at most
CLOSE = 1e-6
LAZY = 1e5  # times the seconds between requests that an idle server asks for: no pass is long
# Of a group, at which the capacity is worked out.
SEATS = Knots.of([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 8192], 1)
TRIES = 12  # for the most requests within the limits, at most
NEAR = 2e-3  # how close it is looked for, in the logarithm of what is missed or relative to the rate


def capacity(server: Server, load: Load) -> Array:
    """Requests a second of a replica at which all seats are taken for good, shape (plans,): the root of L stay(L) =
    seats. Worked out at some numbers of seats a layout, between which the stay is a straight line. A replica sends its
    answers' tokens one after the other, which is a limit of its own."""
    tables, size = server.tables, len(SEATS.at)
    first, _ = grouped(tables.of)
    cell = tables.of * size + SEATS.place(server.seats)[0]
    used = np.zeros(tables.plain.shape[1] * size, dtype=bool)
    used[cell] = used[cell + 1] = True  # knots between which some plan lies
    layout, knot = np.divmod(np.flatnonzero(used), size)
    knots = server.of_layouts(tables.of_layouts(layout), tables.groups[layout], SEATS.at[knot])
    stays = np.zeros((size, len(first)))
    stays[knot, layout] = knots.pooled / _capacity(knots, load.take(first[layout]))
    carried = server.pooled / Lines.of(SEATS, stays).at(server.seats, tables.of)[0]
    engine = server.engine
    if engine.stream_token_s:
        carried = np.minimum(carried, engine.stream_interval / engine.stream_token_s / load.mix["answers"])
    return carried


def _capacity(server: Server, load: Load) -> Array:
    """By 1 / L, of which seats / (L stay) is a straight line where a pass grows by as much with each prompt."""
    mix = load.mix
    idle = steps(server, load.at(np.full_like(load.rate, 1e-9)), server.seats, full=True)
    near = idle.turns

    def room(gap_s: Array, rows: IntArray) -> Array:
        some = server.take(rows)
        now = steps(some, load.take(rows).at(1.0 / gap_s), some.seats, full=True, near=near[:, rows], rounds=2)
        near[:, rows] = now.turns
        return some.pooled * gap_s / now.stay_s(mix) - 1.0

    least = idle.stay_s(mix) / server.pooled
    return 1.0 / root(room, least, LAZY * least, room(least, np.arange(len(least))), LAZY - 1.0, ROUNDS, CLOSE)


def most(limit: Array, missed: Rising) -> Array:
    """The largest rate below ``limit`` at which ``missed`` (how far the worst limit is missed, rising with the rate,
    for the plans of some rows) is at most 0; 0 where it is missed by a server that is nearly idle."""
    every = np.arange(len(limit))
    low, high = 1e-3 * limit, 0.999 * limit
    f_low = missed(low, every)
    found = np.where(f_low > 0.0, 0.0, limit)
    some = np.flatnonzero(f_low <= 0.0)
    f_high = missed(high[some], some)
    some, f_high = some[f_high > 0.0], f_high[f_high > 0.0]
    found[some] = root(
        lambda rate, rows: missed(rate, some[rows]), low[some], high[some], f_low[some], f_high, TRIES, NEAR
    )
    return found
