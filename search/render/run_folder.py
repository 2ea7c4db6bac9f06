"""What a run leaves behind. Everything is written beside its final name and moved there when it is whole."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from search import __version__
from search.base.errors import InputError
from search.base.whole_file import put, put_text, refuse_special
from search.inputs.saved_run import CONFIG_FILE, config_text
from search.optimizer.journal import export_study
from search.optimizer.outcome import Compared, Outcome
from search.optimizer.sensitivity.table import csv_text
from search.optimizer.sensitivity.table import summary as sensitivity_summary
from search.optimizer.sure import Kept, is_sure, kept_limits
from search.render.document import collect, render_annex
from search.render.document import render as render_document
from search.render.document.view import Values
from search.render.full import FULL, full_summary, full_table
from search.render.launch.split import split_files
from search.render.launch.write import launch_files
from search.render.plan_file import plan_mapping, render
from search.render.split import split_csv, split_summary
from search.render.tables import write_candidates, write_front, write_table
from search.render.tornado import tornado

T = TypeVar("T")
SUMMARY = "summary.json"
LAUNCH = "launch"
STAGE = ".partial"  # holds a run until it is whole
COMPARED = ("ttft_s", "tpot_s", "output_tokens_per_s", "output_tokens_per_s_per_gpu", "kv_capacity_tokens")
PACKAGES = ("numpy", "scipy", "optuna", "hydra-core", "moocore")


def write_run(folder: Path, outcome: Outcome) -> dict[str, Any]:
    """Write the run into a folder that holds none yet; returns the summary. Without a feasible plan there is no
    ``plan.yaml`` and no ``plan.md``, and ``pareto.csv`` has no rows."""
    return staged(folder, lambda stage: _write(stage, outcome))


def staged(folder: Path, write: Callable[[Path], T]) -> T:
    """``write`` into a folder that holds no run yet. Nothing stands under its name before everything is written, and
    ``summary.json``, which makes a folder a run, comes last."""
    claim_folder(folder)
    stage = folder / STAGE
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        result = write(stage)
        for path in sorted(stage.iterdir(), key=lambda p: p.name == SUMMARY):
            refuse_taken(folder / path.name)
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return result


def versions() -> dict[str, str]:
    """Of the program, and of what its results depend on."""
    found = {"servefront": __version__, "python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def refuse_taken(path: Path) -> None:
    """``InputError`` where an output's name is a link, a device, a pipe or, but for ``launch``, a folder."""
    if path.name != LAUNCH or path.is_symlink() or path.is_file():
        refuse_special(str(path), path)
    elif path.is_dir():
        shutil.rmtree(path)


