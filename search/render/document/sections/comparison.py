"""The earlier plans under the same model, and each of their claims beside what follows from the inputs."""

from __future__ import annotations

from costmodel.scores import COSTS
from search.render.document import formats
from search.render.document.formats import bullets, table
from search.render.document.view import View

DEGREES = ("gpus", "dp", "pp", "sp", "tp", "ep", "attn_dp", "moe_tp", "batch")
FIGURES = (
    "output_tokens_per_s",
    "output_tokens_per_s_per_gpu",
    "requests_per_s",
    "ttft_s",
    "burst_ttft_s",
    "tpot_s",
    "weights_bytes_per_gpu",
    "kv_cache_bytes_per_gpu",
    "activation_bytes_per_gpu",
    "memory_bytes_per_gpu",
    "memory_utilization",
    "decode_bandwidth_utilization",
    "decode_mfu",
    "share_of_limit",
)
NONE = "No earlier plan was given."


def comparison(v: View) -> str:
    plans = [*v.each("baseline"), v.at("recommended")]
    if len(plans) == 1:
        return NONE
    names = [b.text("name") for b in plans[:-1]] + ["recommended"]
    rows = [[d, *(p.n(d) for p in plans)] for d in DEGREES]
    rows += [[f, *(p.fig(f) for p in plans)] for f in (*FIGURES, *COSTS) if f in plans[-1]]
    rows += [["floor of a step", *(p.s("reading.floor_s") for p in plans)]]
    rows += [["limits", *(b.text("limits") for b in plans[:-1]), "kept"]]
    rows += [["engines", *(p.text("engines") for p in plans)]]
    lines = []
    d = v.at("deciding")
    name = str(d.raw("column"))
    for i, b in enumerate(plans[:-1]):
        x = d.at(f"baseline.{i}")
        lines.append(
            f"{b.text('name')}: {d.text('column')} {formats.figure(name, x.number('value'))}; the recommended plan "
            f"has {x.change('lead')} against it."
        )
        refused = [f"{e} ({b.text(f'refusal.{e}')})" for e in b.children("refusal")]
        if refused:
            lines.append(f"{b.text('name')} is refused by {', '.join(refused)}.")
        c = b.at("cache")
        lines.append(
            f"{b.text('name')}: cache {c.n('sequences')} sequences × {c.n('tokens')} tokens × {c.n('bytes_per_token')} "
            f"bytes a token; a step reads at least {b.gb('reading.weights_bytes')} of weights and "
            f"{b.gb('reading.cache_bytes')} of cache; physical limit of its burst {b.s('limit_burst_ttft_s')}."
        )
    return table(["figure", *names], rows) + "\n\n" + bullets(lines)


def claims(v: View) -> str:
    parts = []
    for b in v.each("baseline"):
        rows = []
        for x in b.each("verdict"):
            column = str(x.raw("figure"))
            both = [formats.figure(column, x.number(k)) for k in ("claimed", "derived")]
            ends = [formats.figure(column, x.number(k)) for k in ("low", "high") if k in x]
            both.append(formats.span(*ends) if ends else "-")
            rows.append([x.text("claim"), *both, f"**{x.text('verdict')}**", x.text("reading"), x.text("arithmetic")])
        if rows:
            header = ["claim", "claimed", "derived", "a claim may be", "verdict", "reading", "arithmetic"]
            parts.append(f"### Claims of {b.text('name')}\n\n" + table(header, rows, text=(0, 4, 5, 6)))
    if not parts:
        return "No earlier plan makes a claim."
    counted, estimated = (v.pct(f"tolerance.{kind}") for kind in ("counted", "estimated"))
    how = (
        "Latencies and throughputs hold inside the 80 % interval, or with room where less is claimed; weights and "
        f"cache within {counted}, what is estimated within {estimated}. What beats the physical limit fails. A claim "
        "that fails as it stands is tried under other readings that make physical sense. Relations between claims, "
        "layout and hardware that do not hold are contradictions: not all of them can be true."
    )
    return "\n\n".join([how, *parts])
