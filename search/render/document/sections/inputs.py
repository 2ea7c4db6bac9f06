"""Summary, model, hardware and input."""

from __future__ import annotations

from costmodel.plans import READING_ORDER
from search.render.document import formats
from search.render.document.engines_compared import HEADER, engine_rows
from search.render.document.formats import bullets, listed, table
from search.render.document.sureness import kept_lines
from search.render.document.view import View


def degrees(v: View) -> str:
    """A layout in one line."""
    return ", ".join(f"{a} {v.n(a)}" for a in READING_ORDER)


def summary(v: View) -> str:
    r = v.at("recommended")
    lines = [
        f"**{v.at('model').text('name')}** on {r.n('gpus')} × {v.at('hardware').text('name')}: "
        f"{degrees(r)} (batch a replica). Engines that take it: {r.text('engines')}.",
        f"{r.fig('output_tokens_per_s')} output tokens/s, {r.fig('output_tokens_per_s_per_gpu')} a GPU: "
        f"{r.pct('share_of_limit')} of the physical limit.",
        f"First token after {r.s('ttft_s')} in the steady loop, {r.s('burst_ttft_s')} at the end of a burst; then one "
        f"every {r.s('tpot_s')}.",
        f"{r.gb('memory_bytes_per_gpu')} a GPU, {r.pct('memory_utilization')} of its memory.",
    ]
    lines += kept_lines(v)
    pinned = [x.text("limit") for x in v.each("relaxed")]
    lines.append(f"Pinned by: {listed(pinned)}." if pinned else "No limit pins it.")
    law = v.at("hardware").text("law")
    lines.append(f"The figures are the cost model's (efficiency law {law}); the inputs it rests on are listed below.")
    if not v.children("compared"):
        return bullets(lines)
    engine = f"Engine: **{v.at('input').text('engine.name')}**, the best of those that were compared, each by itself."
    lines.insert(1, engine)
    return bullets(lines) + "\n\n" + table(list(HEADER), engine_rows(v), text=(0, 1, 6))


def model(v: View) -> str:
    m = v.at("model")
    formats_ = listed([f"{f.gb('bytes')} in {f.text('name')}" for f in m.each("format")])
    lines = [
        f"{formats.billions(m.number('parameters'))} parameters, of which a token goes through "
        f"{formats.billions(m.number('active_parameters'))}. Hidden width {m.n('hidden')}, vocabulary "
        f"{m.n('vocabulary')}.",
        f"Weights: {m.gb('weights_bytes')} for one copy, {formats_}.",
        f"KV cache: {m.n('kv_elements_per_token')} elements a token, {m.n('kv_bytes_per_token')} bytes in "
        f"{m.text('kv_format')}.",
    ]
    if "max_position" in m:
        lines.append(f"Longest context: {m.n('max_position')} tokens.")
    if "vision_parameters" in m:
        lines.append(f"Vision part: {formats.billions(m.number('vision_parameters'))} parameters more.")
    if "source" in m:
        lines.append(f"Source: {m.text('source')}.")
    rows = [[k.n("layers"), _block(k.at("mixer")), _block(k.at("ffn"))] for k in m.each("kind")]
    head = f"{m.n('layers')} layers:"
    return bullets(lines) + f"\n\n{head}\n\n" + table(["layers", "mixer", "feed-forward"], rows, text=(0, 1, 2))


def _block(v: View) -> str:
    if "name" not in v:
        return "none"
    fields = []
    for name in v.children("field"):
        value = v.raw(f"field.{name}")
        shown = v.text(f"field.{name}") if isinstance(value, str) else v.n(f"field.{name}")
        fields.append(f"{name} {shown}")
    return v.text("name") + (": " + ", ".join(fields) if fields else "")