def _write(folder: Path, outcome: Outcome) -> dict[str, Any]:
    put_text(folder / CONFIG_FILE, config_text(outcome.asked or outcome.config))
    put(folder / "pareto.csv", lambda path: write_front(outcome, path))
    if outcome.split is not None:
        put_text(folder / "split.csv", split_csv(outcome))
    if (found := outcome.full) is not None:
        put(folder / FULL, lambda path: write_table(path, *full_table(found)))
    written = put(folder / "candidates.csv.gz", lambda path: write_candidates(outcome, path))
    values = None
    if outcome.choice is not None:
        plan = plan_mapping(outcome, outcome.choice.recommended, "recommended")
        comment = f"servefront {__version__}: {outcome.scenario.model.name} on {outcome.scenario.accelerator.name}"
        put_text(folder / "plan.yaml", render(plan, comment))
        values = collect(outcome)
        put_text(folder / "plan.md", render_document(values))
        put_text(folder / "inputs.md", render_annex(values))
        _put_launch(folder / LAUNCH, launch_files(outcome) | split_files(outcome))
    if outcome.config.report.kind == "html":
        _put_report(folder, outcome, values)
    if outcome.sensitivity is not None:
        put_text(folder / "sensitivity.csv", csv_text(outcome.sensitivity))
        put_text(folder / "sensitivity.svg", tornado(outcome))
    if outcome.study is not None:
        study = outcome.study.study
        put(folder / "study.journal", lambda path: export_study(study, path))
    summary = summarise(outcome, *written)
    put_text(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")
    return summary


def _put_report(folder: Path, outcome: Outcome, document: Values | None) -> None:
    """The page and the still picture, from the same values, those of the ``document`` among them."""
    from search.render import report  # with the page's assets, which a run without a report does not need

    values = report.collect(outcome, document)
    put_text(folder / "report.html", report.render(values))
    put_text(folder / "pareto.svg", report.pareto_svg(values))


def claim_folder(folder: Path) -> None:
    """Make the folder, or take an empty one; a folder that holds a run is never written into."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / SUMMARY).exists():
        raise InputError(f"hydra.run.dir: {folder} already holds a run; give a folder that does not")


def _put_launch(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        put_text(folder / name, text)
        if name.endswith(".sh"):
            (folder / name).chmod(0o755)


def _limit_kept(k: Kept) -> dict[str, Any]:
    figures = {"figure": k.figure, "allowed": k.allowed, "predicted": k.predicted, "low": k.low, "high": k.high}
    return {"over_interval": k.surely, "draws": k.share, **figures}


def _compared(one: Compared) -> dict[str, Any]:
    """An engine beside the recommended one's."""
    found = one.outcome
    if found is None:
        return {"status": "no legal plan", "why": one.refused}
    best = found.choice.recommended if found.choice else None
    return {
        "status": "no feasible plan" if best is None else "ok",
        "legal": len(found.legal),
        "feasible": found.counted.feasible,
        "front": len(found.front),
        "recommended": None if best is None else found.plans.row(best),
        "gain": one.gain,
        "apart": one.apart,
        **({} if best is None else {name: float(getattr(found.scores, name)[best]) for name in COMPARED}),
    }


def summarise(outcome: Outcome, candidates: int, sampled: bool) -> dict[str, Any]:
    """``summary.json``. Each point of the space is counted once: legal or under the first rule that it breaks; each
    scored plan once: feasible or under the first limit that it misses."""
    counted = outcome.counted
    limits = dict(zip(outcome.scores.limits, counted.missed, strict=True))
    study = outcome.study
    best = outcome.choice
    return {
        "status": "ok" if best else "no feasible plan",
        "name": outcome.config.name,
        "model": outcome.scenario.model.name,
        "hardware": outcome.scenario.accelerator.name,
        "engine": outcome.engine,
        "compared": {c.engine: _compared(c) for c in outcome.compared},
        "space": outcome.space.size,
        "legal": len(outcome.legal),
        "scored": counted.scored,
        "feasible": counted.feasible,
        "front": len(outcome.front),
        "partial": list(outcome.partial),
        "exact": all(one.exact for one in outcome.each),
        "removed_by_rule": outcome.legal.removed,
        "removed_by_limit": {name: n for name, n in limits.items() if n},
        **(
            {"spared": {"memory_grows_with_batch": counted.spared, "floors_miss_a_limit": counted.late}}
            if outcome.tally
            else {}
        ),
        "candidates_written": candidates,
        "candidates_are_a_sample": sampled,
        "sampler": outcome.config.strategy.sampler,
        "seed": outcome.config.strategy.seed,
        "trials": study.trials if study else 0,
        "repeats": study.repeats if study else 0,
        "hypervolume_share": study.hypervolume_share if study else None,
        "recommended": outcome.plans.row(best.recommended) if best else None,
        "pinned_by": list(best.pinned_by) if best else [],
        "sure": is_sure(outcome) if best else None,
        "limits_kept": {k.limit: _limit_kept(k) for k in kept_limits(outcome)},
        "verified": [
            {
                "plan": outcome.plans.row(v.row),
                "kept": v.kept,
                "missed": v.missed,
                "preemptions": v.preemptions,
                "seeds": v.seeds,
                "requests": v.requests,
                "simulated": v.figures,
                "analytic": v.analytic(outcome.scores),
            }
            for v in outcome.verified
        ],
        "sensitivity": sensitivity_summary(outcome.sensitivity) if outcome.sensitivity else None,
        **split_summary(outcome),
        **full_summary(outcome.full),
        "compute": {"kind": outcome.workers[0], "workers": outcome.workers[1]},
        "seconds": {stage: round(s, 4) for stage, s in outcome.seconds.items()},
        "versions": versions(),
    }
