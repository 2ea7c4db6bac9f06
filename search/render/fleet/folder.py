"""What a fleet's run leaves behind; nothing stands under its name before everything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from search import __version__
from search.base.whole_file import put, put_text
from search.optimizer.fleet.outcome import FleetOutcome
from search.optimizer.journal import export_study
from search.render.fleet.document import fleet_md
from search.render.fleet.page import fleet_html
from search.render.fleet.pictures import front_svg, pools_svg
from search.render.fleet.tables import fleet_csv, fleet_yaml, front_csv, replicas_csv
from search.render.run_folder import SUMMARY, staged, versions


def write_fleet(folder: Path, o: FleetOutcome) -> None:
    """Into a folder that holds no run yet. Without a fleet that serves what was asked there is no ``fleet.*``, no
    ``plan.md`` and no page."""
    staged(folder, lambda stage: _write(stage, o))


def _write(folder: Path, o: FleetOutcome) -> None:
    put_text(folder / "replicas.csv", replicas_csv(o))
    put_text(folder / "front.csv", front_csv(o))
    if o.chosen is not None:
        put_text(folder / "fleet.csv", fleet_csv(o))
        put_text(folder / "fleet.yaml", fleet_yaml(o, __version__))
        put_text(folder / "plan.md", fleet_md(o))
        if o.fleet.report:
            put_text(folder / "report.html", fleet_html(o))
            put_text(folder / "fleet.svg", pools_svg(o))
            put_text(folder / "front.svg", front_svg(o))
    if o.study is not None:
        study = o.study.study
        put(folder / "study.journal", lambda path: export_study(study, path))
    put_text(folder / SUMMARY, json.dumps(summarise(o), indent=2) + "\n")


def summarise(o: FleetOutcome) -> dict[str, Any]:
    """``summary.json``."""
    members, pools, study = o.fleet.members, o.fleet.pools, o.study
    best = o.chosen
    return {
        "status": "ok" if best is not None else "not everybody is served",
        "name": o.fleet.name,
        "objective": o.fleet.settings.objective,
        "models": [m.name for m in members],
        "pools": {p.name: p.count for p in pools},
        "taken": None if best is None else dict(zip((p.name for p in pools), o.gpus(best).tolist(), strict=True)),
        "usd_per_hour": None if best is None else o.usd_per_hour(best),
        "usd_per_month": None if best is None else o.usd_per_month(best),
        "power_w": None if best is None else o.power_w(best),
        "served": None if best is None else o.served(best),
        "most_served": None if o.most is None else o.served(o.most),
        "searches": [
            {
                "model": members[m].name,
                "pool": pools[k].name,
                "space": found.points,
                "legal": found.legal,
                "feasible": found.feasible,
                "replicas": len(found.replicas),
                "left_out_sizes": list(found.left_out),
                "why_none": found.why,
            }
            for (m, k), found in o.found.items()
        ],
        "choices": {m.name: len(m) - 1 for m in o.problem.members},
        "method": o.front.method,
        "front": len(o.front) if o.front.whole else None,
        "growth": [
            {"factor": g.factor, "gpus": None if g.gpus is None else g.gpus.tolist(), o.cost: g.cost} for g in o.growth
        ],
        "sampler": o.fleet.strategy.sampler,
        "seed": o.fleet.strategy.seed,
        "trials": study.trials if study else 0,
        "repeats": study.repeats if study else 0,
        "hypervolume_share": study.share if study else None,
        "seconds": {stage: round(s, 4) for stage, s in o.seconds.items()},
        "versions": versions(),
    }
