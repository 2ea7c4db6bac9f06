"""Model, hardware and input."""

from __future__ import annotations

from search.render.document import formats
from search.render.document.formats import bullets, listed, table
from search.render.document.view import View
from search.render.words import DIRECTIONS, ENGINES, block_words, figure_words, law_words, spaced


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
        shown = block_words(v.text(f"field.{name}")) if isinstance(value, str) else v.n(f"field.{name}")
        fields.append(f"{spaced(name)} {shown}")
    return block_words(v.text("name")) + (": " + ", ".join(fields) if fields else "")


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
    lines.append(f"Rates in practice come from {law_words(h.text('law'))}.")
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


def _direction(o: View) -> str:
    return DIRECTIONS.get(o.text("direction"), o.text("direction"))


def inputs(v: View) -> str:
    i, e = v.at("input"), v.at("input.engine")
    hit = f", {i.pct('prefix_hit')} of them cached, {i.n('new')} to prefill" if i.number("prefix_hit") else ""
    version = f" {e.text('version')}" if "version" in e else ""
    lines = [
        f"Requests: {i.n('isl')} tokens in{hit}, {i.n('osl')} out; {i.n('total')} at the end, "
        f"{i.n('mean_context')} on average while decoding.",
        f"Engine: {ENGINES.get(e.text('name'), e.text('name'))}{version}; at most {e.n('max_batched_tokens')} new "
        f"tokens a pass. All its constants are in inputs.md.",
        "The front's columns: "
        + ", ".join(f"{figure_words(o.text('column'))} ({_direction(o)})" for o in i.each("objective"))
        + ".",
        "The recommended plan has "
        + ", then ".join(f"the {_direction(o)} {figure_words(o.text('column'))}" for o in i.each("policy"))
        + ".",
    ]
    return bullets(lines)
