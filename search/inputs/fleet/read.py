"""From ``+fleet=NAME`` and its overrides to a ``Fleet``: every value checked once, each model and each kind of
accelerator composed once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.checks import shown
from search.inputs.compose import composed, composed_beside
from search.inputs.config import check_rate, check_search, read_hardware, read_model, read_scenario
from search.inputs.derived import check_ranges
from search.inputs.fleet.records import Fleet, Member, Pool
from search.inputs.fleet.schema import FleetConfig, MemberConfig, PoolConfig
from search.inputs.kinds import check_kinds
from search.inputs.own_engine import for_plan
from search.inputs.records import record
from search.inputs.run_name import check_name
from search.inputs.schema import Config
from search.inputs.typed import explain

GROUP = "fleet"
OWN = ("hardware", "cluster", "model")  # groups that a fleet's own file says
MOST_POOLS = 8
MOST_MODELS = 64


def read_fleet(overrides: Sequence[str], folder: Path | None = None) -> Fleet:
    """``overrides`` as after ``servefront fleet``; ``folder`` as its ``--config-dir``. ``InputError`` in one line."""
    own = [w for w in overrides if w.lstrip("+~").split("=", 1)[0].split(".", 1)[0] == GROUP]
    others = [w for w in overrides if w not in own]
    for word in others:
        key = word.lstrip("+~").split("=", 1)[0]
        if key in OWN or key.split(".", 1)[0] == "hardware":
            where = "models.NAME.search" if key == "model" else "pools"
            raise InputError(f"{key}: {shown(word)} is not allowed; a fleet's are in fleet.{where}")
    base, found = composed_beside(GROUP, [*others, *map(_added, own)], folder)
    if found is None:
        known = ", ".join(sorted(path.stem for path in (conf_dir() / GROUP).glob("*.yaml")))
        raise InputError(f"fleet: must be given, as +fleet=NAME; available: {known}")
    settings = _settings(found)
    check_search(base)
    if base.strategy.storage is not None:
        raise InputError("strategy.storage: is not allowed; a fleet's study takes a second and is shared with nobody")
    common = _words("fleet.search", settings.search)
    pools = tuple(_pool(n, p, [*common, *others], folder) for n, p in settings.pools.items())
    members = tuple(_member(n, m, settings, [*common], others, folder) for n, m in settings.models.items())
    return Fleet(settings, pools, members, base.strategy, base.report.kind == "html")


def _added(word: str) -> str:
    """A key of the fleet that its file does not have is added: the schema says whether there is one."""
    key = word.split("=", 1)[0]
    return f"++{word}" if "." in key and not word.startswith(("+", "~")) else word


def _settings(found: Any) -> FleetConfig:
    try:
        check_kinds({GROUP: found}, dict[str, FleetConfig])
        settings = record(FleetConfig, found)
    except OmegaConfBaseException as error:
        raise InputError(f"fleet.{explain(error)}") from error
    assert isinstance(settings, FleetConfig)
    try:
        check_name(settings.name)
    except InputError as error:
        raise InputError(f"fleet.{error}") from None
    check_ranges(GROUP, settings)
    for key, held, most in (("pools", settings.pools, MOST_POOLS), ("models", settings.models, MOST_MODELS)):
        if not 1 <= len(held) <= most:
            raise InputError(f"fleet.{key}: {len(held)} are not allowed; give 1 to {most}, each with a name")
        for name in held:
            if not name or not name.replace("_", "").replace("-", "").isalnum():
                raise InputError(f"fleet.{key}: {shown(name)} is not allowed as a name; give letters, digits, _ and -")
    return settings


def _pool(name: str, config: PoolConfig, words: Sequence[str], folder: Path | None) -> Pool:
    key = f"fleet.pools.{name}"
    check_ranges(key, config)
    chosen = [f"hardware={config.hardware}", *([f"cluster={config.cluster}"] if config.cluster else [])]
    found = _of(key, lambda: composed(_last([*words, *chosen]), folder))
    device = read_hardware(found.hardware)
    price, power = device.price_per_hour, device.power_w
    own = f"hardware={config.hardware}"
    price_source = f"{own}: {found.hardware.price_as_of}" if found.hardware.price_as_of else own
    power_source = own
    if config.price_per_hour is not None:
        price, price_source = config.price_per_hour, f"{key}.price_per_hour"
    if config.power_w is not None:
        power, power_source = config.power_w, f"{key}.power_w"
    return Pool(name, config.count, price, price_source, power, power_source, found)


def _member(
    name: str,
    config: MemberConfig,
    settings: FleetConfig,
    common: Sequence[str],
    others: Sequence[str],
    folder: Path | None,
) -> Member:
    key = f"fleet.models.{name}"
    check_ranges(key, config)
    for i, pool in enumerate(config.pools):
        if pool not in settings.pools or pool in config.pools[:i]:
            known = ", ".join(settings.pools)
            raise InputError(f"{key}.pools: {shown(pool)} is not allowed; give each of {known} at most once")
    own = _words(f"{key}.search", config.search)
    if "model" not in config.search:
        raise InputError(f"{key}.search: must name a model, as model: qwen3_32b")
    words = _last([*common, *own, *others])
    found = _of(key, lambda: composed(words, folder))
    required = config.requests_per_s * settings.growth
    at_a_rate = found.workload.arrivals.kind not in ("closed", "replay")
    found = replace(found, workload=replace(found.workload, requests_per_s=required if at_a_rate else None))
    _of(key, lambda: _checked(found))
    return Member(
        name, config.requests_per_s, required, config.weight, tuple(config.pools or settings.pools), found, words
    )


def _checked(config: Config) -> None:
    """What a fleet cannot take, said before anything is searched."""
    if config.limits.min_requests_per_s is not None:
        raise InputError("limits.min_requests_per_s: belongs to a search; a fleet's traffic is requests_per_s")
    if list(config.space.serving) != ["aggregated"]:
        raise InputError(f"space.serving: {list(config.space.serving)} is not allowed; a fleet's plans are aggregated")
    if config.space.speculation not in (["none"], "none") or config.space.decode_cp not in (1, [1]):
        raise InputError("space.speculation, space.decode_cp: leave them out; a fleet's plans have neither")
    for axis in ("engines", "max_batched_tokens", "weights", "kv_cache"):
        if getattr(config.space, axis) is not None:
            raise InputError(
                f"space.{axis}: is not allowed; a fleet's replicas are searched over plans and engine.compare"
            )
    model = read_model(config.model)
    check_rate(read_scenario(for_plan(config, None), model.architecture))


def _of(key: str, read: Any) -> Any:
    """What ``read`` gives; its error says whose it is."""
    try:
        return read()
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(key) else f"{key}: {text}") from error


def _words(key: str, search: Mapping[str, Any]) -> list[str]:
    """Choices and keys as on a command line."""
    words = []
    for name, value in _flat(search).items():
        if name.lstrip("+~").split(".", 1)[0] in ("hardware", "cluster", "hydra", GROUP):
            raise InputError(f"{key}.{name}: is not allowed; accelerators are in fleet.pools")
        text = value if isinstance(value, str) and _plain(value) else json.dumps(value, ensure_ascii=False)
        words.append(f"{name}={text}")
    return words


def _flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """Keys within keys with dots between them; of one that is given both ways the last."""
    flat: dict[str, Any] = {}
    for name, value in found.items():
        inner = {f"{name}.{key}": one for key, one in _flat(value).items()} if isinstance(value, Mapping) else {}
        flat |= inner or {name: value}
    return flat


def _last(words: Sequence[str]) -> tuple[str, ...]:
    """Of a key that is given more than once the last word, as Hydra takes one alone."""
    return tuple({word.lstrip("+~").split("=", 1)[0]: word for word in words}.values())


def _plain(text: str) -> bool:
    """Whether Hydra reads a word as itself without quotes."""
    return bool(text) and all(c.isalnum() or c in "_-./" for c in text)
