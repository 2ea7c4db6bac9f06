"""How the model comes to a figure: one line with the terms and their numbers."""

from __future__ import annotations

from collections.abc import Callable

from costmodel.memory.device import usable_bytes
from search.render.document.account import sequence_cache_bytes
from search.render.document.case import Case
from search.render.document.formats import bytes_per_s, count, figure, flops_per_s, gb, percent, plural, seconds, usd

MEMORY_PARTS = ("weights", "kv_cache", "activation", "reserve")


def derivation(case: Case, name: str, value: float) -> str:
    """The arithmetic behind ``value`` of the figure ``name``."""
    shown = figure(name, value)
    if name in LINES:
        return LINES[name](case, value, shown)
    if name.startswith("limit_"):
        return f"the same work on {case.gpus} GPUs with perfect overlap and no messages: {shown}"
    return f"the model's {name} is {shown}"


def _weights(case: Case, value: float, shown: str) -> str:
    sizes: dict[str, float] = {}
    for part in case.modules:
        kind = part.name.split(".")[0]
        sizes[kind] = sizes.get(kind, 0.0) + part.rank_bytes
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    parts = [f"{kind} {size / 1e9:.2f}" for kind, size in largest if size >= 0.005 * 1e9] or ["in all"]
    split = f"{int(case.plan.ep[0])} expert ranks and tp {int(case.plan.tp[0])}"
    return f"a replica holds all {gb(case.model_bytes)}; over {split} a GPU has {' + '.join(parts)} = {shown}"


def _cache(case: Case, value: float, shown: str) -> str:
    each, tokens = sequence_cache_bytes(case.scenario, case.plan), case.scenario.lengths.total
    return (
        f"{count(case.steady.sequences)} sequences × {count(tokens)} tokens × {count(round(each / tokens))} bytes a "
        f"token on a GPU = {shown}"
    )


def _activations(case: Case, value: float, shown: str) -> str:
    return f"the largest pass has {count(case.scenario.engine.max_batched_tokens)} new tokens: {shown}"


def _reserve(case: Case, value: float, shown: str) -> str:
    return f"libraries, communication buffers and captured graphs (engine.memory) and engine.reserve_bytes: {shown}"


def _memory(case: Case, value: float, shown: str) -> str:
    parts = " + ".join(f"{case.score(p + '_bytes_per_gpu') / 1e9:.2f}" for p in MEMORY_PARTS)
    return f"weights, cache, activations and reserve: {parts} = {gb(case.score('memory_bytes_per_gpu'))}"


def _share_of_memory(case: Case, value: float, shown: str) -> str:
    return f"{_memory(case, value, shown)} of {gb(case.scenario.accelerator.memory_bytes)}: {shown}"


def _capacity(case: Case, value: float, shown: str) -> str:
    scenario = case.scenario
    usable = scenario.limits.memory_fraction * usable_bytes(scenario.accelerator)
    beside = [case.score(p + "_bytes_per_gpu") for p in ("weights", "activation", "reserve")]
    each = sequence_cache_bytes(scenario, case.plan) / scenario.lengths.total
    parts = " - ".join(f"{size / 1e9:.2f}" for size in [usable, *beside])
    return (
        f"usable memory less weights, activations and reserve: {parts} = {gb(max(usable - sum(beside), 0.0))}, at "
        f"{count(round(each))} bytes a token {shown} tokens an attention group"
    )


def _admitted(case: Case, value: float, shown: str) -> str:
    groups = int(case.plan.attn_dp[0])
    return (
        f"{plural(count(groups), 'attention group')}, each with room for {count(case.score('kv_capacity_tokens'))} "
        f"tokens, admit {shown} of {count(int(case.plan.batch[0]))} sequences"
    )


def _throughput(case: Case, value: float, shown: str) -> str:
    ttft, tpot = case.score("ttft_s"), case.score("tpot_s")
    lengths = case.scenario.lengths
    return f"{case.in_flight} × {lengths.osl} / ({seconds(ttft)} + {lengths.decodes} × {seconds(tpot)})"


