"""The earlier plans under the same model, and each of their claims beside what follows from the inputs."""

from __future__ import annotations

from search.render.document import formats
from search.render.document.formats import bullets, table
from search.render.document.view import View
from search.render.words import engine_list, figure_words, rule_words

FIGURES = (
    "weights_bytes_per_gpu", "kv_cache_bytes_per_gpu", "activation_bytes_per_gpu", "memory_bytes_per_gpu",
    "decode_bandwidth_utilization", "joules_per_output_token",
)  # fmt: skip
NONE = "No earlier plan was given."


def comparison(v: View) -> str:
    plans = [*v.each("baseline"), v.at("recommended")]
    if len(plans) == 1:
        return NONE
    names = [b.text("name") for b in plans[:-1]] + ["recommended"]
    rows = [[figure_words(f), *(p.fig(f) for p in plans)] for f in FIGURES if f in plans[-1]]
    rows += [["floor of a step", *(p.s("reading.floor_s") for p in plans)]]
    rows += [["limit of TTFT in a burst", *(p.s("limit_burst_ttft_s") for p in plans)]]
    rows += [["engines", *(engine_list(p.text("engines")) for p in plans)]]
    lines = []
    for b in plans[:-1]:
        refused = [f"{engine_list(e)} ({rule_words(b.text(f'refusal.{e}'))})" for e in b.children("refusal")]
        if refused:
            lines.append(f"{b.text('name')} is refused by {', '.join(refused)}.")
    return "\n\n".join([table(["figure", *names], rows), *([bullets(lines)] if lines else [])])


PLAIN = ("as defined", "the claims against each other")


def _reading(x: View) -> str:
    """Under which other reading a claim was judged."""
    return "" if x.raw("reading") in PLAIN else f": {x.text('reading')}"


def claims(v: View) -> str:
    parts = []
    for b in v.each("baseline"):
        rows = []
        for x in b.each("verdict"):
            column = str(x.raw("figure"))
            both = [formats.figure(column, x.number(k)) for k in ("claimed", "derived")]
            ends = [formats.figure(column, x.number(k)) for k in ("low", "high") if k in x]
            both[1] += f" ({formats.span(*ends)})" if ends else ""
            rows.append([figure_words(x.text("claim")), *both, f"**{x.text('verdict')}**{_reading(x)}",
                         "" if x.raw("verdict") == "holds" else x.text("arithmetic")])  # fmt: skip
        if rows:
            header = ["claim", "claimed", "derived (a claim may be)", "verdict", "arithmetic"]
            parts.append(f"### Claims of {b.text('name')}\n\n" + table(header, rows, text=(0, 3, 4)))
    if not parts:
        return "No earlier plan makes a claim."
    counted, estimated = (v.pct(f"tolerance.{kind}") for kind in ("counted", "estimated"))
    how = (
        "Latencies and throughputs hold inside the 80 % interval, weights and cache within "
        f"{counted}, estimates within {estimated}; what beats the physical limit fails."
    )
    return "\n\n".join([how, *parts])
