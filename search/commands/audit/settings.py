"""What a launch command means here, by its engine."""

from __future__ import annotations

from search.commands.audit.command import Command
from search.commands.audit.reader import Launched, Reader, Told
from search.commands.audit.sglang_words import SglangReader
from search.commands.audit.trtllm_words import TrtllmReader
from search.commands.audit.vllm_words import VllmReader
from search.inputs.config import read_model
from search.inputs.own_engine import with_engine
from search.inputs.schema import Config

__all__ = ["Launched", "Told", "launched", "with_engine"]

READERS: dict[str, type[Reader]] = {"vllm": VllmReader, "sglang": SglangReader, "trtllm": TrtllmReader}


def launched(command: Command, config: Config, replicas: int, pool: str | None = None) -> Launched:
    """Read ``command`` against ``config``, whose model is the command's; ``pool`` of a split plan, where it is told."""
    config = with_engine(config, command.engine)
    return READERS[command.engine](command, config, read_model(config.model).architecture, pool).read(replicas)
