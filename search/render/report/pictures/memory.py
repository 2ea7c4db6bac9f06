"""Memory of an accelerator, stacked, against what is allowed."""

from __future__ import annotations

from search.render.palette import INK, PARTS, VERMILION
from search.render.report.pictures import Picture, axis, hatched, line, quote
from search.render.report.view import PageView

NAMES = {"weights": "weights", "kv_cache": "KV cache", "activation": "activations", "reserve": "reserve"}


def memory_rows(v: PageView) -> list[tuple[str, list[float]]]:
    """Names and bytes by part: the marked plans, then the pipeline stages of the first, where it has several."""
    rows = []
    first = v.at("mark").at("0")
    others = [first.number(f"{part}_bytes_per_gpu") for part in ("activation", "reserve")]
    for m in v.each("mark"):
        rows.append((m.text("name"), [m.number(f"{part}_bytes_per_gpu") for part in PARTS]))
    for s in v.children("stage_memory"):
        stage = v.at("stage_memory").at(s)
        rows.append((f"stage {s} of {first.text('name')}", [stage.number(p) for p in ("weights", "kv_cache")] + others))
    return rows


def memory_picture(v: PageView) -> Picture:
    """One bar a plan, one part a colour and hatch."""
    rows = memory_rows(v)
    names = [quote(name) for name, _ in rows]
    traces = []
    for i, (part, (colour, hatch)) in enumerate(PARTS.items()):
        traces.append({
            "type": "bar", "orientation": "h", "name": NAMES[part], "y": names, "x": [r[i] / 1e9 for _, r in rows],
            "hovertemplate": "%{y}<br>" + NAMES[part] + ": %{x:.2f} GB<extra></extra>",
            "marker": {"color": colour, "pattern": hatched(hatch)},
        })  # fmt: skip
    allowed, reported = v.number("input.usable_bytes") / 1e9, v.number("hardware.memory_bytes") / 1e9
    limit, text = line("x", allowed, f"allowed {v.gb('input.usable_bytes')} ", VERMILION, across=False)
    edge, size = line("x", reported, f"{v.gb('hardware.memory_bytes')} ", INK, across=False)
    above = {"yref": "paper", "y": 1.0, "yanchor": "bottom"}
    layout = {
        "barmode": "stack", "bargap": 0.35, "shapes": [limit, edge],
        "annotations": [text | above, size | above | {"xanchor": "left"}],
        "xaxis": axis("GB per accelerator, the fullest one", rangemode="tozero"),
        "yaxis": {"automargin": True, "autorange": "reversed", "showgrid": False}, "height": 110 + 40 * len(rows),
    }  # fmt: skip
    return {"data": traces, "layout": layout}
