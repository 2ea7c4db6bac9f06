"""The requests that a simulation sends: from ``workload`` of the configuration to arrays."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from costmodel.lengths import FixedLengths
from costmodel.scenario import Demand
from costmodel.serving.mix import MixedLengths, stratified
from costmodel.serving.prefix_hits import PrefixTrace
from costmodel.serving.simulation.requests import Requests, rows_of
from costmodel.serving.traffic import Length, arrivals
from search.base.errors import InputError
from search.inputs.checks import number
from search.inputs.derived import check_ranges
from search.inputs.schema import MOST_TOKENS, ArrivalsConfig, LengthConfig, LengthsConfig, WorkloadConfig
from search.inputs.traces import read_trace

SAMPLE = 20_000  # requests of a trace that plans are scored for
MOST_BINS = 1000
NEAR = 0.01  # how far a mean may be from the one that plans are scored for


@dataclass(frozen=True)
class Traffic:
    """``rate`` requests a second of the whole deployment arrive by ``process``; ``prompt`` and ``answer`` lengths, or
    those of ``trace``, one request's together. ``hit``: share of each prompt that is found in the cache by
    assumption; without it, of a trace with block ``hashes``, what each plan's own cache holds is found.
    Requests of a trace of more than ``longest`` tokens are left out."""

    process: str
    rate: float | None
    cv: float
    speed: float
    prompt: Length
    answer: Length
    trace: Path | None
    hit: float
    hashes: bool = True
    longest: int | None = None

    def lengths(self) -> FixedLengths:
        """As plans are scored: fixed, or a sample of equally likely requests, those of a trace together."""
        if self.trace is not None:
            found = self._read(SAMPLE)
            isl, osl = round(float(found.prompt_tokens.mean())), round(float(found.answer_tokens.mean()))
            sample = found.prompt_tokens.astype(float), found.answer_tokens.astype(float)
            prefixes = None if found.blocks is None else PrefixTrace(found)
            return MixedLengths(max(isl, 1), max(osl, 1), self.hit, *sample, prefixes)
        elif self.prompt.kind == "fixed":
            return FixedLengths(round(self.prompt.mean), round(self.answer.mean), self.hit)
        else:
            isl, osl, sample = round(self.prompt.mean), round(self.answer.mean), stratified(self.prompt, self.answer)
        return MixedLengths(max(isl, 1), max(osl, 1), self.hit, *sample)

    def demand(self) -> Demand | None:
        """How requests arrive; ``None`` in the closed loop. Of a trace that is replayed: its rate, and its gaps'
        variation."""
        if self.process == "closed":
            return None
        if self.process == "replay":
            gaps = np.diff(self._read(SAMPLE).arrival_s)
            if not len(gaps) or not float(gaps.sum()):
                raise InputError(f"{self.trace}: has no rate; all of its requests arrive at once")
            return Demand(len(gaps) / float(gaps.sum()) * self.speed, float(gaps.std() / gaps.mean()))
        assert self.rate is not None
        return Demand(self.rate, {"constant": 0.0, "poisson": 1.0}.get(self.process, self.cv))

    def requests(self, size: int, seed: int) -> Requests:
        """``size`` of them, the same for the same seed; a trace may hold fewer."""
        rng = np.random.default_rng(seed)
        if self.trace is not None:
            found = self._read(size)
            if self.process == "replay":
                return replace(found, arrival_s=found.arrival_s / self.speed)
        else:
            prompts, answers = self.prompt.draw(size, rng), self.answer.draw(size, rng)
            cached = (prompts * self.hit).astype(np.int64) if self.hit else None
            found = Requests(np.zeros(size), prompts, answers, cached)
        return self._arriving(found, rng)

    def windows(self, size: int, seeds: int) -> list[Requests]:
        """``size`` of them for each seed; of a trace that holds more, stretches that are spread over it."""
        if self.trace is None:
            return [self.requests(size, seed) for seed in range(seeds)]
        found, parts = self._read(SAMPLE), []
        for seed in range(seeds):
            start = int(max(len(found) - size, 0) * (seed + 0.5) / seeds)
            part = rows_of(found, np.arange(start, min(start + size, len(found))))
            part = replace(part, arrival_s=(part.arrival_s - part.arrival_s[0]) / self.speed)
            parts.append(part if self.process == "replay" else self._arriving(part, np.random.default_rng(seed)))
        return parts

    def _arriving(self, found: Requests, rng: np.random.Generator) -> Requests:
        if self.process == "closed":
            return replace(found, arrival_s=np.zeros(len(found)))
        assert self.rate is not None
        return replace(found, arrival_s=arrivals(self.process, self.rate, self.cv, len(found), rng))

    def _read(self, most: int) -> Requests:
        """The trace's first requests: with its hashes, or with the share that is found by assumption."""
        assert self.trace is not None
        found = _kept_trace(self.trace, _stamp(self.trace), most)
        if self.longest is not None:
            fits = np.flatnonzero(found.prompt_tokens + found.answer_tokens <= self.longest)
            if not len(fits):
                raise InputError(f"workload.lengths.longest: {self.longest} leaves no request of {self.trace}")
            found = rows_of(found, fits)
        if self.hashes and not self.hit:
            return found
        cached = (found.prompt_tokens * self.hit).astype(np.int64) if self.hit else None
        return replace(found, cached_tokens=cached, blocks=None)


