"""What a sweep left: its jobs with their keys, fronts and recommended plans, as ``sweep.csv`` and the jobs' summaries
have them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEAD = ("job", "status")


@dataclass(frozen=True)
class Job:
    """One job: ``keys`` the values of the keys that vary, ``front`` its plans as rows of ``sweep.csv``, ``best`` the
    recommended one's place among them (``None`` without), ``limits`` what its summary says of each limit."""

    name: str
    status: str
    keys: Mapping[str, str]
    front: list[Mapping[str, str]] = field(default_factory=list)
    best: int | None = None
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    has_page: bool = False

    def figures(self) -> list[str]:
        """Figures that its limits bound."""
        return [str(limit["figure"]) for limit in self.limits.values() if "figure" in limit]


@dataclass(frozen=True)
class Sweep:
    """All jobs, and the ``keys`` that vary among them; ``columns`` those of their plans."""

    jobs: tuple[Job, ...]
    keys: tuple[str, ...]
    columns: tuple[str, ...]

    def limited(self) -> list[str]:
        """Figures that some job's limits bound, but for the memory."""
        names = dict.fromkeys(name for job in self.jobs for name in job.figures())
        return [name for name in names if name != "memory_bytes_per_gpu"]


def read_sweep(path: Path, summaries: Mapping[str, Mapping[str, Any]]) -> Sweep:
    """``sweep.csv`` at ``path``; ``summaries`` what each job's folder says, by the job's name."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    columns = list(reader.fieldnames or ())[len(LEAD) :]
    keys = columns[: columns.index("tp") if "tp" in columns else None]  # they stand before the first column of a plan
    jobs: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        jobs.setdefault(row["job"], []).append(row)
    found = [_job(name, rows, keys, summaries.get(name, {}), path.parent) for name, rows in jobs.items()]
    return Sweep(tuple(found), tuple(keys), tuple(columns[len(keys) :]))


def _job(
    name: str, rows: list[dict[str, str]], keys: list[str], summary: Mapping[str, Any], folder: Path
) -> Job:  # fmt: skip
    front: list[Mapping[str, str]] = [row for row in rows if row.get("recommended")]
    best = next((i for i, row in enumerate(front) if row["recommended"] == "true"), None)
    limits = summary.get("limits_kept", {})
    page = (folder / name / "report.html").is_file()
    return Job(name, rows[0]["status"], {k: rows[0][k] for k in keys}, front, best, limits, page)
