"""Performance, and the checks of memory, time to first token and throughput."""

from __future__ import annotations

from costmodel.scores import COSTS
from search.render.document import formats
from search.render.document.formats import bullets, plural, table
from search.render.document.sections.layout import size
from search.render.document.view import View

LIMIT_NAMES = {"memory": "memory a GPU", "ttft": "time to first token", "tpot": "time per output token",
               "requests": "requests/s, at least", "e2e": "end to end", "goodput": "requests that keep them, at least",
               "overflow": "chance that caches outgrow the memory"}  # fmt: skip

COST_NAMES = {
    "usd_per_million_output_tokens": "a million output tokens",
    "joules_per_output_token": "energy of an output token, at most",
}


def performance(v: View) -> str:
    r, h = v.at("recommended"), v.at("hardware")
    rows = [
        ["output tokens/s", *_predicted(r, "output_tokens_per_s"), r.fig("limit_output_tokens_per_s")],
        ["requests/s", *_predicted(r, "requests_per_s"), ""],
        ["time to first token, steady mean", *_predicted(r, "ttft_s"), r.s("limit_ttft_s")],
        ["time to first token, end of a burst", *_predicted(r, "burst_ttft_s"), r.s("limit_burst_ttft_s")],
        ["time per output token", *_predicted(r, "tpot_s"), r.s("limit_tpot_s")],
    ]
    costs = [name for name in COSTS if name in r]
    rows += [[COST_NAMES[name], *_predicted(r, name), ""] for name in costs]
    achieved = formats.bytes_per_s(r.number("bandwidth_bytes_per_s"))
    text = [
        table(["figure", "predicted", "interval", "physical limit"], rows),
        f"Four of five measurements lie inside the interval, of the class *{r.text('coverage')}* (docs/fidelity.md).",
        bullets([x.text("text") + "." for x in r.each("evidence")]),
        f"Decoding moves {achieved} a GPU, {r.pct('decode_bandwidth_utilization')} of the peak "
        f"{formats.bytes_per_s(h.number('memory_bytes_per_s'))}, at {r.pct('decode_mfu')} of the peak FLOP/s; prefill "
        f"runs at {r.pct('prefill_mfu')} of it.",
        "Where the time goes, in a pass through all layers before any overlap:",
        _time(r),
    ]
    if costs:
        text.append(
            "Money and energy are those of GPUs that are always busy; hosts, network and cooling are not in them, the "
            "energy is a bound."
        )
    if "pass.comm_overlap" in r:
        text.append(f"The engine hides {r.pct('pass.comm_overlap')} of the messages behind computing.")
    return "\n\n".join(text)


def _predicted(r: View, figure: str) -> list[str]:
    """A figure and its interval."""
    low, value, high = (formats.figure(figure, r.number(figure + end)) for end in ("_low", "", "_high"))
    return [value, f"{low} to {high}"]


def _time(r: View) -> str:
    rows = []
    for t in r.each("time"):
        row = [t.text("name")]
        for phase in ("decode", "prefill"):
            row += [t.s(f"{phase}_s"), t.text(f"{phase}_bound") if f"{phase}_bound" in t else ""]
        rows.append([*row, t.s("mixed_s")])
    p = r.at("pass")
    rows.append(["**sum**", p.s("decode_s"), "", p.s("prefill_s"), "", p.s("mixed_s")])
    rows.append(
        [
            "messages",
            p.pct("decode_message_share"),
            "",
            p.pct("prefill_message_share"),
            "",
            p.pct("mixed_message_share"),
        ]
    )
    header = ["operations", "decode step", "bound by", "full prefill pass", "bound by", "decode step with prefill"]
    return table(header, rows)


