"""From the steps of a server at a rate to distributions of TTFT, TPOT and end-to-end time.

TTFT of one that finds a seat: the rest of the pass that it falls into, those scheduled ahead, passes that prompts
before it fill, its own. A long pass is hit more often than a short one: the rest of passes S has the moments
E(S^(k+1)) / ((k + 1) E(S)) (Kleinrock, Queueing Systems I, 1975, eq. 5.16). One that waits for a seat waits for that,
then for its own passes. Passes are a sum of what prompts add to them, each L E(S) times a pass: cumulants of a
compound Poisson variable, larger by 1 / (1 - b^k) since a long pass brings more prompts into a later one (b = L e1:
an autoregression).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.plans import Array
from costmodel.serving.rate.crowd import all_taken, others_share, prompt_queue
from costmodel.serving.rate.distribution import Mixture, Part, collapsed, exponential, of_moments, sometimes, together
from costmodel.serving.rate.knots import power
from costmodel.serving.rate.load import Load
from costmodel.serving.rate.seats import Seats, seats
from costmodel.serving.rate.steps import Server, Steps
from costmodel.serving.simulation.deployment import request_seconds

MOST_BUSY = 0.99
MOST_TAKEN = 0.95  # share of the seats at which a stay is told from that of full ones


@dataclass(frozen=True)
class Latencies:
    """Distributions in seconds, and what their means are made of, arrays of shape (plans,): ``until_s`` the pass that a
    request falls into has ended and those scheduled ahead, ``queue_s`` until prompts before it are through, ``own_s``
    its own passes, ``seat_s`` waiting for a seat, ``host_s`` before it is scheduled, ``sent_s`` until a token is sent.
    ``stay_s``: seconds in the server in the mean."""

    ttft: Mixture
    tpot: Mixture
    e2e: Mixture
    seats: Seats
    until_s: Any
    queue_s: Any
    own_s: Any
    seat_s: Any
    host_s: Any
    sent_s: Any

    @property
    def stay_s(self) -> Array:
        return self.e2e.mean


def latencies(server: Server, load: Load, now: Steps, carried: Array, later: bool = True) -> Latencies:
    """``now``: the steps at the load (``steps.decoding``). Without ``later`` the first token alone, which stands for
    the rest then."""
    mix, engine = load.mix, server.engine
    rate, share = load.rate, mix.new.share[:, None]
    passes, alone_s = server.prompt_passes(now.decodes)
    busy = np.minimum(rate * now.more_s, MOST_BUSY)
    met, pass_s = _passes(server, load, now, passes, alone_s, busy)
    until = pass_s[0]
    for _ in range(round(engine.steps_ahead)):
        until = until + pass_s[1]

    # Prompts that came into the same pass are prefilled in the same ones.
    joining = np.minimum(rate * met * load.bunching(rate * met / 2.0), now.room * server.groups / mix["new"])
    # None joins that waits for its seat: of a single one nobody does.
    joining = joining * others_share(all_taken(now.decodes * server.groups, server.pooled), server.pooled)
    own_s = passes * alone_s + joining * now.more_s
    token_s = own_s / mix.new.tokens[:, None]  # what one more token of a class adds, nearly
    varied = joining * now.more_s**2 * (mix["new2"] / mix["new"] ** 2) + token_s**2 * mix.new.variance[:, None]
    own = Part(own_s, varied, 0.0 * own_s)
    own_mean = np.sum(share * own_s, axis=0)

    chance_queue, queue_s = prompt_queue(load, now.whole_s, now.room, server.groups)
    found = _seats(server, load, now, carried, own_mean)
    host = np.array([request_seconds(engine, float(t)) for t in mix.prompt_of_new])[:, None]
    sent = now.decodes * server.groups * engine.stream_token_s / engine.stream_interval / 2.0
    shift = Part(host + sent)
    present = sometimes(until, 1.0 - found.nobody)
    whole = collapsed(share, own + shift)
    ttft = together(
        (share * (1.0 - found.chance) * (1.0 - chance_queue), present + own + shift),
        ((1.0 - found.chance) * chance_queue, until + exponential(queue_s) + whole),
        (found.chance, exponential(found.wait_s) + whole),
    )
    tpot = e2e = ttft
    if later:
        noises = _noises(load, now, passes * (alone_s - (0.0 if server.apart else now.plain_s)))
        tpot, e2e = _later(server, load, now, found, noises, busy, collapsed(ttft.chance, ttft.part))
    free = 1.0 - found.chance
    return Latencies(
        ttft, tpot, e2e, found, free * ((1.0 - chance_queue) * present.mean + chance_queue * until.mean),
        free * chance_queue * queue_s, own_mean, found.chance * found.wait_s, np.sum(share * host, axis=0), sent,
    )  # fmt: skip


def _passes(server: Server, load: Load, now: Steps, passes: Any, alone_s: Any, busy: Any) -> tuple[Any, list[Part]]:
    """E(S^2) / E(S) of the passes that an arrival falls into; the rest of such a pass, and a whole one."""
    mix, rate, share = load.mix, load.rate, load.mix.new.share[:, None]
    # Of passes with prompts it meets those that came shortly before it.
    horizon = rate * ((1.5 + server.engine.steps_ahead) * now.mean_s + now.alone_s)
    bunched = load.bunching(horizon)
    if server.apart:
        weight = share * passes / now.runs
        heavy = alone_s + np.maximum(now.joined - 1.0, 0.0) * now.more_s / now.runs
        met = np.minimum(now.prefilling * bunched, 1.0)
        spread = np.maximum(now.joined - 1.0, 0.0) * now.more_s**2 * (mix["new2"] / mix["new"] ** 2)
        m1, m2, m3, m4 = (
            (1.0 - met) * now.passing_s**k
            + met * np.sum(weight * heavy ** (k - 2) * (heavy**2 + k * (k - 1) / 2.0 * spread), axis=0)
            for k in (1, 2, 3, 4)
        )
    else:
        added = (alone_s - now.passing_s) * (
            (now.mean_s - now.passing_s) / np.maximum(rate * now.mean_s * now.alone_s, 1e-30)
        )
        often = bunched * rate * now.mean_s
        power, cumulants = share * passes, []
        for _ in range(4):
            power *= added
            cumulants.append(often * power.sum(axis=0))
        k1, k2, k3, k4 = cumulants
        square = busy * busy
        k2, k3, k4 = k2 / (1.0 - square), k3 / (1.0 - square * busy), k4 / (1.0 - square * square)
        m1 = now.passing_s + k1
        m2 = k2 + m1**2
        m3 = k3 + m1 * (3.0 * k2 + m1**2)
        m4 = k4 + 4.0 * m1 * k3 + 3.0 * k2**2 + m1**2 * (6.0 * k2 + m1**2)
    rest = of_moments(m2 / (2.0 * m1), m3 / (3.0 * m1), m4 / (4.0 * m1))
    return m2 / m1, [rest, of_moments(m1, m2, m3)]


def _seats(server: Server, load: Load, now: Steps, carried: Array, own_s: Any) -> Seats:
    """Who has a seat meets one more than are there, unless it waited for it. Where all are taken each that leaves lets
    one in: between two that leave there is a prompt and what all inside decode meanwhile."""
    mix, full = load.mix, server.pooled / carried
    stay = own_s + mix["decodes"] * now.step_s + now.extra_s
    inside = np.minimum(load.rate * stay + now.seated, MOST_TAKEN * server.pooled)
    prompts = np.minimum(carried * now.more_s, 1.0)
    answers = mix["decodes2"] / max(mix["decodes"], 1e-12) ** 2 - 1.0
    work = prompts**2 * (mix["new2"] / mix["new"] ** 2 - 1.0) + (1.0 - prompts) ** 2 * max(answers, 0.0)
    return seats(
        load, server.pooled, server.groups, inside, stay, full, mix["rest"], work, now.clustered
    )  # fmt: skip


def _noises(load: Load, now: Steps, added: Any) -> tuple[Any, Any]:
    """Second and third cumulant of a step: of the prompts that are prefilled in it, each of which adds ``added``."""
    rate, share = load.rate, load.mix.new.share[:, None]
    added = added * (np.maximum(now.step_s - now.plain_s, 0.0) / np.maximum(rate * now.step_s * now.alone_s, 1e-30))
    often = rate * now.step_s
    weight = share * added
    weight *= added
    noise = often * weight.sum(axis=0)
    weight *= added
    return noise, often * weight.sum(axis=0)


def _run(server: Server, turns: Any, busy: Any) -> Any:
    """Of steps one after the other, an autoregression of coefficient ``busy``, over as many that are independent."""
    long = np.maximum(turns / (1.0 + server.engine.steps_ahead), 1.0)
    run = power(busy, long) - 1.0
    run *= 2.0 * busy / (1.0 - busy) ** 2
    run /= long
    run += (1.0 + busy) / (1.0 - busy)
    run /= 1.0 - busy**2
    return run


def _later(
    server: Server, load: Load, now: Steps, found: Seats, noises: tuple[Any, Any], busy: Any, ttft: Part
) -> tuple[Mixture, Mixture]:
    """TPOT and end-to-end time, by class of answer. A step's variance is that of prompts that are prefilled in it; long
    answers see all of the number that decode, which changes no faster than requests come and go."""
    mix = load.mix
    noise, noise3 = noises
    d = now.decodes
    up = np.minimum(1.1 * d + 1.0, np.maximum(server.seats, d + 1e-6))
    slope = server.tables.plain_s(up * server.groups) - server.tables.plain_s(d * server.groups)
    slope = slope / np.maximum(up - d, 1e-9) * (now.step_s / now.plain_s)
    others = np.minimum(d, np.maximum(server.seats - 1.0, 0.0))
    most = others * np.maximum(server.seats - 1.0 - others, 0.0)  # Bhatia and Davis, Am. Math. Monthly 107, 2000
    slow = AVERAGED * slope**2 * np.minimum(d * found.spread / server.groups, most)

    turns, classes = mix.decodes.tokens[:, None], mix.decodes.share[:, None]
    steady = np.maximum(turns, 1.0)
    run = _run(server, turns, busy)
    variance, third = turns * noise * run + turns**2 * slow, turns * noise3 * run * np.sqrt(run)
    mean = np.maximum(now.extra_s * np.minimum(turns, 1.0) + turns * now.step_s, turns * now.plain_s)
    apart = mix.decodes.variance[:, None] * now.step_s**2
    e2e = Mixture(classes, Part(ttft.mean + mean, ttft.variance + variance + apart, ttft.third + third))
    tpot = Mixture(
        classes * (turns > 0) / max(float(mix.decodes.share[mix.decodes.tokens > 0].sum()), 1e-12),
        Part(np.where(turns > 0, mean / steady, now.step_s), variance / steady**2, third / steady**3),
        close=True,
    )
    return tpot, e2e


# Variance of the mean of a process over a time as long as its memory: 2 (x - 1 + exp(-x)) / x^2 at x = 1.
AVERAGED = 2.0 * np.exp(-1.0)
