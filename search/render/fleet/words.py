"""Figures and sentences that the terminal, the document and the page share."""

from __future__ import annotations

import shlex

from costmodel.plans import READING_ORDER, IntArray, Plans
from search.optimizer.fleet.choices import Deployment
from search.optimizer.fleet.deployed import Deployed
from search.optimizer.fleet.outcome import FleetOutcome

UNITS = {"usd_per_hour": "USD an hour", "power_w": "W", "gpus": "accelerators"}
STEADY = "steady, all seats taken"


def plan_words(plan: Plans) -> str:
    """A replica's plan in a line."""
    row = plan.row(0)
    return " ".join(f"{axis} {row[axis]}" for axis in READING_ORDER if axis not in ("gpus", "dp"))


def usd(value: float | None) -> str:
    return "unknown" if value is None else f"USD {value:,.2f}"


def kw(value: float | None) -> str:
    return "unknown" if value is None else f"{value / 1e3:,.1f} kW"


def rate(value: float) -> str:
    """Requests a second."""
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"


def cost_words(o: FleetOutcome, picks: IntArray) -> str:
    """What a fleet costs and draws, as far as that is known."""
    parts = []
    if (hourly := o.usd_per_hour(picks)) is not None:
        parts.append(f"{usd(hourly)} an hour, USD {o.usd_per_month(picks):,.0f} a month of 730 hours")
    if (power := o.power_w(picks)) is not None:
        parts.append(f"at most {kw(power)}")
    return "; ".join(parts) or "neither price nor power is known"


def taken_words(o: FleetOutcome, picks: IntArray) -> str:
    """Accelerators by pool."""
    pairs = zip(o.fleet.pools, o.gpus(picks).tolist(), strict=True)
    return ", ".join(f"{gpus} of {pool.count:,} {pool.name}" for pool, gpus in pairs)


def spares_words(o: FleetOutcome) -> str:
    spares = o.fleet.settings.spares
    if not spares.count:
        return "no spares: a failure leaves less than the traffic needs"
    what = {"replica": "replica", "node": "node"}[spares.of]
    many = f"any {spares.count} {what}s of it are" if spares.count > 1 else f"any {what} of it is"
    return f"each deployment carries its share while {many} down"


def objective_words(o: FleetOutcome) -> str:
    what = {"cost": "least cost", "energy": "least power", "served": "most served"}[o.fleet.settings.objective]
    return what if o.fleet.settings.objective != "served" else f"{what}, then least {UNITS[o.cost]}"


def limit_words(d: Deployed) -> str:
    """The two latencies beside their limits, with the spares lost."""
    limits = d.deployment.replica.scenario.limits
    parts = []
    for label, value, statistic, limit, scale, unit in (
        ("TTFT", d.failed.ttft_s, d.ttft_statistic, limits.ttft_s, 1.0, "s"),
        ("TPOT", d.failed.tpot_s, d.tpot_statistic, limits.tpot_s, 1e3, "ms"),
    ):
        of = f" of {limit * scale:g}" if limit is not None else ""
        parts.append(f"{label} {statistic} {value * scale:.3g}{of} {unit}")
    return ", ".join(parts)


def traffic_kind(d: Deployment) -> str:
    """What a replica's capacity is of."""
    return STEADY if d.replica.scenario.demand is None else "requests at a rate"


HEADINGS = (
    "model", "pool", "accelerator", "replicas", "a replica's plan", "engine", "GPUs", "asked /s", "carries /s", "used",
)  # fmt: skip


def rows(o: FleetOutcome) -> list[tuple[str, ...]]:
    """Of ``HEADINGS``, a row a deployment; a model that is not served has one too."""
    found: list[tuple[str, ...]] = []
    for m, member in enumerate(o.fleet.members):
        mine = [d for d in o.deployed if d.member == m]
        found += [_row(o, d) for d in mine] or [(member.name, "-", "-", "-", "not served", "-", "0", "0", "0", "-")]
    return found


def _row(o: FleetOutcome, d: Deployed) -> tuple[str, ...]:
    dep, replica = d.deployment, d.deployment.replica
    spare = f" ({dep.spare} spare)" if dep.spare else ""
    return (
        o.fleet.members[d.member].name, o.fleet.pools[dep.pool].name, replica.scenario.accelerator.name,
        f"{dep.count} x {replica.gpus}{spare}", plan_words(replica.plan), replica.engine, f"{dep.gpus:,}",
        rate(d.requests_per_s), rate(dep.requests_per_s), f"{d.used:.0%}",
    )  # fmt: skip


def short(o: FleetOutcome, picks: IntArray) -> list[str]:
    """Models that are not served whole, and why where they cannot be served at all."""
    lines = []
    for m, member in enumerate(o.fleet.members):
        share = o.share(picks, m)
        if share >= 1.0:
            continue
        why = [f"{o.fleet.pools[k].name}: {f.why}" for (i, k), f in o.found.items() if i == m and f.why]
        said = f" ({'; '.join(why)})" if why and not share else ""
        lines.append(f"{member.name} {share:.1%} of {rate(member.requests_per_s)} requests/s{said}")
    return lines


def infeasible(o: FleetOutcome) -> str:
    """The line of a fleet that cannot serve everybody."""
    if o.most is None:
        whys = [
            f"{o.fleet.members[m].name} on {o.fleet.pools[k].name}: {found.why or 'too few accelerators for one'}"
            for (m, k), found in o.found.items()
        ]
        return f"fleet: nothing can be served; {'; '.join(whys)}"
    return (
        f"fleet: the most that its pools and budgets serve is {o.served(o.most):.1%} of the weighted traffic, on "
        f"{taken_words(o, o.most)}; served in part: {'; '.join(short(o, o.most))}; fleet.objective=served plans it"
    )


def command(o: FleetOutcome, d: Deployed) -> str:
    """The search that writes this deployment's own plan and launch files, as one line of a shell."""
    member, dep = o.fleet.members[d.member], d.deployment
    plan = dep.replica.plan.row(0)
    plan |= {"gpus": dep.gpus, "dp": dep.count}
    hardware = o.fleet.settings.pools[o.fleet.pools[dep.pool].name]
    words = {w.lstrip("+~").split("=", 1)[0]: w for w in member.words if not w.startswith(("strategy", "hydra."))}
    words |= {"engine": f"engine={dep.replica.engine}", "hardware": f"hardware={hardware.hardware}"}
    if hardware.cluster:
        words["cluster"] = f"cluster={hardware.cluster}"
    words |= {f"space.{axis}": f"space.{axis}={plan[axis]}" for axis in READING_ORDER}
    if dep.replica.scenario.demand is not None and member.config.workload.requests_per_s is not None:
        words["workload.requests_per_s"] = f"workload.requests_per_s={d.requests_per_s:g}"
    return shlex.join(["servefront", *words.values(), "strategy=exact"])
