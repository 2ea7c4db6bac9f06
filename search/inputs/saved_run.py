"""A run read back: the configuration that made it, its front, and the plan that somebody names."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from costmodel.plans import AXES, Plans
from search.base.errors import InputError
from search.inputs.bounded_file import read_bounded
from search.inputs.catalog_yaml import text_of
from search.inputs.checks import shown
from search.inputs.compared import OWN, compared
from search.inputs.models import ConfigError, load_config_json
from search.inputs.models.load import compacted
from search.inputs.own_engine import as_launched
from search.inputs.plain_yaml import read_yaml, texts
from search.inputs.plan_reader import MOST_OF_AN_AXIS, read_plan_file
from search.inputs.schema import ComputeConfig, Config
from search.inputs.typed import typed

CONFIG_FILE = "config.yaml"
FRONT = "pareto.csv"
MAX_BYTES = 20_000_000  # of a configuration with its config.json
MOST_OF_FRONT = 60_000_000  # bytes: some 100,000 plans
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
    def engine(self) -> str:
        """The engine of the recommended plan; of none, the run's own, or the first that it compared."""
        best = next((row["engine"] for row in self.front if row["recommended"] == "true" and row.get("engine")), None)
        return best or next(iter(compared(self.config)), self.config.engine.name)

    def of(self, engine: str) -> SavedRun:
        """The same run as if it had searched one of the engines that it compared alone."""
        return replace(self, config=as_launched(self.config, engine)) if compared(self.config) else self

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
    found = asdict(replace(config, model=model))
    del found["compute"], found["strategy"]["storage"]  # where, not what
    if compared(config):  # the other keys are each engine's
        found["engine"] = {key: found["engine"][key] for key in OWN}
    return text_of(found)


def read_run(folder: Path) -> SavedRun:
    """The run in ``folder``; ``InputError`` where there is none or it cannot be read."""
    path = folder / CONFIG_FILE
    _must_be_there(folder, CONFIG_FILE)
    found = read_yaml(str(path), read_bounded(path, MAX_BYTES, "a run's configuration"), "a configuration", floats=True)
    try:
        if not isinstance(found, dict):
            raise InputError("holds no configuration")
        _check_own(found)
        config = typed(OmegaConf.create(found))
        config = replace(config, compute=ComputeConfig(), strategy=replace(config.strategy, storage=None))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a parser's own errors have no common base in OmegaConf's interface
        raise InputError(f"{path}: {error}") from error
    _must_be_there(folder, FRONT)
    return SavedRun(folder, config, read_front(folder / FRONT))


def _must_be_there(folder: Path, name: str) -> None:
    try:
        (folder / name).stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"RUN: {folder} holds no run of `python -m search`: {name}: {reason}") from error


def _check_own(found: dict[str, Any]) -> None:
    """A run stands alone, and may come from anybody: it names no other file, and nothing is looked up for it."""
    model, baselines = found.get("model"), found.get("baselines")
    if isinstance(model, dict) and model.get("config") is not None:
        raise InputError("model.config: names a file; a run holds its model itself, in model.published")
    for i, plan in enumerate(baselines if isinstance(baselines, list) else ()):
        if isinstance(plan, str):
            raise InputError(f"baselines[{i}]: names a file; a run holds its baselines itself")
    for text in texts(found, keys=False):  # keys are never looked up
        if any(len(slashes) % 2 == 0 for slashes in re.findall(r"(\\*)\$\{", text)):
            raise InputError(f"{shown(text)} is not allowed; a run's values stand for themselves")


def read_front(path: Path) -> tuple[dict[str, str], ...]:
    """The rows of a run's ``pareto.csv``, whose degrees are whole numbers from 1 on."""
    try:
        text = read_bounded(path, MOST_OF_FRONT, "the front of a run").decode("utf-8")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        rows = tuple(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    header = list(reader.fieldnames or [])
    for name in (*AXES, "recommended"):
        if header.count(name) != 1:
            raise InputError(f"{path}: column {name!r} is {'missing' if name not in header else 'given twice'}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header) or None in row.values():
            raise InputError(f"{path}: row {number} has not {len(header)} cells; the file was cut or changed")
        for axis in AXES:
            _degree(f"{path}: row {number}: {axis}", row[axis])
    return rows


def _degree(key: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 8 and 1 <= int(text) <= MOST_OF_AN_AXIS):
        raise InputError(f"{key}: {shown(text)} is not allowed; give a whole number from 1 to {MOST_OF_AN_AXIS}")
    return int(text)


def named_plan(run: SavedRun, text: str) -> tuple[Plans, str]:
    """The plan that ``--plan`` names, and what to call it.

    ``recommended``; ``3``: the third row of ``pareto.csv``; ``tp=4,ep=8,batch=128``: the recommended plan with these
    values instead of its own (``attn_dp`` follows from ``gpus``); or a ``plan.yaml``.
    """
    if text == "recommended":
        return Plans.of(**_wanted(run)), "recommended"
    if text.isascii() and text.isdigit():
        if len(text) > 9:
            raise InputError(f"--plan: {shown(text)} is not a row of pareto.csv; give 1 to {len(run.front)}")
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


def named_engine(run: SavedRun, text: str) -> str:
    """The engine of the plan that ``--plan`` names: a row's or a ``plan.yaml``'s own, else the recommended plan's."""
    if text.isascii() and text.isdigit() and 0 < int(text[:9]) <= len(run.front):
        found = run.front[int(text[:9]) - 1].get("engine")
    elif text != "recommended" and "=" not in text:
        found = read_plan_file(Path(text)).engine
    else:
        found = None
    allowed = compared(run.config)
    if allowed and found is not None and found not in allowed:
        raise InputError(f"--plan: engine {shown(found)} was not compared by the run; it has {', '.join(allowed)}")
    return found if found is not None and allowed else run.engine


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
        if not (value.isascii() and value.isdigit() and len(value) <= 8 and 1 <= int(value) <= MOST_OF_AN_AXIS):
            raise InputError(f"--plan: {shown(part)} is not allowed; give a whole number from 1 to {MOST_OF_AN_AXIS}")
        changes[name] = int(value)
    return changes
