"""From the steps of a server at a rate to distributions of TTFT, TPOT and end-to-end time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from costmodel.plans import Array
from costmodel.serving.rate.distribution import Mixture, Part, of_moments
from costmodel.serving.rate.seats import Seats, seats
from costmodel.serving.rate.steps import Load, Server, Steps, bunching, steps


@dataclass(frozen=True)
class Latencies:
    """Distributions, and what they are made of (for documents): seconds of shape (plans,)."""

    ttft: Mixture
    tpot: Mixture
    e2e: Mixture
    found: Seats
    wait_chance: Any
    wait_s: Any
    queue_s: Any
    own_s: Any
    arrival_s: Any
    in_flight: Any


def latencies(server: Server, load: Load, now: Steps) -> Latencies:
    """``now``: the steps at the load (``steps.decoding``)."""
    mix, tables, engine = load.mix, server.tables, server.engine
    groups, rate, gap = server.groups, load.rate, load.gap
    share, tokens = mix.new.share[:, None], mix.new.tokens[:, None]
    d = now.decodes
    runs = np.ceil(tokens / now.room)
    seen = mix["seen"] + 0.0 * d
    apart = server.apart

    def prefill(prompt: Any, others: Any) -> Any:
        """A pass with a chunk of ``prompt`` tokens and ``others`` prompts of mean length."""
        more = others * mix["new"]
        in_group = np.minimum(prompt + np.maximum(others + 1.0 - groups, 0.0) / groups * mix["new"], now.room)
        return tables.prefill_s(d, in_group, seen, np.maximum(np.minimum(prompt + more, now.room * groups), in_group), apart=apart)

    # Passes by kind: of decodes, and with prompts of each class.
    heavy = prefill(tokens / runs, np.maximum(now.joined - 1.0, 0.0))
    weight = share * runs / np.sum(share * runs, axis=0)

    # An arrival meets passes of prompts that came shortly before it.
    long = np.sum(weight * heavy, axis=0)
    horizon = rate * ((1.5 + engine.steps_ahead) * now.mean_s + long)
    bunched = bunching(horizon, gap)
    busy_share = np.minimum(rate * now.more_s, 0.99)
    if apart:
        met_share = np.clip(now.prefilling * bunched, 0.0, 1.0)
        spread = np.maximum(now.joined - 1.0, 0.0) * now.more_s**2 * mix["new2"] / mix["new"] ** 2
        m1, m2, m3, m4 = (
            (1.0 - met_share) * now.plain_s**k
            + met_share * np.sum(weight * heavy ** (k - 2) * (heavy**2 + k * (k - 1) / 2.0 * spread), axis=0)
            for k in (1, 2, 3, 4)
        )
    else:
        # Each prompt makes its passes longer by what it adds; a long pass brings more of them into a later one.
        alone = prefill(tokens / runs, 0.0 * d) - now.plain_s
        added = (now.mean_s - now.plain_s) / np.maximum(rate * now.mean_s * now.alone_s, 1e-30)
        often = bunched * rate * now.mean_s * share * runs
        k1, k2, k3, k4 = (
            np.sum(often * (alone * added) ** k, axis=0) / (1.0 - (busy_share**k if k > 1 else 0.0)) for k in (1, 2, 3, 4)
        )
        m1 = now.plain_s + k1
        m2 = k2 + m1**2
        m3 = k3 + 3.0 * m1 * k2 + m1**3
        m4 = k4 + 4.0 * m1 * k3 + 3.0 * k2**2 + 6.0 * m1**2 * k2 + m1**4
    residual = of_moments(m2 / (2.0 * m1), m3 / (3.0 * m1), m4 / (4.0 * m1))
    ahead = round(engine.steps_ahead)
    a_pass = of_moments(m1, m2, m3)
    until = residual
    for _ in range(ahead):
        until = until + a_pass

    # Prompts that came into the same pass are prefilled in the same ones.
    joining = rate * m2 / m1 * bunching(rate * m2 / m1 / 2.0, gap)
    fits = now.room * groups / mix["new"] - 1.0
    joining = np.minimum(joining, np.maximum(fits, 0.0))
    request = np.array([engine.request_s(float(t)) for t in mix.new.tokens])[:, None] * (mix["prompt"] / mix["new"])
    whole = tables.prefill_s(d, now.room, seen, now.room * groups, apart=apart)
    own = prefill(tokens / runs, joining / runs) + np.maximum(runs - 1.0, 0.0) * prefill(np.minimum(tokens, now.room), 0.0 * joining)
    variation = rate * m2 / m1 * (now.more_s**2) * mix["new2"] / mix["new"] ** 2
    own_part = Part(own, variation + 0.0 * own, 0.0 * own)
    own_mean = np.sum(share * own, axis=0)

    queue_chance, queue_s = _queue(mix, now, rate / groups, gap, whole)
    found, pooled = _seats(server, load, now, own_mean)
    chance = found.chance
    busy = 1.0 - found.nobody

    present = _sometimes(until, busy)
    lag = d * groups * engine.stream_token_s / engine.stream_interval / 2.0
    shift = Part(request + lag)
    branches = [
        (share * (1.0 - chance) * (1.0 - queue_chance), present + own_part + shift),
        (share * (1.0 - chance) * queue_chance, until + _exp(queue_s) + own_part + shift),
        (share * chance, _exp(found.wait_s) + own_part + shift),
    ]
    ttft = _join(branches)
    wait = of_moments(*(np.sum(np.broadcast_to(w, np.shape(p.mean + 0 * w)) * m, axis=0) for w, p, m in ())) if False else None
    ttft_all = _collapsed(ttft)
    tpot_steps = _tpot(server, load, now, found, m1, m2, m3, own_mean)
    some = mix.decodes.tokens > 0
    each = 1.0 / mix.decodes.tokens[some][:, None]
    tpot = Mixture(mix.decodes.share[some][:, None] / mix.decodes.share[some].sum(), Part(
        tpot_steps.mean + tpot_steps.extra * each,
        tpot_steps.noise * tpot_steps.together(1.0 / each) * each + tpot_steps.slow,
        tpot_steps.noise3 * tpot_steps.together(1.0 / each) ** 1.5 * each**2,
    ))
    turns = mix.decodes.tokens[:, None]
    e2e = Mixture(mix.decodes.share[:, None], Part(
        ttft_all.mean + tpot_steps.extra * np.minimum(turns, 1.0) + turns * tpot_steps.mean,
        ttft_all.variance + turns * tpot_steps.noise * tpot_steps.together(turns) + turns**2 * tpot_steps.slow,
        ttft_all.third + turns * tpot_steps.noise3 * tpot_steps.together(turns) ** 1.5,
    ))
    in_flight = rate * (ttft.mean + mix["decodes"] * tpot_steps.mean)
    return Latencies(ttft, tpot, e2e, found, chance, found.wait_s, queue_chance * queue_s, own_mean, until.mean * busy, in_flight)


def _exp(mean: Any) -> Part:
    return Part(mean, mean**2, 2.0 * mean**3)


def _sometimes(part: Part, chance: Any) -> Part:
    """``part`` with a chance, else nothing."""
    second = part.variance + part.mean**2
    third = part.third + 3.0 * part.mean * part.variance + part.mean**3
    return of_moments(chance * part.mean, chance * second, chance * third)


def _join(branches: list[tuple[Any, Part]]) -> Mixture:
    shape = np.broadcast_shapes(*(np.shape(x) for w, p in branches for x in (w, p.mean)))
    chance = np.concatenate([np.broadcast_to(w, shape) for w, _ in branches])
    columns = [np.concatenate([np.broadcast_to(getattr(p, f), shape) for _, p in branches]) for f in ("mean", "variance", "third")]
    return Mixture(chance, Part(*columns))


def _collapsed(mixture: Mixture) -> Part:
    c, p = mixture.chance, mixture.part
    first = np.sum(c * p.mean, axis=0)
    second = np.sum(c * (p.variance + p.mean**2), axis=0)
    third = np.sum(c * (p.third + 3.0 * p.mean * p.variance + p.mean**3), axis=0)
    return of_moments(first, second, third)


def _queue(mix: Any, now: Steps, rate: Any, gap: Any, whole: Any) -> tuple[Any, Any]:
    """Chance that more prompts wait than a pass takes, and seconds that one then waits: tokens that a pass leaves over,
    U' = max(U + A - M, 0), are the wait of a queue with a service of A tokens every M (Kingman 1961, with the
    correction of Kraemer and Langenbach-Belz, Teletraffic Congress 8, 1976, for arrivals without variance)."""
    room = now.room
    busy = np.minimum(rate * whole * mix["new"] / room, 0.999)
    work = (mix["new2"] / mix["new"] ** 2 - 1.0 + gap) / np.maximum(rate * whole, 1e-12)
    correction = np.exp(-2.0 * (1.0 - busy) / (3.0 * np.maximum(busy * work, 1e-12)))
    mean = busy * busy / (1.0 - busy) * work / 2.0 * correction * whole
    tail = busy * work * whole / 2.0 / (1.0 - busy)
    chance = np.minimum(mean / np.maximum(tail, 1e-30), 1.0)
    return chance, np.maximum(tail, 1e-30)


def _seats(server: Server, load: Load, now: Steps, own_s: Any) -> tuple[Seats, Any]:
    mix = load.mix
    full = steps(server, load, server.seats + 0.0 * load.rate)
    last = steps(server, load, server.seats + 0.0 * load.rate, full_seats=True)
    some = steps(server, load, np.minimum(now.decodes, 0.7 * server.seats))
    stay = own_s + mix["decodes"] * some.step_s + some.extra_s
    full_stay = own_s + mix["decodes"] * full.step_s + full.extra_s
    last_stay = own_s + mix["decodes"] * last.step_s + last.extra_s
    variation = np.maximum(mix["decodes2"] / max(mix["decodes"], 1e-9) ** 2 - 1.0, 0.0) * (mix["decodes"] * now.step_s / stay) ** 2
    pooled = server.seats * server.groups
    return seats(load.rate, load.gap, pooled, np.minimum(load.rate * stay, 0.9 * pooled), stay, full_stay, last_stay, mix["rest"], variation, server.groups), pooled


@dataclass(frozen=True)
class _Tpot:
    mean: Any
    extra: Any
    noise: Any
    noise3: Any
    slow: Any
    busy: Any

    def together(self, turns: Any) -> Any:
        """Variance of ``turns`` steps one after the other over that of as many that have nothing to do with each other: a
        long pass brings more prompts into a later one, so that steps are an autoregression of coefficient ``busy``."""
        a, n = self.busy, np.maximum(turns, 1.0)
        whole = (1.0 + a) / (1.0 - a) - 2.0 * a * (1.0 - a**n) / (n * (1.0 - a) ** 2)
        return whole / (1.0 - a**2)


def _tpot(server: Server, load: Load, now: Steps, found: Seats, m1: Any, m2: Any, m3: Any, own_s: Any) -> _Tpot:
    """Seconds a step and its variance from step to step; ``slow``: the variance of what a whole answer sees, since the
    number that decode changes no faster than they come and go."""
    mix = load.mix
    tokens, share = mix.new.tokens[:, None], mix.new.share[:, None]
    runs = np.ceil(tokens / now.room)
    base = 0.0 if server.apart else now.plain_s
    seen = mix["seen"] + 0.0 * now.decodes
    each_s = runs * (server.tables.prefill_s(now.decodes, tokens / runs, seen, tokens / runs, apart=server.apart) - base)
    scale = np.maximum(now.step_s - now.plain_s, 0.0) / np.maximum(load.rate * now.step_s * now.alone_s, 1e-12)
    often = load.rate * now.step_s * scale**0
    noise = often * np.sum(share * each_s**2, axis=0) * scale**2
    noise3 = often * np.sum(share * each_s**3, axis=0) * scale**3
    d = now.decodes
    up = np.minimum(d * 1.1 + 1.0, np.maximum(server.seats, d + 1e-6))
    slope = (server.tables.decode_s(up) - server.tables.decode_s(d)) / np.maximum(up - d, 1e-9) * now.step_s / now.plain_s
    others = np.minimum(d, np.maximum(server.seats - 1.0, 0.0))
    most = others * np.maximum(server.seats - 1.0 - others, 0.0)
    slow = slope**2 * np.minimum(d * found.spread / server.groups, most) * 0.74
    return _Tpot(now.step_s, now.extra_s, noise, noise3, slow, np.minimum(load.rate * now.more_s, 0.95))
