"""The parts of a fleet's document as data: each a title, paragraphs, and a table where it has one. ``plan.md`` and the
page write the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from search.inputs.fleet.records import HOURS_A_MONTH
from search.optimizer.fleet.outcome import FleetOutcome
from search.render.fleet.terminal import summary_lines
from search.render.fleet.words import (
    HEADINGS,
    STEADY,
    UNITS,
    command,
    kw,
    limit_words,
    objective_words,
    plan_words,
    rate,
    rows,
    traffic_kind,
    usd,
)

MOST_STEPS = 12  # of the front in a table


@dataclass(frozen=True)
class Part:
    """``code`` lines are commands."""

    title: str
    lines: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    code: tuple[str, ...] = ()


def parts(o: FleetOutcome) -> list[Part]:
    """In the order of the document; parts that say nothing are left out."""
    found = [write(o) for write in PARTS]
    return [part for part in found if part.lines or part.table or part.code]


def _summary(o: FleetOutcome) -> Part:
    asked = f"Objective: {objective_words(o)}."
    return Part("Summary", (*(f"{_sentence(line)}" for line in summary_lines(o)), asked))


def _sentence(line: str) -> str:
    return f"{line[0].upper()}{line[1:]}."


def _deployments(o: FleetOutcome) -> Part:
    about = (
        "A deployment is one plan, started so many times behind a router; its replicas are counted here, so dp is "
        "their number. It carries what is left when its spares are lost; used is what is asked over what all of them "
        "carry."
    )
    return Part("Deployments", (about,), HEADINGS, tuple(rows(o)))


def _latencies(o: FleetOutcome) -> Part:
    lines = []
    for d in o.deployed:
        replica = d.deployment.replica
        where = o.fleet.pools[d.deployment.pool].name
        lines.append(
            (
                o.fleet.members[d.member].name,
                where,
                traffic_kind(d.deployment),
                limit_words(d),
                f"{rate(replica.requests_per_s)} ({rate(replica.low)} to {rate(replica.high)})",
                replica.coverage,
                f"{d.memory_utilization:.0%}",
            )
        )
    about = (
        "With the spares lost, as one replica has it. Where requests come at a rate, arrivals at a replica are taken "
        "to be as irregular as all of them are together; a router that takes turns makes them more even. "
        f"Where they do not ({STEADY}), latencies are those of a full replica, the worst that it has."
    )
    header = ("model", "pool", "traffic", "latency and limit", "a replica's requests/s (80 % interval)", "coverage",
              "memory")  # fmt: skip
    return Part("Limits", (about,), header, tuple(lines))


def _pools(o: FleetOutcome) -> Part:
    assert o.chosen is not None
    lines = []
    for pool, taken in zip(o.fleet.pools, o.gpus(o.chosen).tolist(), strict=True):
        hourly = None if pool.price_per_hour is None else pool.price_per_hour * taken
        power = None if pool.power_w is None else pool.power_w * taken
        price = "unknown" if pool.price_per_hour is None else f"{pool.price_per_hour:,.4g} ({pool.price_source})"
        watts = "unknown" if pool.power_w is None else f"{pool.power_w:,.0f} ({pool.power_source})"
        monthly = "unknown" if hourly is None else f"USD {hourly * HOURS_A_MONTH:,.0f}"
        lines.append(
            (
                pool.name,
                pool.config.hardware.name,
                f"{taken:,} of {pool.count:,}",
                price,
                usd(hourly),
                monthly,
                watts,
                kw(power),
            )
        )
    header = ("pool", "accelerator", "taken", "USD an hour each", "an hour", "a month", "W each", "power at most")
    about = (
        "Only accelerators that are taken are paid for. A month has 730 hours. Power is the limit that boards enforce "
        "on themselves, an upper bound without hosts, switches and cooling."
    )
    return Part("Pools", (about, *_budgets(o)), header, tuple(lines))


def _budgets(o: FleetOutcome) -> list[str]:
    asked = o.fleet.settings.limits
    said = []
    if asked.usd_per_hour is not None:
        said.append(f"Limit on cost: {usd(asked.usd_per_hour)} an hour.")
    if asked.power_w is not None:
        said.append(f"Limit on power: {kw(asked.power_w)}.")
    return said


def _growth(o: FleetOutcome) -> Part:
    now = o.fleet.settings.growth
    lines = []
    for g in o.growth:
        factor = (f"{g.factor:g}", f"{g.factor * now:g}")
        if g.gpus is None:
            lines.append((*factor, *("-" for _ in o.fleet.pools), "the pools or budgets do not hold it"))
        else:
            lines.append((*factor, *(f"{n:,}" for n in g.gpus.tolist()), f"{g.cost:,.2f}"))
    header = ("times the planned traffic", "times today's", *(p.name for p in o.fleet.pools), UNITS[o.cost])
    return Part("Growth", ("Everybody served whole, with the same spares, chosen anew.",), header, tuple(lines))


def _less(o: FleetOutcome) -> Part:
    if not o.front.whole or len(o.front) < 2:
        return Part("What less would serve")
    last = len(o.front) - 1
    picked = sorted({round(i * last / (MOST_STEPS - 1)) for i in range(MOST_STEPS)}) if last >= MOST_STEPS else None
    lines = []
    for i in picked or range(len(o.front)):
        picks = o.front.picks[i]
        each = "; ".join(f"{m.name} {o.share(picks, k):.0%}" for k, m in enumerate(o.fleet.members))
        cost = float(o.problem.cost(picks[None, :])[0])
        lines.append((f"{cost:,.2f}", *(f"{n:,}" for n in o.gpus(picks).tolist()), f"{o.served(picks):.1%}", each))
    header = (UNITS[o.cost], *(p.name for p in o.fleet.pools), "served", "share of each model's traffic")
    about = f"The front has {len(o.front):,} fleets (front.csv); no other serves as much for less. Some of them:"
    return Part("What less would serve", (about,), header, tuple(lines))


def _replicas(o: FleetOutcome) -> Part:
    lines = []
    for (m, k), found in o.found.items():
        names = (o.fleet.members[m].name, o.fleet.pools[k].name)
        for r in found.replicas:
            each = r.requests_per_s / r.gpus
            price = o.fleet.pools[k].price_per_hour
            dear = "unknown" if price is None else f"{price / each / 3.6:,.3g}"
            lines.append((*names, str(r.gpus), plan_words(r.plan), r.engine, rate(r.requests_per_s), rate(each), dear))
        if not found.replicas:
            lines.append((*names, "-", found.why, "-", "-", "-", "-"))
    header = ("model", "pool", "GPUs", "plan", "engine", "requests/s", "a GPU", "USD per 1000 requests")
    about = (
        "What was chosen from: of each size the plan that carries most within the limits, and what it would cost full."
    )
    return Part("Replicas", (about,), header, tuple(lines))


def _start(o: FleetOutcome) -> Part:
    about = (
        "Each command plans one deployment by itself: its document, its intervals, and the launch files for its "
        "engine. It asks for the traffic that the deployment is planned for, with every replica up."
    )
    return Part("Start it", (about,), code=tuple(command(o, d) for d in o.deployed))


def _method(o: FleetOutcome) -> Part:
    choices = ", ".join(f"{m.name} {len(m) - 1:,}" for m in o.problem.members)
    lines = [f"Ways to serve each model (replicas of one plan in a pool, or in two): {choices}."]
    if o.front.whole:
        lines.append("A dynamic programme over integer numbers of accelerators: the front is exact over these ways.")
    else:
        lines.append("A mixed-integer programme, solved without a gap: the table of all fleets would be too large.")
    if o.study is not None:
        s = o.study
        lines.append(
            f"Optuna on the same problem: {s.trials:,} trials, {s.repeats:,} of them repeats, {s.share:.2%} of the "
            "exact hypervolume."
        )
    return Part("The search", tuple(lines))


def _risks(o: FleetOutcome) -> Part:
    lines = [
        "Figures are predictions of an analytic model; the interval beside each replica holds the measured value in "
        "80 % of cases. fleet.capacity=low counts on its low end.",
        "Sizes of replicas fill nodes, so that they fit in whole nodes, the largest placed first.",
        "Traffic is the mean of a busy hour; what comes beyond it must be in fleet.growth.",
    ]
    lines += [f"Assumption: {line}." for line in o.assumptions]
    left = sorted({size for found in o.found.values() for size in found.left_out})
    if left:
        lines.append(
            f"Sizes of space.gpus that fill no nodes or exceed a pool were left out: {', '.join(map(str, left))}."
        )
    return Part("Risks and assumptions", tuple(lines))


PARTS: tuple[Callable[[FleetOutcome], Part], ...] = (
    _summary, _deployments, _latencies, _pools, _growth, _less, _replicas, _start, _method, _risks,
)  # fmt: skip
