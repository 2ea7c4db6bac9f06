"""What a claimed figure may have meant: other readings of it, each with a name and its arithmetic.

A reading is physically sensible and holds for any plan; none knows a claimed value.
"""

from __future__ import annotations

from collections.abc import Iterator

from search.render.document.account import scalar, sequence_cache_bytes
from search.render.document.case import Case, Meaning
from search.render.document.derivations import derivation
from search.render.document.formats import count, figure, gb, percent, seconds


def primary(case: Case, figure_name: str, together: set[str]) -> Meaning:
    """What the figure means here. A ``ttft_s`` that stands alone is the one that the limit bounds: the burst's where
    ``limits.ttft_statistic`` says so and ``burst_ttft_s`` is not claimed beside it."""
    if figure_name == "ttft_s" and is_burst(case, together):
        value = case.score("burst_ttft_s")
        return Meaning("the last of a burst, which the limit bounds", value, derivation(case, "burst_ttft_s", value))
    if hasattr(case.plan, figure_name):
        value = scalar(getattr(case.plan, figure_name))
        return Meaning("the plan's own degree", value, f"the plan says {count(value)}")
    value = case.score(figure_name)
    return Meaning("as defined", value, derivation(case, figure_name, value))


def is_burst(case: Case, together: set[str]) -> bool:
    """Whether a claimed ``ttft_s`` is read as the burst's."""
    return case.scenario.limits.ttft_statistic == "burst" and "burst_ttft_s" not in together


def others(case: Case, name: str) -> Iterator[Meaning]:
    """The other readings of a figure, most natural first."""
    scenario, plan = case.scenario, case.plan
    if name == "weights_bytes_per_gpu":
        value = case.model_bytes / case.gpus
        copies = f", though there are {int(plan.dp[0])} copies" if int(plan.dp[0]) > 1 else ""
        yield Meaning(
            "one copy of the model spread over all GPUs of the deployment",
            value,
            f"{gb(case.model_bytes)} / {case.gpus} GPUs = {gb(value)}{copies}",
            exact=True,
        )
    elif name == "kv_cache_bytes_per_gpu":
        value = sequence_cache_bytes(scenario, plan)
        yield Meaning("the cache of one sequence", value, f"{count(scenario.lengths.total)} tokens take {gb(value)}")
    elif name in ("memory_bytes_per_gpu", "memory_utilization"):
        value = case.score("weights_bytes_per_gpu") + case.score("kv_cache_bytes_per_gpu")
        size = scenario.accelerator.memory_bytes
        share = name == "memory_utilization"
        text = f"{gb(value)}" + (f" of {gb(size)} = {percent(value / size)}" if share else "")
        yield Meaning("weights and cache alone", value / size if share else value, text, exact=True)
    elif name == "activation_bytes_per_gpu":
        value = scalar(case.whole_prompts.activation_bytes_per_gpu)
        tokens = count(case.steady.sequences * scenario.lengths.new)
        yield Meaning("the whole batch prefilled in one pass", value, f"{tokens} tokens at once: {gb(value)}")
    elif name in ("ttft_s", "burst_ttft_s"):
        value = scalar(case.alone.burst_ttft_s)
        yield Meaning("one sequence by itself", value, f"one prompt, nothing else running: {seconds(value)}")
        mean = case.score("ttft_s")
        yield Meaning("one more sequence in the steady loop", mean, f"mean of the closed loop: {seconds(mean)}")
    elif name == "tpot_s":
        value = case.steady.decode_s
        yield Meaning("a decode step without prefill", value, f"the step alone takes {seconds(value)}")
    elif name in ("output_tokens_per_s", "output_tokens_per_s_per_gpu", "requests_per_s"):
        per = {"output_tokens_per_s_per_gpu": case.gpus, "requests_per_s": scenario.lengths.osl}.get(name, 1)
        value = case.in_flight / case.steady.decode_s / per
        over = f" / {per}" if per > 1 else ""
        text = f"{case.in_flight} / {seconds(case.steady.decode_s)}{over} = {figure(name, value)}"
        yield Meaning("decoding alone, prefill free of charge", value, text)
    elif name == "decode_bandwidth_utilization":
        yield from _shares(case, name, 1)
    elif name in ("decode_mfu", "prefill_mfu"):
        yield from _shares(case, name, 0)


def _shares(case: Case, name: str, which: int) -> Iterator[Meaning]:
    """A share of what the hardware achieves, in place of its peak."""
    dtype = case.scenario.model.quantization.default.compute
    device = case.scenario.accelerator
    peak = (device.peak(dtype), device.memory_bytes_per_s)[which]
    achieved = case.scenario.law.ceilings(device, dtype)[which]
    value = case.score(name) * peak / achieved
    text = f"{percent(case.score(name))} of the peak is {percent(value)} of the {percent(achieved / peak)} achieved"
    yield Meaning("a share of what is achieved, not of the peak", value, text)