def memory_check(v: View) -> str:
    r, i = v.at("recommended"), v.at("input")
    parts = " + ".join(f"{w.text('name')} {size(w, 'bytes')}" for w in r.each("weights"))
    c = r.at("cache")
    copies = f" Each KV head is held by {c.n('copies')} tp ranks." if "copies" in c else ""
    rows = [
        ["weights", r.gb("weights_bytes_per_gpu"), parts],
        [
            "KV cache",
            r.gb("kv_cache_bytes_per_gpu"),
            f"{c.n('sequences')} sequences × {c.n('tokens')} tokens × {c.n('bytes_per_token')} bytes a token; "
            f"{c.gb('bytes_per_sequence')} a "
            f"sequence.{copies}",
        ],
        [
            "activations",
            r.gb("activation_bytes_per_gpu"),
            f"a pass of {r.n('activation.tokens')} tokens; two residual streams are "
            f"{r.gb('activation.residual_bytes')}",
        ],
        ["reserve", r.gb("reserve_bytes_per_gpu"), "libraries, communication buffers, captured graphs"],
        [
            "**sum**",
            r.gb("memory_bytes_per_gpu"),
            f"{r.pct('memory_utilization')} of {v.at('hardware').gb('memory_bytes')}",
        ],
    ]
    x = r.at("limit.memory")
    return "\n\n".join(
        [
            table(["part", "a GPU", "made of"], rows, text=(0, 2)),
            f"Allowed: {i.pct('memory_fraction')} of the memory, {i.gb('usable_bytes')}: {x.pct('headroom')} of "
            "that is "
            f"left. An attention group can cache {r.n('kv_capacity_tokens')} tokens beside the weights (between "
            f"{r.n('kv_capacity_tokens_low')} and {r.n('kv_capacity_tokens_high')}), and starts with a probability of "
            f"{r.pct('starts_probability')}; the replica "
            f"admits {r.n('admitted_batch')} of {r.n('batch')} sequences.",
        ]
    )


def ttft_check(v: View) -> str:
    r, i = v.at("recommended"), v.at("input")
    terms = [
        ["rest of the running step", r.s("arrival_s")],
        [f"waiting for a place in the prefill, {r.n('queue')} steps", r.s("queue_s")],
        [f"its own prefill, {plural(r.n('prefills'), 'pass')} with other requests' decodes", r.s("own_s")],
        ["host, once a request", r.s("request_s")],
        ["waiting to be sent", r.s("stream_s")],
        [f"waiting for KV cache ({r.n('admitted')} of {r.n('sequences')} sequences a group fit)", r.s("outside_s")],
        ["**mean in the steady loop**", r.s("ttft_s")],
    ]
    if r.number("first_wave_s"):
        terms.insert(-1, ["the first wave of a client's requests, a burst", r.s("first_wave_s")])
    passes = [f"{r.s('burst_through_s')} of one through all stages"]
    passes += [f"({plural(r.n('burst_full'), 'full pass')} - 1) × {r.s('burst_pass_s')}"]
    if r.number("burst_between"):
        passes += [f"{r.n('burst_between')} in which some groups are through × {r.s('burst_between_s')}"]
    if r.number("burst_last"):
        passes += [f"{r.s('burst_rest_s')} of the rest"]
    burst = (
        f"Burst: all {r.n('batch')} requests of a replica arrive at once, {r.n('group.most')} a group with "
        f"{i.n('new')} tokens to prefill each, in passes of at most {i.at('engine').n('max_batched_tokens')} tokens: "
        f"{' + '.join(passes)} + host {r.s('request_s')} = **{r.s('burst_ttft_s')}**. "
        f"The physical limit is {r.s('limit_burst_ttft_s')}."
    )
    return "\n\n".join([table(["term", "time"], terms), burst])


def throughput(v: View) -> str:
    r, i = v.at("recommended"), v.at("input")
    g = r.at("reading")
    steps = (
        f"Time per output token is the mean step: {r.s('decode_s')} without prefill, {r.s('mixed_s')} with it, which a "
        f"decoding request meets in {r.pct('mixed_share')} of its steps: {r.s('tpot_s')}."
    )
    formula = (
        f"dp × batch × osl / (ttft + (osl - 1) × tpot) = {r.n('dp')} × {r.n('batch')} × {i.n('osl')} / "
        f"({r.s('ttft_s')} + {i.n('decodes')} × {r.s('tpot_s')}) = **{r.fig('output_tokens_per_s')} tokens/s**, "
        f"{r.fig('requests_per_s')} requests/s."
    )
    floor = (
        f"Floor of a step: {g.gb('weights_bytes')} of weights and {g.gb('cache_bytes')} of cache read once take "
        f"{g.s('floor_s')} at {formats.bytes_per_s(v.at('hardware').number('achieved_bytes_per_s'))}, {g.s('peak_s')} "
        "at the peak bandwidth."
    )
    return "\n\n".join([formula, steps, floor])