def _tpot(case: Case, value: float, shown: str) -> str:
    s = case.steady
    return f"a step of {seconds(s.decode_s)}, {seconds(s.mixed_s)} with prefill ({percent(s.mixed_share)} of them)"


def _ttft(case: Case, value: float, shown: str) -> str:
    s = case.steady
    terms = [
        ("the rest of a running step", s.arrival_s),
        ("waiting for the prefill", s.queue_s),
        (f"{plural(count(s.prefills), 'pass')} of its own", s.own_s),
        ("the host", s.request_s),
        ("waiting to be sent", s.stream_s),
        ("waiting for cache", s.outside_s),
    ]
    return " + ".join(f"{seconds(term)} {text}" for text, term in terms if term > 0.0) + f" = {shown}"


def _burst(case: Case, value: float, shown: str) -> str:
    s, prompts = case.steady, count(int(case.plan.batch[0]))
    return (
        f"{prompts} prompts of {count(case.scenario.lengths.new)} tokens in {count(s.burst_passes)} passes of at "
        f"most {seconds(s.burst_pass_s)} are {shown}; computing alone takes {seconds(case.score('limit_burst_ttft_s'))}"
    )


def _bandwidth(case: Case, value: float, shown: str) -> str:
    peak = case.scenario.accelerator.memory_bytes_per_s
    return f"{bytes_per_s(value * peak)} moved in a decode step, of {bytes_per_s(peak)}"


def _mfu(phase: str) -> Callable[[Case, float, str], str]:
    def line(case: Case, value: float, shown: str) -> str:
        peak = case.scenario.accelerator.peak(case.scenario.model.quantization.default.compute)
        return f"{flops_per_s(value * peak)} in a {phase}, of {flops_per_s(peak)}"

    return line


def _share_of_limit(case: Case, value: float, shown: str) -> str:
    speed, limit = case.score("output_tokens_per_s"), case.score("limit_output_tokens_per_s")
    return f"{count(speed)} of {count(limit)} tok/s is {shown}"


def _money(case: Case, value: float, shown: str) -> str:
    price, speed = case.scenario.accelerator.price_per_hour or 0.0, case.score("output_tokens_per_s_per_gpu")
    return f"{usd(price)} an hour over {count(speed)} tok/s a GPU = {shown}"


def _energy(case: Case, value: float, shown: str) -> str:
    power, speed = case.scenario.accelerator.power_w or 0.0, case.score("output_tokens_per_s_per_gpu")
    return f"at most {count(power)} W over {count(speed)} tok/s a GPU = {shown}"


LINES: dict[str, Callable[[Case, float, str], str]] = {
    "weights_bytes_per_gpu": _weights,
    "kv_cache_bytes_per_gpu": _cache,
    "activation_bytes_per_gpu": _activations,
    "reserve_bytes_per_gpu": _reserve,
    "memory_bytes_per_gpu": _memory,
    "memory_utilization": _share_of_memory,
    "kv_capacity_tokens": _capacity,
    "admitted_batch": _admitted,
    "output_tokens_per_s": lambda c, v, shown: f"{_throughput(c, v, shown)} = {shown}",
    "output_tokens_per_s_per_gpu": lambda c, v, shown: f"{_throughput(c, v, shown)} over {c.gpus} GPUs = {shown}",
    "requests_per_s": lambda c, v, shown: f"{_throughput(c, v, shown)} over {c.scenario.lengths.osl} = {shown}",
    "tpot_s": _tpot,
    "ttft_s": _ttft,
    "burst_ttft_s": _burst,
    "decode_bandwidth_utilization": _bandwidth,
    "decode_mfu": _mfu("decode step"),
    "prefill_mfu": _mfu("prefill pass"),
    "share_of_limit": _share_of_limit,
    "usd_per_million_output_tokens": _money,
    "joules_per_output_token": _energy,
}
