"""Which weights to serve: a checkpoint on the Hugging Face hub where its name is known, and what is to be cast."""

from __future__ import annotations

import re
from dataclasses import dataclass

from search.inputs.schema import ModelConfig

# Names that the hub allows (huggingface_hub/utils/_validators.py validate_repo_id): nothing a shell would act on.
_HUB = re.compile(r"https://huggingface\.co/([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:/.*)?", re.ASCII)


@dataclass(frozen=True)
class Checkpoint:
    """``hub`` the name of the published checkpoint, ``None`` if it is not known; ``cast`` the format that its linear
    layers are to have instead of their own, ``None`` as they are; ``dtype`` of what is not quantised; ``cache`` the
    format of the KV cache; ``text_only``: towers are left out. Formats are those of ``costmodel.formats``."""

    hub: str | None
    cast: str | None
    dtype: str
    cache: str
    text_only: bool = False

    def name(self, casts: tuple[str, ...]) -> str | None:
        """What an engine that casts to the formats ``casts`` while it loads can be given; ``None``: the user has to
        bring a checkpoint."""
        return self.hub if self.cast is None or self.cast in casts else None

    @property
    def wanted(self) -> str:
        """What the user has to bring: plain words from a fixed list, safe in a shell."""
        return f"folder or Hugging Face name of the model{f' in {self.cast}' if self.cast else ''}"


def checkpoint_of(model: ModelConfig, cache: str) -> Checkpoint:
    """From the configuration; a ``config.json`` of one's own has no published checkpoint."""
    found = None if model.config else _HUB.fullmatch(model.source)
    text = model.published.get("text_config") or {}
    quantised = any("quantization_config" in fields for fields in (model.published, text))
    half = model.weights in ("bf16", "fp16") and not quantised
    return Checkpoint(
        hub=found.group(1) if found and not (quantised and model.weights) else None,
        cast=None if half else model.weights,
        dtype="float16" if model.weights == "fp16" else "bfloat16",
        cache=cache,
        text_only=model.text_only,
    )
