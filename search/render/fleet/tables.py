"""``fleet.csv``, ``front.csv``, ``replicas.csv`` and ``fleet.yaml``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from costmodel.plans import AXES
from search.base.escape import csv_cell
from search.inputs.catalog_yaml import text_of
from search.inputs.fleet.records import HOURS_A_MONTH
from search.optimizer.fleet.deployed import Deployed
from search.optimizer.fleet.outcome import FleetOutcome
from search.optimizer.fleet.replicas import Replica

OWN = tuple(a for a in AXES if a not in ("dp", "gpus"))
FLEET = (
    "model", "pool", "hardware", "engine", "replicas", "spare", "gpus_per_replica", *OWN,
    "gpus", "requests_per_s", "share", "carried_requests_per_s", "used",
    "replica_requests_per_s", "replica_requests_per_s_low", "replica_requests_per_s_high", "coverage",
    "ttft_statistic", "ttft_s", "ttft_s_failed", "tpot_statistic", "tpot_s", "tpot_s_failed", "memory_utilization",
    "usd_per_hour", "usd_per_month", "power_w",
)  # fmt: skip

REPLICAS = (
    "model", "pool", "gpus", *OWN, "engine", "requests_per_s", "requests_per_s_low",
    "requests_per_s_high", "requests_per_s_per_gpu", "coverage",
)  # fmt: skip


def fleet_csv(o: FleetOutcome) -> str:
    """A row a deployment of the chosen fleet."""
    return _csv(FLEET, (_row(o, d) for d in o.deployed))


def _row(o: FleetOutcome, d: Deployed) -> list[Any]:
    dep, replica = d.deployment, d.deployment.replica
    pool, member = o.fleet.pools[dep.pool], o.fleet.members[d.member]
    plan = replica.plan.row(0)
    price, power = pool.price_per_hour, pool.power_w
    hourly = None if price is None else price * dep.gpus
    return [
        member.name, pool.name, replica.scenario.accelerator.name, replica.engine, dep.count, dep.spare, replica.gpus,
        *(plan[a] for a in OWN), dep.gpus,
        d.requests_per_s, d.requests_per_s / member.requests_per_s, dep.requests_per_s, d.used,
        replica.requests_per_s, replica.low, replica.high, replica.coverage,
        d.ttft_statistic, d.all_up.ttft_s, d.failed.ttft_s, d.tpot_statistic, d.all_up.tpot_s, d.failed.tpot_s,
        d.memory_utilization,
        _known(hourly), _known(None if hourly is None else hourly * HOURS_A_MONTH),
        _known(None if power is None else power * dep.gpus),
    ]  # fmt: skip


def front_csv(o: FleetOutcome) -> str:
    """A row a fleet of the front, the cheapest first: its totals, each model's share and accelerators by pool."""
    pools, members = o.fleet.pools, o.fleet.members
    names = ["usd_per_hour", "power_w", *(f"gpus_{p.name}" for p in pools), "served"]
    for member in members:
        names += [f"{member.name}_share", *(f"{member.name}_gpus_{p.name}" for p in pools)]
    names.append("chosen")
    return _csv(names, _front_rows(o))


def _front_rows(o: FleetOutcome) -> Iterable[list[Any]]:
    for i, picks in enumerate(o.front.picks):
        row = [_known(o.usd_per_hour(picks)), _known(o.power_w(picks)), *o.gpus(picks).tolist(), o.served(picks)]
        for m, choices in enumerate(o.problem.members):
            row += [o.share(picks, m), *choices.gpus[int(picks[m])].tolist()]
        yield [*row, str(o.chosen is not None and i == len(o.front) - 1).lower()]


def replicas_csv(o: FleetOutcome) -> str:
    """A row a replica that was chosen from: of each model, pool and size the plan that carries most."""
    rows = [(o.fleet.members[m].name, o.fleet.pools[k].name, r) for (m, k), f in o.found.items() for r in f.replicas]
    return _csv(REPLICAS, ([model, pool, *_replica(r)] for model, pool, r in rows))


def _replica(r: Replica) -> list[Any]:
    plan = r.plan.row(0)
    each = r.requests_per_s / r.gpus
    return [r.gpus, *(plan[a] for a in OWN), r.engine, r.requests_per_s, r.low, r.high, each, r.coverage]


def fleet_yaml(o: FleetOutcome, version: str) -> str:
    """The chosen fleet with everything that made it."""
    assert o.chosen is not None
    plans = []
    for d in o.deployed:
        dep = d.deployment
        layout = dep.replica.plan.row(0)
        batch = layout.pop("batch")
        layout |= {"dp": dep.count, "gpus": dep.gpus}
        plans.append(
            {
                "model": o.fleet.members[d.member].name,
                "pool": o.fleet.pools[dep.pool].name,
                "requests_per_s": d.requests_per_s,
                "replicas": dep.count,
                "spare": dep.spare,
                "plan": {
                    "name": o.fleet.members[d.member].name,
                    "layout": layout,
                    "batch": batch,
                    **({} if dep.replica.engine == "any" else {"engine": dep.replica.engine}),
                },
            }
        )
    pools = [
        {
            "name": pool.name,
            "hardware": pool.config.hardware.name,
            "count": pool.count,
            "taken": int(taken),
            "price_per_hour": pool.price_per_hour,
            "power_w": pool.power_w,
        }
        for pool, taken in zip(o.fleet.pools, o.gpus(o.chosen).tolist(), strict=True)
    ]
    content = {
        "name": o.fleet.name,
        "version": version,
        "served": o.served(o.chosen),
        "usd_per_hour": o.usd_per_hour(o.chosen),
        "usd_per_month": o.usd_per_month(o.chosen),
        "power_w": o.power_w(o.chosen),
        "pools": pools,
        "deployments": plans,
        "settings": asdict(o.fleet.settings),
    }
    return text_of(content)


def _known(value: float | None) -> Any:
    return "" if value is None else value


def _csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    return text.getvalue()
