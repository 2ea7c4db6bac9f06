"""Plans that people wrote, read into ``PlanConfig``: ``plan.yaml`` files and ``baselines`` of a configuration.

A file may come from anywhere, so it is data and nothing else: no tags, no aliases (a few lines of them expand to
gigabytes), no interpolation (it could read the environment), no key twice, ``MAX_BYTES`` at most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from costmodel.columns import COLUMNS
from costmodel.engine import ENGINES
from costmodel.plans import AXES
from search.base.errors import InputError
from search.inputs.bounded_file import read_bounded
from search.inputs.checks import number
from search.inputs.plain_yaml import read_yaml
from search.inputs.schema import PlanConfig

MAX_BYTES = 100_000
MAX_NAME = 400
MOST_OF_AN_AXIS = 10_000_000
MOST_CLAIMED = 1e18  # of any figure: products of two claims stay finite
KEYS = tuple(PlanConfig.__dataclass_fields__)


def read_baselines(entries: list[Any]) -> list[PlanConfig]:
    """``baselines`` of a configuration: each entry a mapping, or the path of a ``plan.yaml``."""
    plans = []
    for i, entry in enumerate(entries):
        if isinstance(entry, PlanConfig):
            plans.append(entry)
        elif isinstance(entry, str):
            try:
                plans.append(read_plan_file(Path(entry)))
            except InputError as error:
                raise InputError(f"baselines[{i}]: {error}") from error
        else:
            plans.append(plan_config(f"baselines[{i}]", entry))
    return plans


def read_plan_file(path: Path) -> PlanConfig:
    """A ``plan.yaml`` (docs/formats.md); ``InputError`` in one line says what is wrong with it."""
    return plan_config(str(path), _load(path))


def plan_config(key: str, found: Any) -> PlanConfig:
    """A mapping as a plan. ``key`` leads the message of an ``InputError``."""
    if not isinstance(found, Mapping):
        raise InputError(f"{key}: {_shown(found)} is no plan; give name, layout and batch")
    for name in found:
        if name not in KEYS:
            raise InputError(f"{key}: unknown key {_shown(name)}; allowed: {', '.join(KEYS)}")
    for name in ("name", "layout", "batch"):
        if found.get(name) is None:
            raise InputError(f"{key}.{name}: must be given")
    name = str(found["name"])
    if len(name) > MAX_NAME:
        raise InputError(f"{key}.name: {len(name)} characters are not allowed; give at most {MAX_NAME}")
    if "${" in name:  # a configuration that is read back would look it up, in the environment for instance
        raise InputError(f"{key}.name: {_shown(name)} is not allowed; give a name without '${{'")
    engine = found.get("engine")
    if engine is not None and engine not in ENGINES:
        raise InputError(f"{key}.engine: {_shown(engine)} is not allowed; give one of {', '.join(ENGINES)}")
    layout = {d: _whole(f"{key}.layout.{d}", n) for d, n in _mapping(f"{key}.layout", found["layout"]).items()}
    claims = {f: _number(f"{key}.claims.{f}", v) for f, v in _mapping(f"{key}.claims", found.get("claims")).items()}
    batch = _whole(f"{key}.batch", found["batch"])
    return check_plan(key, PlanConfig(name=name, layout=layout, batch=batch, engine=engine, claims=claims))


def check_plan(key: str, config: PlanConfig) -> PlanConfig:
    """A baseline or plan file: its layout names degrees, its claims name figures."""
    for axis, value in config.layout.items():
        if axis not in AXES or axis == "batch":
            raise InputError(
                f"{key}.layout: unknown degree {axis!r}; allowed: {', '.join(a for a in AXES if a != 'batch')}"
            )
        number(f"{key}.layout.{axis}", value, 0, MOST_OF_AN_AXIS)
    for axis in ("gpus", "tp"):
        if axis not in config.layout:
            raise InputError(f"{key}.layout.{axis}: must be given")
    number(f"{key}.batch", config.batch, 0, MOST_OF_AN_AXIS)
    for figure, claimed in config.claims.items():
        if figure not in COLUMNS:
            raise InputError(f"{key}.claims: unknown figure {figure!r}; known: {', '.join(COLUMNS)}")
        number(f"{key}.claims.{figure}", claimed, 0, MOST_CLAIMED, open_low=False)
    return config


def read_degrees(key: str, found: Any) -> dict[str, int]:
    """A plan as one flat mapping, ``{"tp": 4, "ep": 8, "batch": 256}``: all of ``AXES``, what is left out being 1, and
    ``gpus`` the fewest that the degrees fill. Whether the plan exists is for the rules to say."""
    if not isinstance(found, Mapping):
        raise InputError(f"{key}: {_shown(found)} is no plan; give degrees with numbers, as {{'tp': 4, 'batch': 64}}")
    for name in found:
        if name not in AXES:
            raise InputError(f"{key}: unknown key {_shown(name)}; allowed: {', '.join(AXES)}")
    axes = dict.fromkeys(AXES, 1) | {name: _whole(f"{key}.{name}", value) for name, value in found.items()}
    if "gpus" not in found:
        axes["gpus"] = axes["dp"] * axes["pp"] * math.lcm(axes["tp"] * axes["sp"], axes["ep"])
    for name, value in axes.items():
        number(f"{key}.{name}", value, 0, MOST_OF_AN_AXIS)
    return axes


def _mapping(key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{key}: {_shown(value)} is not allowed; give names with numbers")
    # A name that could not be one is quoted: messages show it before it is looked up.
    return {name if isinstance(name, str) and name.isidentifier() else _shown(name): v for name, v in value.items()}


def _number(key: str, value: Any) -> float:
    """A number, or text that is one: YAML 1.1 reads ``1e-5`` as text."""
    try:
        if isinstance(value, bool) or not isinstance(value, Real | str):  # NumPy's numbers are Real
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise InputError(f"{key}: {_shown(value)} is not allowed; give a number") from None


def _whole(key: str, value: Any) -> int:
    number = _number(key, value)
    if not number.is_integer():
        raise InputError(f"{key}: {_shown(value)} is not allowed; give a whole number")
    return int(number)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _load(path: Path) -> Any:
    return read_yaml(str(path), read_bounded(path, MAX_BYTES, "a plan"), "a plan")
