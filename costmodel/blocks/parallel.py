"""Two mixers side by side on one input, their outputs added: Falcon-H1's attention and Mamba-2 heads (arXiv:2507.22448;
transformers 5.24 modeling_falcon_h1.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from costmodel.architecture import Architecture, Mixer, Setting
from costmodel.operations import Operation


def parts(mixer: Mixer) -> tuple[Mixer, ...]:
    """The mixers that a layer's mixer is made of: itself, or those side by side."""
    return (*parts(mixer.first), *parts(mixer.second)) if isinstance(mixer, ParallelMixers) else (mixer,)


def mixers_of(model: Architecture) -> list[Mixer]:
    """The ``parts`` of every kind of layer that has a mixer."""
    return [part for kind in model.kinds if kind.mixer is not None for part in parts(kind.mixer)]


@dataclass(frozen=True)
class ParallelMixers:
    """``first`` and ``second`` run one after the other; each sums over its own tp ranks
    (vllm/model_executor/models/falcon_h1.py, vLLM 0.33)."""

    first: Mixer
    second: Mixer

    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        return tuple(dict.fromkeys((*self.first.split_heads, *self.second.split_heads)))

    def operations(self, setting: Setting) -> Iterator[Operation]:
        yield from self.first.operations(setting)
        yield from self.second.operations(setting)

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        return self.first.cache_bytes(setting, tokens) + self.second.cache_bytes(setting, tokens)

    def state_bytes(self, setting: Setting) -> Any:
        return self.first.state_bytes(setting) + self.second.state_bytes(setting)
