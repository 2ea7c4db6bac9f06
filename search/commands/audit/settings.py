"""What a launch command means here, by its engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from search.base.paths import conf_dir
from search.commands.audit.command import Command
from search.commands.audit.reader import Launched, Reader, Told
from search.commands.audit.sglang_words import SglangReader
from search.commands.audit.trtllm_words import TrtllmReader
from search.commands.audit.vllm_words import VllmReader
from search.inputs.config import read_model
from search.inputs.schema import Config, EngineConfig

__all__ = ["Launched", "Told", "launched", "with_engine"]

READERS: dict[str, type[Reader]] = {"vllm": VllmReader, "sglang": SglangReader, "trtllm": TrtllmReader}


def launched(command: Command, config: Config, replicas: int) -> Launched:
    """Read ``command`` against ``config``, whose model is the command's."""
    config = with_engine(config, command.engine)
    return READERS[command.engine](command, config, read_model(config.model).architecture).read(replicas)


def with_engine(config: Config, engine: str) -> Config:
    """The engine's own constants, unless the configuration has some of the same engine."""
    if config.engine.name == engine:
        return config
    loaded: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / "engine" / f"{engine}.yaml"))
    return replace(config, engine=EngineConfig(**loaded))
