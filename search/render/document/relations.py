"""What claims say of each other, of the layout and of the hardware: relations that hold whatever the model predicts.

A relation that does not hold is a contradiction inside the plan: its claims and degrees cannot all be true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from search.render.document.case import Case
from search.render.document.derivations import MEMORY_PARTS
from search.render.document.formats import bytes_per_s, count, gb, percent, plural, seconds
from search.render.document.readings import is_burst
from search.render.document.spans import COUNTED, HOLDS
from search.render.document.verdict import CONTRADICTS, Verdict

ROUNDING = 0.01  # of sums and shares that a person rounded
IDENTITY = 0.05  # of a throughput against the latencies that were claimed with it

Claims = Mapping[str, float]


def relations(case: Case, claims: Claims) -> Iterator[Verdict]:
    """Every relation that the claims take part in."""
    for relation in RELATIONS:
        yield from relation(case, claims)


def _parts(case: Case, claims: Claims) -> Iterator[Verdict]:
    """The parts of the memory add up to it. A reserve that is not named may hide in the total."""
    total = claims.get("memory_bytes_per_gpu")
    given = {f"{p}_bytes_per_gpu": claims[f"{p}_bytes_per_gpu"] for p in MEMORY_PARTS if f"{p}_bytes_per_gpu" in claims}
    if total is None or not given:
        return
    added = sum(given.values())
    room = ROUNDING * max(total, added)
    named = {f"{p}_bytes_per_gpu" for p in MEMORY_PARTS[:3]} <= set(given)
    unnamed = 0.0 if "reserve_bytes_per_gpu" in given else case.score("reserve_bytes_per_gpu")
    good = added <= total + room and (not named or total <= added + unnamed + room)
    if good and not named:
        return
    text = " + ".join(f"{g / 1e9:.2f}" for g in given.values()) + f" = {gb(added)}, claimed {gb(total)}"
    name = "claimed parts add up to the claimed memory"
    yield _relation(name, total, added, good, text, "memory_bytes_per_gpu", ("memory_bytes_per_gpu", *given))


def _share(case: Case, claims: Claims) -> Iterator[Verdict]:
    total, share = claims.get("memory_bytes_per_gpu"), claims.get("memory_utilization")
    size = case.scenario.accelerator.memory_bytes
    if total is not None and share is not None:
        good = abs(total / size - share) <= ROUNDING
        text = f"{gb(total)} of {gb(size)} is {percent(total / size)}, claimed {percent(share)}"
        name = "claimed memory is the claimed share"
        both = ("memory_bytes_per_gpu", "memory_utilization")
        yield _relation(name, share, total / size, good, text, "memory_utilization", both)
    wanted = total if total is not None else share * size if share is not None else 0.0
    if wanted > size * (1.0 + ROUNDING):
        which = "memory_bytes_per_gpu" if total is not None else "memory_utilization"
        text = f"{gb(wanted)} on an accelerator of {gb(size)}"
        name = "claimed memory fits the accelerator"
        yield _relation(name, wanted, size, False, text, "memory_bytes_per_gpu", (which, "hardware.memory_bytes"))


def _weights(case: Case, claims: Claims) -> Iterator[Verdict]:
    """Every replica holds the whole model, and every rank its experts, however cleverly the rest is split."""
    claimed = claims.get("weights_bytes_per_gpu")
    if claimed is None:
        return
    each = case.gpus // case.replicas
    least = case.model_bytes / each
    experts = sum(m.rank_bytes for m in case.modules if m.name.split(".")[0] == "experts")
    plan = case.plan.row(0)
    text = (
        f"{plan['gpus']} GPUs as {plural(count(plan['dp']), 'replica')} are {each} a replica: with {gb(claimed)} each "
        f"they hold {gb(claimed * each)}, but one copy of the model is {gb(case.model_bytes)}"
    )
    if experts:
        least = max(least, experts)
        text += f"; ep {plan['ep']} alone puts {gb(experts)} of experts on a GPU"
    good = claimed >= least * (1.0 - COUNTED)
    concerns = ("weights_bytes_per_gpu", "gpus", "dp", *(("ep",) if experts else ()))
    name = "claimed weights hold the whole model in every replica"
    yield _relation(name, claimed, least, good, text, "weights_bytes_per_gpu", concerns)


def needed_bandwidth(case: Case, speed: float) -> tuple[float, str]:
    """The share of the peak bandwidth that a claimed throughput needs to read weights and cache."""
    step = case.in_flight / speed
    r, device = case.reading, case.scenario.accelerator
    share = r.peak_s / step
    rate = (r.weights_bytes + r.cache_bytes) / r.floor_s
    return share, (
        f"{count(speed)} tok/s with {case.in_flight} in flight is a step of {seconds(step)}, but reading "
        f"{gb(r.weights_bytes)} of weights and {gb(r.cache_bytes)} of cache at {bytes_per_s(rate)} takes "
        f"{seconds(r.floor_s)}: it needs {percent(share)} of the peak {bytes_per_s(device.memory_bytes_per_s)}"
    )


def claimed_speed(case: Case, claims: Claims) -> tuple[str, float]:
    """The claimed output tokens a second of the deployment and the claim that says so; 0 where none does."""
    factors = {
        "output_tokens_per_s": 1.0,
        "output_tokens_per_s_per_gpu": float(case.gpus),
        "requests_per_s": float(case.scenario.lengths.osl),
    }
    return next(((name, claims[name] * f) for name, f in factors.items() if claims.get(name)), ("", 0.0))


def _bandwidth(case: Case, claims: Claims) -> Iterator[Verdict]:
    """A throughput is a number of steps a second, each of which reads the weights and the cache."""
    which, speed = claimed_speed(case, claims)
    if not speed:
        return
    needed, text = needed_bandwidth(case, speed)
    achieved = case.reading.peak_s / case.reading.floor_s
    name = "claimed throughput needs no more than the bandwidth achieved"
    unit, good = "decode_bandwidth_utilization", needed <= achieved * (1.0 + 1e-9)
    yield _relation(name, achieved, needed, good, text, unit, (which, "hardware.memory_bytes_per_s"))
    share = claims.get(unit)
    if share is not None:
        # The step of a throughput has prefill in it; a share of decode steps alone is at least as large.
        good = needed <= share * (1.0 + COUNTED)
        name = "claimed bandwidth carries the claimed throughput"
        text = f"{count(speed)} tok/s needs {percent(needed)} to read weights and cache, claimed {percent(share)}"
        yield _relation(name, share, needed, good, text, unit, (which, unit))


def _throughputs(case: Case, claims: Claims) -> Iterator[Verdict]:
    """The same throughput in three units."""
    speed = claims.get("output_tokens_per_s")
    per = {"output_tokens_per_s_per_gpu": (case.gpus, "GPUs"), "requests_per_s": (case.scenario.lengths.osl, "tokens")}
    for name, (n, unit) in per.items():
        if speed is not None and name in claims:
            implied = claims[name] * n
            good = abs(implied - speed) <= ROUNDING * max(speed, implied)
            text = f"{count(claims[name])} × {n} {unit} = {count(implied)}, claimed {count(speed)}"
            yield _relation(
                f"claimed throughput is the claimed {name}", speed, implied, good, text, "output_tokens_per_s",
                ("output_tokens_per_s", name),
            )  # fmt: skip


def _latencies(case: Case, claims: Claims) -> Iterator[Verdict]:
    """Little's law ties throughput to the two latencies; where the mean TTFT is not claimed, the time per token alone
    bounds it."""
    which, speed = claimed_speed(case, claims)
    tpot = claims.get("tpot_s")
    lengths = case.scenario.lengths
    if not speed or not tpot or not lengths.decodes:
        return
    known = "ttft_s" in claims and not is_burst(case, set(claims))
    stay = (claims["ttft_s"] if known else 0.0) + lengths.decodes * tpot
    implied = case.in_flight * lengths.osl / stay
    first = f"{seconds(claims['ttft_s'])} + " if known else ""
    text = (
        f"{case.in_flight} × {lengths.osl} / ({first}{lengths.decodes} × {seconds(tpot)}) = {count(implied)}"
        f"{'' if known else ' at most'}, claimed {count(speed)}"
    )
    good = abs(implied - speed) <= IDENTITY * speed if known else speed <= implied * (1.0 + IDENTITY)
    if good and not known:
        return
    concerns = (which, "tpot_s", *(("ttft_s",) if known else ()))
    name = "claimed throughput follows from the claimed latencies"
    yield _relation(name, speed, implied, good, text, "output_tokens_per_s", concerns)


def _seats(case: Case, claims: Claims) -> Iterator[Verdict]:
    """No more sequences run than are in flight, the same number in every attention group."""
    admitted, groups = claims.get("admitted_batch"), int(case.plan.attn_dp[0])
    batch = -(-int(case.plan.batch[0]) // groups) * groups
    if admitted is not None and admitted > batch:
        text = f"{count(admitted)} admitted of a batch of {count(batch)}"
        name = "claimed sequences are no more than the batch"
        yield _relation(name, admitted, batch, False, text, "admitted_batch", ("admitted_batch", "batch"))


RELATIONS: tuple[Callable[[Case, Claims], Iterator[Verdict]], ...] = (
    _parts, _share, _weights, _bandwidth, _throughputs, _latencies, _seats,
)  # fmt: skip


def _relation(
    claim: str, claimed: float, derived: float, good: bool, text: str, unit: str, concerns: tuple[str, ...]
) -> Verdict:
    reading = "the claims against each other"
    return Verdict(claim, claimed, derived, HOLDS if good else CONTRADICTS, reading, text, unit, concerns=concerns)