def _stamp(path: Path) -> tuple[int, int]:
    """Changes with the file."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=2)
def _kept_trace(path: Path, stamp: tuple[int, int], most: int) -> Requests:
    """Each plan that is simulated asks for the same requests."""
    return read_trace(path, most)


def read_traffic(config: WorkloadConfig) -> Traffic:
    """Every key checked; ``InputError`` names the one that is wrong."""
    check_ranges("workload", config)
    process, kind = config.arrivals.kind, config.lengths.kind
    trace = config.lengths.trace
    if (kind == "trace") != (trace is not None):
        raise InputError(
            f"workload.lengths.trace: {trace!r} does not go with kind {kind!r}; give a file with kind trace"
        )
    if process == "replay" and trace is None:
        raise InputError("workload.arrivals.kind: 'replay' needs workload.lengths.kind=trace, whose times it replays")
    rate = config.requests_per_s
    if process in ("closed", "replay"):
        if rate is not None:
            raise InputError(f"workload.requests_per_s: {rate:g} does not go with arrivals {process!r}; leave it out")
    elif rate is None:
        raise InputError(f"workload.requests_per_s: null does not go with arrivals {process!r}; give a rate")
    if config.lengths.longest is not None and trace is None:
        raise InputError("workload.lengths.longest: is for a trace; without one give workload.lengths.*.high")
    shape = "fixed" if kind == "trace" else kind
    return Traffic(
        process=process,
        rate=rate,
        cv=config.arrivals.cv,
        speed=config.arrivals.speed,
        prompt=_length("prompt", "isl", shape, config.isl, config.lengths.prompt),
        answer=_length("answer", "osl", shape, config.osl, config.lengths.answer),
        trace=None if trace is None else Path(trace),
        hit=config.prefix_hit,
        hashes=config.lengths.hashes,
        longest=config.lengths.longest,
    )


def check_context(config: WorkloadConfig, lengths: FixedLengths, longest: int | None) -> None:
    """``InputError`` for a trace with requests that a model of ``longest`` tokens of context refuses."""
    if longest is None or config.lengths.trace is None or not isinstance(lengths, MixedLengths):
        return
    beyond = int(np.sum(lengths.prompts + lengths.answers > longest))
    if beyond:
        raise InputError(
            f"{config.lengths.trace}: {beyond} of {len(lengths.prompts)} requests are longer than the model's context "
            f"of {longest} tokens; set workload.lengths.longest={longest} to leave them out"
        )


def _length(name: str, mean_key: str, kind: str, mean: int, config: LengthConfig) -> Length:
    key = f"workload.lengths.{name}"
    low, spread = config.low, config.spread
    high = math.inf if config.high is None else number(f"{key}.high", config.high, low, MOST_TOKENS, open_low=False)
    if kind == "fixed":
        return Length("fixed", mean)
    if kind == "histogram":
        return _histogram(key, mean_key, mean, config)
    if kind == "uniform":
        if not math.isfinite(high):
            raise InputError(f"{key}.high: null is not allowed with kind uniform; give the longest")
        if abs((low + high) / 2.0 / mean - 1.0) > NEAR:
            raise InputError(
                f"workload.{mean_key}: {mean} is not the mean of {key}, {low:g} to {high:g}; give {(low + high) / 2:g}"
            )
        return Length("uniform", mean, low, high)
    if not spread:
        raise InputError(f"{key}.spread: 0 is not allowed with kind lognormal; give a standard deviation of logarithms")
    if not low < mean < high:
        raise InputError(f"workload.{mean_key}: {mean} is not between {key}.low {low:g} and .high {high:g}")
    made = Length("lognormal", mean, low, high, spread)
    try:
        made.location()
    except ValueError:
        raise InputError(
            f"workload.{mean_key}: no log-normal of spread {spread:g} between {low:g} and {high:g} has a mean of {mean}"
        ) from None
    return made


def _histogram(key: str, mean_key: str, mean: int, config: LengthConfig) -> Length:
    edges, shares = tuple(config.edges), tuple(config.shares)
    if not 1 <= len(shares) <= MOST_BINS or len(edges) != len(shares) + 1:
        raise InputError(
            f"{key}.edges: {len(edges)} with {len(shares)} shares are not allowed; give 1 to {MOST_BINS} shares and "
            "one edge more"
        )
    if any(b <= a for a, b in itertools.pairwise(edges)):
        raise InputError(f"{key}.edges: {list(edges)} is not allowed; give whole numbers, each above the one before")
    if abs(sum(shares) - 1.0) > NEAR:
        raise InputError(f"{key}.shares: {sum(shares):g} in all is not allowed; give shares that add up to 1")
    middles = [(a + b - 1) / 2.0 for a, b in itertools.pairwise(edges)]
    found = sum(s * m for s, m in zip(shares, middles, strict=True)) / sum(shares)
    if abs(found / mean - 1.0) > NEAR:
        raise InputError(f"workload.{mean_key}: {mean} is not the mean of {key}; give {found:.0f}")
    return Length("histogram", mean, edges[0], edges[-1] - 1, 0.0, edges, shares)


def in_closed_loop(config: WorkloadConfig) -> WorkloadConfig:
    """The workload without its traffic: what plans are scored for."""
    return replace(config, requests_per_s=None, arrivals=ArrivalsConfig(), lengths=LengthsConfig())
