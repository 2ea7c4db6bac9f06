"""A configuration with the constants of another engine."""

from __future__ import annotations

from dataclasses import replace

from search.inputs.compared import compared
from search.inputs.hardware_catalog import load_engine
from search.inputs.schema import Config

# What a server is told whichever engine it is: kept where somebody set it.
TOLD = ("max_batched_tokens", "block_tokens", "stream_interval", "hold_steps")


ANY = "any"  # the slower of each choice: for a plan that names no engine


def for_plan(config: Config, engine: str | None) -> Config:
    """The configuration that a plan is judged by: where that compares engines, of the plan's, or of ``any``."""
    return as_launched(config, engine or ANY) if compared(config) else config


def _one(config: Config, engine: str) -> Config:
    """Of a configuration that compares, the engine's own, or the first one's where it is not compared."""
    names = compared(config)
    if not names:
        return config
    return replace(config, engine=config.engine.engines[engine if engine in names else names[0]])


def with_engine(config: Config, engine: str) -> Config:
    """The engine's own constants, unless the configuration has some of the same engine; a version that somebody set
    stays."""
    config = _one(config, engine)
    if config.engine.name == engine:
        return config
    own, set_ = load_engine(engine), config.engine.version
    usual = load_engine(config.engine.name).version
    return replace(config, engine=own if set_ in ("", usual) else replace(own, version=set_))


def as_launched(config: Config, engine: str) -> Config:
    """The same for a plan of a run: settings of ``TOLD`` that differ from the file of the run's own engine were set by
    somebody, and go with it."""
    config = _one(config, engine)
    if config.engine.name == engine:
        return config
    usual = load_engine(config.engine.name)
    asked = {k: getattr(config.engine, k) for k in TOLD if getattr(config.engine, k) != getattr(usual, k)}
    return replace(config, engine=replace(load_engine(engine), **asked))
