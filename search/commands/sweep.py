"""Hydra multirun: when all jobs are done, gather their fronts into one ``sweep.csv``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from search.base.errors import InputError
from search.base.escape import csv_cell
from search.base.whole_file import put_text
from search.commands.folders import Refused, claim_run, claim_sweep
from search.inputs.saved_run import CONFIG_FILE
from search.inputs.typed import explain

BROKEN = "error"
PARTIAL = "partial"


class GatherSweep(Callback):
    """Registered in ``conf/config.yaml``: Hydra calls it before a run or a sweep, and once a sweep has ended."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _refusing(claim_run, config)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _refusing(claim_sweep, config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        gather(Path(config.hydra.sweep.dir))


def _refusing(claim: Callable[[DictConfig], None], config: DictConfig) -> None:
    try:
        claim(config)
    except OSError as error:
        raise Refused(f"{error.filename or 'folder'}: {error.strerror or error}") from error
    except (InputError, OmegaConfBaseException) as error:
        raise Refused(explain(error) if isinstance(error, OmegaConfBaseException) else str(error)) from error


def write_status(folder: Path, status: str, message: str) -> None:
    """Leave word of a job that has no summary; a folder that holds an earlier run stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "summary.json").exists():
        return
    text = json.dumps({"status": status, "message": message}, indent=2)
    put_text(folder / "status.json", text + "\n")


def job_status(folder: Path) -> dict[str, Any]:
    """What a job left: its summary, or the word of its failure."""
    for name in ("summary.json", "status.json"):
        path = folder / name
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found | ({"status": PARTIAL} if found.get("partial") else {})
    return {"status": BROKEN, "message": "the job left nothing behind"}


def job_folders(folder: Path) -> list[Path]:
    """The jobs of a sweep, in order of their number."""
    jobs = [p.parent.parent for p in folder.glob("*/.hydra/overrides.yaml")]
    return sorted(jobs, key=lambda p: (int(p.name) if p.name.isdigit() else 1 << 30, p.name))


def gather(folder: Path) -> Path:
    """Write ``sweep.csv``: every row of every front, with the job's number, its status and the keys that vary. A job
    without a front has one row that holds only these."""
    jobs = [(job, job_status(job), _overrides(job)) for job in job_folders(folder)]
    keys = sorted({k for _, _, o in jobs for k in o if len({str(other.get(k)) for _, _, other in jobs}) > 1})
    rows: list[dict[str, Any]] = []
    columns: list[str] = []
    for job, status, overrides in jobs:
        lead = {"job": job.name, "status": status["status"]} | {k: overrides.get(k, "") for k in keys}
        front = job / "pareto.csv"
        plans: list[dict[str, Any]] = []
        if front.is_file():
            with front.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                plans = list(reader)
                # Jobs with and without a rate have other columns; a plan's engine may be a key.
                columns += [name for name in reader.fieldnames or () if name not in (*keys, *columns)]
        rows += [lead | plan for plan in plans] or [lead]
    path = folder / "sweep.csv"
    text = io.StringIO()
    writer = csv.DictWriter(text, ["job", "status", *keys, *columns], restval="", lineterminator="\n")
    writer.writerow({name: csv_cell(name) for name in writer.fieldnames})
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    put_text(path, text.getvalue())
    return path


def _overrides(job: Path) -> dict[str, str]:
    """What the job was asked for, by key; where its saved configuration has another value, that one: Hydra writes its
    own word of a job before the job is taken on."""
    listed = OmegaConf.load(job / ".hydra" / "overrides.yaml")
    pairs = (str(item).partition("=") for item in listed)
    found = {key.lstrip("+~"): value for key, _, value in pairs}
    if not (job / CONFIG_FILE).is_file():
        return found
    saved: Any = yaml.load((job / CONFIG_FILE).read_bytes(), Loader=yaml.CSafeLoader)
    return {key: _saved(saved, key, value) for key, value in found.items()}


def _saved(node: Any, key: str, said: str) -> str:
    """The number or text under a dotted ``key``; ``said`` where there is none, or the same."""
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return said
        node = node[part]
    if isinstance(node, bool) or not isinstance(node, int | float):
        return str(node) if isinstance(node, str) and "." in key else said
    try:
        return said if float(said) == node else str(node)
    except ValueError:
        return str(node)
