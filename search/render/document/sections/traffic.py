"""Requests at a rate: percentiles, where the time to first token goes, how much more the plan carries, and what a
simulation of it says."""

from __future__ import annotations

from costmodel.plans import READING_ORDER
from search.render.document import formats
from search.render.document.formats import bullets, table
from search.render.document.view import View

STATISTICS = ("", "_p50", "_p90", "_p95", "_p99")
NAMES = ("mean", "p50", "p90", "p95", "p99")
LATENCIES = {"ttft_s": "time to first token", "tpot_s": "time per output token", "e2e_s": "end to end"}
ARRIVALS = {"poisson": "at random (Poisson)", "constant": "equally spaced", "gamma": "with gamma distributed gaps"}


def traffic(v: View) -> str:
    """Nothing in the closed loop, unless plans were simulated in it."""
    if "traffic.requests_per_s" not in v:
        return _closed(v)
    r, t = v.at("recommended"), v.at("traffic")
    rows = [[title, *(r.s(name + s) for s in STATISTICS)] for name, title in LATENCIES.items()]
    kind = str(t.raw("arrivals"))
    text = [
        f"{t.n('requests_per_s')} requests/s arrive {ARRIVALS.get(kind, kind)}, gaps of coefficient of variation "
        f"{t.n('gap_cv')}; lengths are {t.text('lengths')}, in and out.",
        table(["", *NAMES], rows),
        bullets(_lines(r)),
    ]
    if v.children("regime.crossing"):
        text += ["### At other rates", _crossings(v.at("regime"))]
    simulated = list(t.each("simulated"))
    if simulated:
        text += ["### Simulated", _simulated(simulated)]
    others = list(v.each("baseline"))
    if others:
        text += ["### Earlier plans under this traffic", bullets([_baseline(b) for b in others])]
    return "\n\n".join(text)


def _closed(v: View) -> str:
    """Percentiles of the closed loop, which formulas do not have."""
    rows = []
    for p in v.at("traffic").each("simulated"):
        name = p.text("plan") + (" (recommended)" if p.raw("recommended") == "yes" else "")
        for figure, title in LATENCIES.items():
            mean = p.s(f"{figure}.analytic") if f"{figure}.analytic" in p else ""
            rows.append([name, title, mean, *(p.s(f"{figure}{s}.simulated") for s in STATISTICS)])
            name = ""
    if not rows:
        return ""
    first = next(iter(v.at("traffic").each("simulated")))
    return (
        f"{first.n('seeds')} runs of {first.n('requests')} requests each in the closed loop, `batch` of each replica "
        "always inside, one after the other through the engine's scheduler (docs/simulate.md).\n\n"
        + table(["plan", "", "mean, formulas", *(f"{name}, simulated" for name in NAMES)], rows, text=(0, 1))
    )


def _lines(r: View) -> list[str]:
    found = []
    if "prefix_hit" in r:
        found = [
            f"A group's own cache has room for {r.n('prefix_capacity_tokens')} tokens of prompts and finds "
            f"{r.pct('prefix_hit')} of what comes; prompts that nobody uses just then keep "
            f"{formats.gb(r.number('prefix_bytes_per_gpu'))} a GPU until room is lacking."
        ]
    return [
        *found,
        f"{r.pct('goodput')} of the requests keep every limit on latency (their chances multiplied, a lower bound).",
        f"{r.n('requests_in_flight')} requests are in flight in the mean (Little's law); a replica has "
        f"{r.n('rate.seats')} seats a group, and {r.pct('seat_wait_chance')} of the requests wait for one.",
        f"The plan carries {r.n('capacity_requests_per_s')} requests/s at most, and {r.n('max_requests_per_s')} within "
        f"its limits: {formats.signed_percent(r.number('rate_headroom'))} over what is wanted.",
        f"The caches in flight outgrow the memory with a chance of {r.pct('overflow_risk')} at any moment"
        + (
            f": {r.n('preemptions_per_s')} requests/s are sent back to the queue, and {r.pct('prefill_again')} of the "
            "prompts prefilled are theirs."
            if r.number("preemptions_per_s")
            else ", and nobody is sent back to the queue."
        ),
        _full(r),
    ]


