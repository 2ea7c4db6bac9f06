"""The numbers behind the pictures, as tables that open on demand."""

from __future__ import annotations

from search.render.document import formats
from search.render.report.html import Html, details, join, table
from search.render.report.pictures.memory import memory_rows
from search.render.report.view import PageView


def time_details(v: PageView) -> Html:
    """Every operation of each pass."""
    rows = []
    for p in v.each("part"):
        work = [formats.flops(p.number("flops")), formats.gb(p.number("bytes"))] if p.number("bytes") else ["", ""]
        bounds = [p.s("compute_s"), p.s("memory_s")] if p.number("memory_s") else ["", ""]
        share = formats.percent(p.number("seconds") / v.number(f"phase.{p.text('phase')}.seconds"))
        rows.append([p.text("phase"), p.text("name"), p.text("kind"), p.n("calls"), p.s("seconds"), share, *bounds,
                     *work, p.text("bound")])  # fmt: skip
    header = ["pass", "operation", "kind", "calls", "time", "share", "computing alone", "memory alone", "work", "moved",
              "bound"]  # fmt: skip
    total = [f"{phase} {v.s(f'phase.{phase}.seconds')}" for phase in v.children("phase")]
    caption = f"Operations of one rank in a pass through the whole model, before any overlap: {', '.join(total)}"
    return details("The numbers", table(caption, header, rows, text=(0, 1, 2, 10)))


def roof_details(v: PageView) -> Html:
    """Operations under the roofs."""
    rows = [
        [p.text("phase"), p.text("name"), p.n("intensity"), formats.flops_per_s(p.number("flops_per_s"))]
        for p in v.each("part") if "intensity" in p
    ]  # fmt: skip
    roofs = [
        [r.text("dtype"), formats.flops_per_s(r.number("peak")), formats.flops_per_s(r.number("achieved"))]
        for r in (v.at("roof").at(c) for c in v.children("roof") if c.isdigit())
    ]
    rates = [formats.bytes_per_s(v.number(f"roof.{k}")) for k in ("bytes_per_s", "achieved_bytes_per_s")]
    return details(
        "The numbers",
        join([
            table("Roofs", ["", "peak", "best achieved"], [*roofs, ["memory", *rates]]),
            table("Operations", ["pass", "operation", "FLOP a byte", "achieved"], rows, text=(0, 1)),
        ]),
    )  # fmt: skip


def memory_details(v: PageView) -> Html:
    """Bytes of each bar."""
    header = ["", "weights", "KV cache", "activations", "reserve", "sum"]
    rows = []
    for name, parts in memory_rows(v):
        rows.append([name, *(formats.gb(b) for b in parts), formats.gb(sum(parts))])
    rows.append(["allowed", "", "", "", "", v.gb("input.usable_bytes")])
    rows.append(["what the driver reports", "", "", "", "", v.gb("hardware.memory_bytes")])
    return details("The numbers", table("Memory of the fullest accelerator", header, rows))


def sweep_details(v: PageView) -> Html:
    """The curves."""
    s = v.at("sweep")
    columns = [s.column(n) for n in ("batch", "output_tokens_per_s", "ttft_s", "burst_ttft_s", "tpot_s", "misses")]
    rows = []
    for batch, speed, ttft, burst, tpot, misses in zip(*columns, strict=True):
        figures = [("output_tokens_per_s", speed), ("ttft_s", ttft), ("burst_ttft_s", burst), ("tpot_s", tpot)]
        shown = [formats.figure(name, float(value)) for name, value in figures]
        rows.append([formats.count(float(batch)), *shown, str(misses)])
    header = ["batch", "tokens/s", "TTFT", "TTFT in a burst", "TPOT", "misses"]
    return details("The numbers", table("The chosen layout with other batches", header, rows, text=(5,)))
