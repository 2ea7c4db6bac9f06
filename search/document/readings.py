"""What a claimed figure may have meant: other readings of it, each with a name and its arithmetic.

A reading is physically sensible and holds for any plan; none knows a claimed value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from costmodel.evaluate import evaluate
from costmodel.formats import BF16
from costmodel.parameters import weight_bytes
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import COSTS, Scores
from search.document.account import Reading, decode_reading, scalar, sequence_cache_bytes
from search.document.formats import bytes_per_s, count, figure, gb, percent, seconds, usd
from search.document.steady import Steady, steady


@dataclass(frozen=True)
class Meaning:
    """One way to read a figure: its value under it, and how that comes about."""

    name: str
    value: float
    arithmetic: str


@dataclass(frozen=True)
class Case:
    """A plan whose claims are judged. Derived parts are computed when they are asked for."""

    scenario: Scenario
    plan: Plans
    scores: Scores

    def score(self, name: str) -> float:
        return scalar(getattr(self.scores, name))

    @property
    def gpus(self) -> int:
        return int(self.plan.gpus[0])

    @property
    def in_flight(self) -> int:
        """Sequences of the whole deployment."""
        return int(self.plan.dp[0] * self.plan.batch[0])

    @cached_property
    def steady(self) -> Steady:
        return steady(self.scenario, self.plan)

    @cached_property
    def reading(self) -> Reading:
        return decode_reading(self.scenario, self.plan)

    @cached_property
    def alone(self) -> Scores:
        """The same layout with one sequence."""
        return evaluate(self.scenario, replace(self.plan, batch=0 * self.plan.batch + 1))

    @cached_property
    def whole_prompts(self) -> Scores:
        """The same plan with its batch prefilled in one pass, however many tokens that is."""
        tokens = int(self.steady.sequences * self.scenario.lengths.new)
        engine = replace(self.scenario.engine, max_batched_tokens=max(tokens, 1))
        return evaluate(replace(self.scenario, engine=engine), self.plan)

    @cached_property
    def model_bytes(self) -> float:
        """One copy of the model."""
        model = self.scenario.model
        return sum(weight_bytes(model).values()) + model.vision_parameters * BF16.bytes_per_element


def primary(case: Case, figure_name: str, together: set[str]) -> Meaning:
    """What the figure means here. A ``ttft_s`` that stands alone is the one that the limit bounds: the burst's where
    ``limits.ttft_statistic`` says so and ``burst_ttft_s`` is not claimed beside it."""
    burst = case.scenario.limits.ttft_statistic == "burst"
    if figure_name == "ttft_s" and burst and "burst_ttft_s" not in together:
        s = case.steady
        return Meaning(
            "the last of a burst, which the limit bounds",
            case.score("burst_ttft_s"),
            f"{count(int(case.plan.batch[0]))} prompts of {count(case.scenario.lengths.new)} tokens in "
            f"{count(s.burst_passes)} passes of {seconds(s.burst_pass_s)} are "
            f"{figure('ttft_s', case.score('burst_ttft_s'))}",
        )
    if hasattr(case.plan, figure_name):
        value = scalar(getattr(case.plan, figure_name))
        return Meaning("the plan's own degree", value, f"the plan says {count(value)}")
    value = case.score(figure_name)
    return Meaning("as defined", value, _derivation(case, figure_name, value))


def _derivation(case: Case, name: str, value: float) -> str:
    """How the model comes to a figure, in one line."""
    s, scenario, plan = case.steady, case.scenario, case.plan
    lengths = scenario.lengths
    shown = figure(name, value)
    if name == "weights_bytes_per_gpu":
        parts = f"{int(plan.ep[0])} expert ranks and tp {int(plan.tp[0])}"
        return f"a replica holds all {gb(case.model_bytes)}; over {parts} it is {shown} a GPU"
    if name == "kv_cache_bytes_per_gpu":
        each = sequence_cache_bytes(scenario, plan)
        return f"{count(s.sequences)} sequences × {count(lengths.total)} tokens, {gb(each)} each on a GPU: {shown}"
    if name in ("memory_bytes_per_gpu", "memory_utilization"):
        total = case.score("memory_bytes_per_gpu")
        share = f" of {gb(scenario.accelerator.memory_bytes)}: {shown}" if name == "memory_utilization" else ""
        parts = " + ".join(f"{case.score(p + '_bytes_per_gpu') / 1e9:.2f}" for p in MEMORY_PARTS)
        return f"weights, cache, activations and reserve: {parts} = {gb(total)}{share}"
    if name == "activation_bytes_per_gpu":
        return f"the largest pass has {count(scenario.engine.max_batched_tokens)} new tokens: {shown}"
    if name in ("output_tokens_per_s", "output_tokens_per_s_per_gpu", "requests_per_s"):
        ttft, tpot = case.score("ttft_s"), case.score("tpot_s")
        over = {"output_tokens_per_s_per_gpu": f" over {case.gpus} GPUs", "requests_per_s": f" over {lengths.osl}"}
        return (
            f"{case.in_flight} × {lengths.osl} / ({seconds(ttft)} + {lengths.decodes} × {seconds(tpot)})"
            f"{over.get(name, '')} = {shown}"
        )
    if name in COSTS:
        device, speed = scenario.accelerator, case.score("output_tokens_per_s_per_gpu")
        if name == "joules_per_output_token":
            return f"at most {count(device.power_w or 0.0)} W over {count(speed)} tokens/s a GPU = {shown}"
        return f"{usd(device.price_per_hour or 0.0)} an hour over {count(speed)} tokens/s a GPU = {shown}"
    if name == "tpot_s":
        return f"a step of {seconds(s.decode_s)}, {seconds(s.mixed_s)} with prefill ({percent(s.mixed_share)} of them)"
    if name == "decode_bandwidth_utilization":
        rate = value * scenario.accelerator.memory_bytes_per_s
        return f"{bytes_per_s(rate)} moved in a decode step, of {bytes_per_s(scenario.accelerator.memory_bytes_per_s)}"
    return f"the model's {name} is {shown}"


MEMORY_PARTS = ("weights", "kv_cache", "activation", "reserve")


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
        )
    elif name == "kv_cache_bytes_per_gpu":
        value = sequence_cache_bytes(scenario, plan)
        yield Meaning("the cache of one sequence", value, f"{count(scenario.lengths.total)} tokens take {gb(value)}")
    elif name in ("memory_bytes_per_gpu", "memory_utilization"):
        value = case.score("weights_bytes_per_gpu") + case.score("kv_cache_bytes_per_gpu")
        size = scenario.accelerator.memory_bytes
        share = name == "memory_utilization"
        text = f"{gb(value)}" + (f" of {gb(size)} = {percent(value / size)}" if share else "")
        yield Meaning("weights and cache alone", value / size if share else value, text)
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