def _full(r: View) -> str:
    """The plan with as many in flight as its batch says."""
    f = r.at("rate")
    said = (
        f"With all {f.n('full_requests')} in flight that its batch states, their real lengths outgrow the memory with "
        f"a chance of {f.pct('full_overflow')}"
    )
    if "full_ttft_s_p99" not in f:
        return f"{said}."
    return (
        f"{said}; as many are inside at {f.n('full_requests_per_s')} requests/s, where TTFT is "
        f"{f.s('full_ttft_s_p99')} and TPOT {f.s('full_tpot_s_p99')} at p99."
    )


def _crossings(r: View) -> str:
    """Which plan wins up to which rate."""
    rows, low = [], 0.0
    for c in r.each("crossing"):
        plan = ", ".join(f"{axis} {c.n(axis)}" for axis in READING_ORDER[1:] if axis in c)
        plan = f"split: {c.text('split')}" if "split" in c else plan
        rows.append([f"{formats.count(low)} to {c.n('rate')}", c.n("gpus"), plan])
        low = c.number("rate")
    return (
        "At the run's limits the plan with the fewest accelerators, and of those the lowest "
        f"{r.text('figure')}, one batch of each layout:\n\n" + table(["requests/s", "GPUs", "plan"], rows, text=(0, 2))
    )


def _simulated(plans: list[View]) -> str:
    first = plans[0]
    rows = []
    for p in plans:
        name = p.text("plan") + (" (recommended)" if p.raw("recommended") == "yes" else "")
        for figure, title in LATENCIES.items():
            both = [p.s(f"{figure}_p99.{way}") for way in ("analytic", "simulated")]
            rows.append([name, f"{title}, p99", *both, p.text("kept")])
            name = ""
        if "prefix_hit.simulated" in p:
            both = [p.pct(f"prefix_hit.{way}") for way in ("analytic", "simulated")]
            rows.append([name, "prompt tokens found in the cache", *both, p.text("kept")])
    return (
        f"{first.n('seeds')} runs of {first.n('requests')} requests each, one after the other through the engine's "
        "scheduler (docs/simulate.md), with others before and after them. The recommendation is taken among "
        "the plans that keep their limits here.\n\n"
        + table(["plan", "figure", "analytic", "simulated", "limits"], rows, text=(0, 1, 4))
    )


def _baseline(b: View) -> str:
    name, most = b.text("name"), b.n("capacity_requests_per_s")
    if b.raw("rate.unstable") == "yes":
        return f"{name}: unstable. It carries {most} requests/s at most, so waiting grows without end. {_full(b)}"
    return (
        f"{name}: TTFT {b.s('ttft_s')} in the mean and {b.s('ttft_s_p99')} at p99, TPOT {b.s('tpot_s_p99')} at p99; "
        f"caches outgrow the memory with a chance of {b.pct('overflow_risk')}; it carries {most} requests/s at most. "
        + _full(b)
    )


def ttft_at_rate(v: View) -> str:
    """The TTFT check at a rate."""
    r = v.at("recommended")
    t = r.at("rate")
    terms = [
        ["the pass that a request falls into, and those scheduled ahead", t.s("until_s")],
        ["prompts before it that fill passes", t.s("queue_s")],
        ["its own prefill, and prompts that came with it", t.s("own_s")],
        ["waiting for a seat", t.s("seat_s")],
        ["host, once a request", t.s("host_s")],
        ["waiting to be sent", t.s("sent_s")],
        ["**mean at the rate**", r.s("ttft_s")],
    ]
    burst = f"Were all {r.n('batch')} seats of a replica taken at once, the last would wait {r.s('burst_ttft_s')}."
    return "\n\n".join([table(["term", "time"], terms), burst])


def throughput_at_rate(v: View) -> str:
    """The throughput at a rate: what arrives, and how many are inside for it."""
    r, i, t = v.at("recommended"), v.at("input"), v.at("traffic")
    rate = r.at("rate")
    law = (
        f"What arrives is served: {t.n('requests_per_s')} requests/s × {i.n('osl')} tokens = "
        f"**{r.fig('output_tokens_per_s')} tokens/s**. By Little's law {t.n('requests_per_s')} requests/s × "
        f"{rate.s('stay_s')} = {r.n('requests_in_flight')} are in flight."
    )
    steps = (
        f"{rate.n('decodes')} sequences of a group decode at a time. A pass of decodes takes {rate.s('plain_s')}, "
        f"{rate.pct('prefilling')} of the passes hold prompts too, and a pass takes {rate.s('pass_s')} in the mean."
    )
    return "\n\n".join([law, steps])
