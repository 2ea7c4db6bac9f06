"""What a pool of split plans has of its own: ``space.split.prefill`` and ``space.split.decode``.

Hardware and clusters of the catalog are named, as ``space.split.decode.hardware=h20``; one's own file is put there by
Hydra (``+hardware@space.split.decode.hardware=mine``). Either way a run's configuration holds the values themselves.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.catalog_yaml import data
from search.inputs.checks import shown
from search.inputs.config import Machine, read_machine
from search.inputs.hardware_catalog import cluster_names, find_hardware
from search.inputs.kinds import check_kinds
from search.inputs.own_cluster import FALLBACK
from search.inputs.records import record
from search.inputs.schema import Config, EngineConfig, PoolConfig

POOLS = ("prefill", "decode")
# Both pools run one engine of one version, and speculation has axes of its own.
OF_BOTH = ("name", "version", "compare", "engines", "sources", "drafts", "draft_acceptance")


def named(container: Any) -> None:
    """In a composed configuration: names of hardware and clusters become what the catalog has of them; that of the
    search's own hardware nothing, so that whatever was set of it holds for the pool too."""
    space = container.get("space") if isinstance(container, dict) else None
    split = space.get("split") if isinstance(space, dict) else None
    for name in POOLS:
        pool = split.get(name) if isinstance(split, dict) else None
        if isinstance(pool, dict):
            _named(f"space.split.{name}", pool, container.get("hardware"))


def _named(key: str, pool: dict[str, Any], usual: Any) -> None:
    hardware = pool.get("hardware")
    if isinstance(hardware, str):
        try:
            hardware = data(conf_dir() / "hardware" / f"{find_hardware(hardware)}.yaml")
        except InputError as error:
            raise InputError(f"{key}.{error}") from error
        if isinstance(usual, dict) and usual.get("name") == hardware["name"]:
            hardware = None
        pool["hardware"] = hardware
    cluster = pool.get("cluster")
    if cluster is None and isinstance(hardware, dict):
        cluster = hardware.get("cluster") or FALLBACK
    if isinstance(cluster, str):
        if cluster not in cluster_names():
            raise InputError(f"{key}.cluster: there is no {shown(cluster)}; available: {', '.join(cluster_names())}")
        pool["cluster"] = data(conf_dir() / "cluster" / f"{cluster}.yaml")


def pool_config(config: Config, name: str) -> Config | None:
    """The configuration that a search on the machine of the pool ``name`` has; ``None`` where it is the same."""
    pool: PoolConfig = getattr(config.space.split, name)
    if pool.hardware is None and pool.cluster is None and not pool.engine:
        return None
    engine = _engine(f"space.split.{name}.engine", config.engine, pool.engine or {})
    hardware, cluster = pool.hardware or config.hardware, pool.cluster or config.cluster
    return replace(config, hardware=hardware, cluster=cluster, engine=engine)


def pool_machine(config: Config, name: str) -> Machine | None:
    """The machine of the pool ``name``; ``None`` where it is the search's own."""
    own = pool_config(config, name)
    if own is None:
        return None
    try:
        return read_machine(own)
    except InputError as error:
        raise InputError(f"space.split.{name}.{error}") from error


def _engine(key: str, usual: EngineConfig, own: dict[str, Any]) -> EngineConfig:
    """``usual`` with a pool's ``own`` settings over it."""
    for name in own:
        if name in OF_BOTH:
            raise InputError(f"{key}.{name}: is not allowed; both pools run the engine of the search")
    known = asdict(usual)
    for name, value in own.items():
        if name not in known:
            near = ", ".join(n for n in known if n not in OF_BOTH)
            raise InputError(f"{key}.{name}: unknown key; allowed: {near}")
        if value is not None:
            known[name] = known[name] | value if name == "memory" and isinstance(value, dict) else value
    check_kinds(known, EngineConfig, key)
    try:
        found: EngineConfig = record(EngineConfig, known)
    except OmegaConfBaseException as error:
        raise InputError(f"{key}.{error.full_key}: {str(error.msg or error).splitlines()[0]}") from error
    return found