def hardware(v: View) -> str:
    h = v.at("hardware")
    printed = f" (datasheet: {h.gb('datasheet_memory_bytes')})" if "datasheet_memory_bytes" in h else ""
    lines = [
        f"Memory: {h.gb('memory_bytes')} as the driver reports it{printed}.",
        f"Bandwidth: {formats.bytes_per_s(h.number('memory_bytes_per_s'))} at the peak, "
        f"{formats.bytes_per_s(h.number('achieved_bytes_per_s'))} at best in practice ({h.pct('bandwidth_share')}).",
        f"Compute in {h.text('dtype')}: {formats.flops_per_s(h.number('peak_flops'))} at the peak, "
        f"{formats.flops_per_s(h.number('achieved_flops'))} at best in practice ({h.pct('flops_share')}).",
    ]
    if "price_per_hour" in h:
        told = f" (price_as_of: {h.text('price_as_of')})" if "price_as_of" in h else ""
        lines.append(f"Price: {formats.usd(h.number('price_per_hour'))} a GPU and hour{told}.")
    if "power_w" in h:
        lines.append(f"Power: at most {h.n('power_w')} W a GPU, the board's limit.")
    rows = [
        [
            t.text("name"), t.n("size"), formats.bytes_per_s(t.number("bytes_per_s")), t.pct("efficiency"),
            t.n("oversubscription"), formats.bytes_per_s(t.number("rate")), t.s("latency_s"),
        ]
        for t in h.each("tier")
    ]  # fmt: skip
    header = ["tier", "GPUs", "link, one way", "efficiency", "oversubscription", "what counts", "latency"]
    return bullets(lines) + f"\n\nCluster: {h.text('cluster')}.\n\n" + table(header, rows)


def _shown(v: View, name: str) -> str:
    return v.text(name) if isinstance(v.raw(name), str) else v.fig(name)


SAID = (
    "name", "version", "max_batched_tokens", "block_tokens", "reserve_bytes", "dense_split", "exchange", "comm_overlap",
    "step_overhead_s", "layer_overhead_s", "sequence_overhead_s", "request_overhead_s", "prompt_token_s",
)  # fmt: skip


def _of(i: View, name: str) -> str:
    return "" if i.raw(name) == "mean" else f" at {i.text(name)}"


def inputs(v: View) -> str:
    i, e = v.at("input"), v.at("input.engine")
    hit = f", {i.pct('prefix_hit')} of them cached, {i.n('new')} to prefill" if i.number("prefix_hit") else ""
    statistic = {"burst": "of the last request of a burst", "mean": "mean of the steady loop"}
    if "traffic.requests_per_s" in v:
        statistic["mean"] = "mean at the rate"
    limits = [f"memory: {i.pct('memory_fraction')} of what the driver reports, {i.gb('usable_bytes')}"]
    if "limit.ttft_s" in i:
        kind = str(i.raw("ttft_statistic"))
        limits.append(f"time to first token: {i.s('limit.ttft_s')}, {statistic.get(kind, i.text('ttft_statistic'))}")
    if "limit.tpot_s" in i:
        limits.append(f"time per output token: {i.s('limit.tpot_s')}{_of(i, 'tpot_statistic')}")
    if "limit.e2e_s" in i:
        limits.append(f"end to end: {i.s('limit.e2e_s')}{_of(i, 'e2e_statistic')}")
    if "limit.goodput" in i:
        limits.append(f"at least {i.pct('limit.goodput')} of the requests keep them")
    if "limit.overflow_risk" in i:
        limits.append(f"caches outgrow the memory with a chance of {i.pct('limit.overflow_risk')} at most")
    if "limit.min_requests_per_s" in i:
        limits.append(f"at least {i.n('limit.min_requests_per_s')} requests/s")
    version = f" {e.text('version')}" if "version" in e else ""
    lines = [
        f"Requests: {i.n('isl')} tokens in{hit}, {i.n('osl')} out; {i.n('total')} at the end, "
        f"{i.n('mean_context')} on average while decoding.",
        f"Limits: {'; '.join(limits)}.",
        f"Engine: {e.text('name')}{version}; at most {e.n('max_batched_tokens')} new tokens a pass, KV blocks of "
        f"{e.n('block_tokens')}, {e.gb('reserve_bytes')} reserved; dense parts split over {e.text('dense_split')}, "
        f"tokens exchanged by {e.text('exchange')}, {e.pct('comm_overlap')} of the messages hidden.",
        f"Host: {e.s('step_overhead_s')} a pass, {e.s('layer_overhead_s')} a layer, {e.s('sequence_overhead_s')} a "
        f"sequence and pass, {e.s('request_overhead_s')} a request, {e.s('prompt_token_s')} a token of its prompt.",
        "Its further constants: "
        + ", ".join(f"{name} {_shown(e, name)}" for name in i.children("engine") if name not in SAID)
        + ".",
        "The front's columns: "
        + ", ".join(f"{o.text('column')} ({o.text('direction')})" for o in i.each("objective"))
        + ".",
        "The recommended plan is chosen by "
        + ", then ".join(f"{o.text('column')} ({o.text('direction')})" for o in i.each("policy"))
        + ".",
    ]
    rows = [[a, *(i.n(f"axis.{a}.{k}") for k in ("low", "high", "values"))] for a in i.children("axis")]
    return bullets(lines) + "\n\nThe space:\n\n" + table(["axis", "from", "to", "values"], rows)
