"""Two pictures of a fleet: who stands on which accelerators, and what less would serve."""

from __future__ import annotations

from search.optimizer.fleet.outcome import FleetOutcome
from search.render.palette import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, VERMILION, YELLOW
from search.render.report.chart import Scale, axes, marker
from search.render.svg import document, element, text

COLOURS = (BLUE, ORANGE, GREEN, SKY, PURPLE, YELLOW, VERMILION, GREY)
HATCHES = ("", "/", "x", ".", "\\", "-", "+", "|")
WIDTH, BAR, GAP, LEFT, RIGHT = 1000.0, 46.0, 34.0, 130.0, 30.0
LINES = {
    "/": "M0,8 L8,0", "\\": "M0,0 L8,8", "x": "M0,8 L8,0 M0,0 L8,8", "-": "M0,4 L8,4", "|": "M4,0 L4,8",
    "+": "M0,4 L8,4 M4,0 L4,8", ".": "M3,4 L5,4",
}  # fmt: skip


def _patterns(members: int) -> str:
    """Hatches over the colours: nobody is told by colour alone."""
    parts = []
    for i in range(members):
        colour, hatch = COLOURS[i % len(COLOURS)], HATCHES[(i + i // len(COLOURS)) % len(HATCHES)]
        inside = [element("rect", width=8.0, height=8.0, fill=colour, fill_opacity=0.75)]
        if hatch:
            inside.append(element("path", d=LINES[hatch], stroke=INK, stroke_width=1.0, fill="none"))
        parts.append(
            element("pattern", *inside, id=f"member-{i}", width=8.0, height=8.0, patternUnits="userSpaceOnUse")
        )  # fmt: skip
    return element("defs", *parts)


def pools_svg(o: FleetOutcome) -> str:
    """A bar a pool, as long as it has accelerators; in it the deployments, what is free behind them."""
    pools, members = o.fleet.pools, o.fleet.members
    most = max(pool.count for pool in pools)
    scale = Scale(0.0, float(most), 1.0, LEFT, WIDTH - RIGHT)
    key = 40.0 + 24.0 * ((len(members) + 3) // 4)
    height = key + len(pools) * (BAR + GAP) + 10.0
    parts = [_patterns(len(members))]
    for i, member in enumerate(members):
        x, y = 20.0 + (i % 4) * 240.0, 20.0 + (i // 4) * 24.0
        parts.append(element("rect", x=x, y=y, width=16.0, height=16.0, fill=f"url(#member-{i})", stroke=INK))
        parts.append(text(x + 24, y + 13, member.name, font_size=14.0))
    for k, pool in enumerate(pools):
        top = key + k * (BAR + GAP)
        parts.append(
            text(LEFT - 12, top + BAR / 2 + 5, pool.name, text_anchor="end", font_size=15.0, font_weight="bold")
        )
        end = scale.at(pool.count)
        parts.append(element("rect", x=LEFT, y=top, width=end - LEFT, height=BAR, fill="#f6f7f9", stroke=PALE))
        at = 0
        for d in o.deployed:
            if d.deployment.pool != k:
                continue
            start, stop = scale.at(at), scale.at(at + d.deployment.gpus)
            at += d.deployment.gpus
            shape = {"x": start, "y": top, "width": stop - start, "height": BAR}
            parts.append(element("rect", fill=f"url(#member-{d.member})", stroke=INK, stroke_width=0.8, **shape))
            if stop - start > 30:
                box = {"x": (start + stop) / 2 - 17, "y": top + BAR / 2 - 11, "width": 34.0, "height": 22.0}
                parts.append(element("rect", fill="#ffffff", fill_opacity=0.9, rx=4.0, **box))
                number = f"{d.deployment.gpus:,}"
                parts.append(text((start + stop) / 2, top + BAR / 2 + 5, number, text_anchor="middle", font_size=13.0))
        parts.append(text(LEFT, top + BAR + 18, f"{at:,} of {pool.count:,} taken", font_size=12.5))
    said = "; ".join(
        f"{members[d.member].name}: {d.deployment.gpus} {pools[d.deployment.pool].name}" for d in o.deployed
    )
    return document(WIDTH, height, "Accelerators by pool and model", said or "Nothing is deployed.", parts)


def front_svg(o: FleetOutcome) -> str:
    """Cost against the served share of the traffic, a step a fleet of the front."""
    height = 420.0
    unit = 1e3 if o.cost == "power_w" else 1.0
    costs = (o.problem.cost(o.front.picks) / unit).tolist()
    shares = (100.0 * o.problem.served(o.front.picks)).tolist()
    x = Scale.around([0.0, *costs], 90.0, WIDTH - RIGHT)
    y = Scale(0.0, 100.0, 20.0, height - 70.0, 24.0)
    title = {"usd_per_hour": "USD an hour", "power_w": "kW at most", "gpus": "accelerators"}[o.cost]
    parts = axes(x, y, title, "served, % of the weighted traffic")
    steps = [(costs[0], 0.0)]
    for i, (cost, share) in enumerate(zip(costs, shares, strict=True)):
        steps += [(cost, steps[-1][1]), (cost, share)] if i else [(cost, share)]
    joined = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in steps)
    parts.append(element("polyline", points=joined, fill="none", stroke=BLUE, stroke_width=1.6))
    if o.chosen is not None:
        star = x.at(costs[-1]), y.at(shares[-1])
        parts.append(marker("star", *star, 9.0, fill=VERMILION, stroke=INK, stroke_width=1.0))
    spans = f"{costs[0]:,.2f} to {costs[-1]:,.2f}, serving {shares[0]:.1f} to {shares[-1]:.1f} %"
    said = f"{len(costs)} fleets; {title}: {spans}."
    return document(WIDTH, height, "What less would serve", said, parts)
