"""The catalog of accelerators in ``conf/hardware``: found by key, name or alias."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import Any

from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.catalog_yaml import data
from search.inputs.models.catalog import plain
from search.inputs.records import record
from search.inputs.schema import ClusterConfig, EngineConfig, HardwareConfig


def hardware_names() -> list[str]:
    """Options of the ``hardware`` group."""
    return sorted(path.stem for path in (conf_dir() / "hardware").glob("*.yaml"))


def cluster_names() -> list[str]:
    """Options of the ``cluster`` group."""
    return sorted(path.stem for path in (conf_dir() / "cluster").glob("*.yaml"))


def load_group(group: str, option: str, schema: type) -> Any:
    """One file of a group as an object of its schema."""
    return record(schema, data(conf_dir() / group / f"{option}.yaml"))


@cache
def load_hardware(option: str) -> HardwareConfig:
    """An accelerator's file."""
    config: HardwareConfig = load_group("hardware", option, HardwareConfig)
    return config


@cache
def load_cluster(option: str) -> ClusterConfig:
    """A cluster's file."""
    config: ClusterConfig = load_group("cluster", option, ClusterConfig)
    return config


@cache
def load_engine(option: str) -> EngineConfig:
    """An engine's file."""
    config: EngineConfig = load_group("engine", option, EngineConfig)
    return config


@cache
def _index() -> dict[str, str]:
    index: dict[str, str] = {}
    for option in hardware_names():
        config = load_hardware(option)
        for spelling in (option, config.name, *config.aliases):
            index[plain(spelling)] = option
    return index


def find_hardware(name: str) -> str:
    """The option that ``name`` means, without regard to case and punctuation; ``InputError`` names near ones if there
    is none."""
    index = _index()
    option = index.get(plain(name))
    if option is None:
        near = dict.fromkeys(index[form] for form in get_close_matches(plain(name), index, n=6, cutoff=0.4))
        raise InputError(
            f"hardware: there is no {name!r}; near: {', '.join(near) or 'none'}; servefront hardware lists them"
        )
    return option
