"""A configuration with the constants of another engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from search.base.paths import conf_dir
from search.inputs.schema import Config, EngineConfig

# What a server is told whichever engine it is: kept where somebody set it.
TOLD = ("max_batched_tokens", "block_tokens", "stream_interval", "hold_steps")


def with_engine(config: Config, engine: str) -> Config:
    """The engine's own constants, unless the configuration has some of the same engine."""
    if config.engine.name == engine:
        return config
    return replace(config, engine=_shipped(engine))


def as_launched(config: Config, engine: str) -> Config:
    """The same for a plan of a run: settings of ``TOLD`` that differ from the file of the run's own engine were set by
    somebody, and go with it."""
    if config.engine.name == engine:
        return config
    usual = _shipped(config.engine.name)
    asked = {k: getattr(config.engine, k) for k in TOLD if getattr(config.engine, k) != getattr(usual, k)}
    return replace(config, engine=replace(_shipped(engine), **asked))


def _shipped(engine: str) -> EngineConfig:
    """The file of ``conf/engine``, typed."""
    loaded = OmegaConf.load(conf_dir() / "engine" / f"{engine}.yaml")
    found: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(EngineConfig), loaded))
    assert isinstance(found, EngineConfig)
    return found
