"""A run read back: the configuration that made it, its front, and the plan that somebody names."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from omegaconf import OmegaConf

from costmodel.plans import AXES, Plans
from search.base.errors import InputError
from search.base.escape import literal
from search.inputs.models import ConfigError, load_config_json
from search.inputs.models.load import compacted
from search.inputs.plan_reader import read_plan_file
from search.inputs.schema import Config
from search.inputs.typed import typed

CONFIG_FILE = "config.yaml"
__all__ = ["CONFIG_FILE", "SavedRun", "config_text", "named_plan", "read_plan_file", "read_run"]


@dataclass(frozen=True)
class SavedRun:
    """``folder`` of a run; ``config`` that made it; ``front`` its ``pareto.csv``, the best plan first."""

    folder: Path
    config: Config
    front: tuple[dict[str, str], ...]

    @property
    def recommended(self) -> dict[str, int] | None:
        """The axes of the recommended plan; ``None`` where nothing was feasible."""
        return next((_axes(row) for row in self.front if row["recommended"] == "true"), None)

    @property
    def exact_config(self) -> Config:
        """The same search without a study: what ``optimizer.run.run`` gives for it is this run's exact outcome."""
        return replace(self.config, strategy=replace(self.config.strategy, sampler="exact"))


def config_text(config: Config) -> str:
    """``config.yaml``: the whole configuration, a model's ``config.json`` included, so that the file stands alone."""
    model = config.model
    if model.config is not None:
        try:
            model = replace(model, published=compacted(load_config_json(model.config)), config=None)
        except ConfigError as error:
            raise InputError(f"model: {error}") from error
    return OmegaConf.to_yaml(OmegaConf.create(literal(asdict(replace(config, model=model)))))


def read_run(folder: Path) -> SavedRun:
    """The run in ``folder``; ``InputError`` where there is none or it cannot be read."""
    try:
        config = typed(OmegaConf.load(folder / CONFIG_FILE))  # type: ignore[arg-type]
        with (folder / "pareto.csv").open(newline="", encoding="utf-8") as file:
            front = tuple(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"RUN: {folder} holds no run of `python -m search`: {reason}") from error
    except InputError as error:
        raise InputError(f"{folder / CONFIG_FILE}: {error}") from error
    except Exception as error:  # a YAML parser's own errors have no common base in OmegaConf's interface
        raise InputError(f"{folder / CONFIG_FILE}: not YAML: {' '.join(str(error).split())}") from error
    return SavedRun(folder, config, front)


def named_plan(run: SavedRun, text: str) -> tuple[Plans, str]:
    """The plan that ``--plan`` names, and what to call it.

    ``recommended``; ``3``: the third row of ``pareto.csv``; ``tp=4,ep=8,batch=128``: the recommended plan with these
    values instead of its own (``attn_dp`` follows from ``gpus``); or a ``plan.yaml``.
    """
    if text == "recommended":
        return Plans.of(**_wanted(run)), "recommended"
    if text.isdigit():
        number = int(text)
        if not 1 <= number <= len(run.front):
            raise InputError(f"--plan: {number} is not a row of pareto.csv; give 1 to {len(run.front)}")
        return Plans.of(**_axes(run.front[number - 1])), f"row {number}"
    if "=" in text:
        changes = _changes(text)
        base = run.recommended or {}
        missing = [a for a in ("gpus", "tp", "batch") if a not in base and a not in changes]
        if missing:
            raise InputError(f"--plan: {text!r} lacks {missing[0]}, and the run recommends no plan to take it from")
        return Plans.of(**{**base, **changes}), text
    plan = read_plan_file(Path(text))
    return Plans.of(**plan.layout, batch=plan.batch), plan.name


def _wanted(run: SavedRun) -> dict[str, int]:
    if run.recommended is None:
        raise InputError(f"--plan: {run.folder} recommends no plan; name one, as tp=4,ep=8,gpus=8,batch=64")
    return run.recommended


def _axes(row: dict[str, str]) -> dict[str, int]:
    return {axis: int(row[axis]) for axis in AXES}


def _changes(text: str) -> dict[str, int]:
    changes: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in AXES or name in changes:
            raise InputError(f"--plan: {part!r} is not allowed; give each of {', '.join(AXES)} at most once, as tp=4")
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 10_000_000):
            raise InputError(f"--plan: {part!r} is not allowed; give a whole number from 1 to 10000000")
        changes[name] = int(value)
    return changes
