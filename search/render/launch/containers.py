"""What a server is in a container, whoever starts it: image, words, options, accelerators."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from costmodel.hardware import maybe_nvidia
from search.render.launch.engines import LAUNCHED
from search.render.launch.server import Server
from search.render.launch.shell import Command, Expansion, Variable, Word
from search.render.launch.trtllm import yaml_text

PORT = 8000
OPTIONS_FOLDER = "/options"
CACHE_FOLDER = "/root/.cache/huggingface"  # of the engines' images, whose user is root
# Images that the engines' makers publish for NVIDIA's accelerators, by name and version; others are for the user.
IMAGES = {"vllm": "vllm/vllm-openai:v0.33.0", "sglang": "lmsysorg/sglang:v0.5.23"}
# Resources of the vendors' Kubernetes device plugins.
RESOURCES = {
    "NVIDIA": "nvidia.com/gpu",
    "unspecified": "nvidia.com/gpu",
    "": "nvidia.com/gpu",
    "AMD": "amd.com/gpu",
    "Huawei": "huawei.com/Ascend910",
    "Intel": "habana.ai/gaudi",
    "Google": "google.com/tpu",
    "AWS": "aws.amazon.com/neuron",
}


@dataclass(frozen=True)
class Shell:
    """Shell code for a word: what only the container knows."""

    code: str


@dataclass(frozen=True)
class Part:
    """A server in a container beside what any server is: ``flags``; ``environment``, ``None`` where a variable is the
    pod's own address; TensorRT-LLM's file of ``options``; the ``port`` that it answers on; labels of the ``nodes`` that
    have it, where not all do."""

    flags: tuple[tuple[Word, ...], ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    options: str | None = None
    port: int = PORT
    nodes: Mapping[str, str] = field(default_factory=dict)

    def command(self, server: Server, engine: str) -> Command:
        """The engine's command with the part's flags."""
        command = LAUNCHED[engine].command(server)
        return replace(command, flags=(*command.flags, *self.flags))


def part_of(server: Server, engine: str) -> Part:
    """A server of a plan that is not split."""
    return Part(options=yaml_text(server) if engine == "trtllm" else None)


def image(server: Server, engine: str) -> str | None:
    """The image, ``None`` where none is known."""
    return IMAGES.get(engine) if maybe_nvidia(server.vendor) else None


def checkpoint(server: Server, engine: str) -> str | None:
    """The model's name, ``None`` where the user has to bring one."""
    return server.checkpoint.name(LAUNCHED[engine].casts)


def words(command: Command, values: Mapping[str, str | Shell | None]) -> list[str]:
    """Words of the command with variables as their values; a variable that is ``None`` is left out."""
    found = []
    for value in (*command.program, *(w for flag in command.flags for w in flag)):
        text = _value(value, values)
        if text is None:
            continue
        if isinstance(text, Shell):
            raise ValueError(f"{text.code} needs a shell")
        found.append(text)
    return found


def line(command: Command, values: Mapping[str, str | Shell | None]) -> str:
    """The same as one line of shell."""
    found = []
    for value in (*command.program, *(w for flag in command.flags for w in flag)):
        text = _value(value, values)
        if text is not None:
            found.append(text.code if isinstance(text, Shell) else shlex.quote(text))
    return " ".join(found)


def _value(value: Word, values: Mapping[str, str | Shell | None]) -> str | Shell | None:
    if isinstance(value, Variable):
        return values[value.name]
    if isinstance(value, Expansion):
        parts = value.code.strip('"')
        for name, known in values.items():
            text = known.code.strip('"') if isinstance(known, Shell) else known
            parts = parts.replace(f"${{{name}}}", text or "")
        return Shell(f'"{parts}"') if "$" in parts else parts
    return str(value)
