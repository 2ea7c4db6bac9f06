"""A ``config.json`` of one's own: nothing of the catalog entry that it takes the place of is left in the configuration.

Hydra lays ``model.config=...`` over an entry, the default one if no other is chosen. That entry's name, aliases, source
and fields are another model's, and so is a cast of its weights or cache (``+experiment=qwen3_235b`` chooses an entry
that casts to FP8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from search.inputs.models.catalog import load_entry, model_names
from search.inputs.models.checkpoint import checkpoint_files
from search.inputs.schema import Config, ModelConfig


def own_model(config: Config, option: str | None, overrides: Sequence[str]) -> Config:
    """``option`` of the model group was chosen, ``overrides`` were given on the command line. A key of the model stays
    where the command line gave it, or where an experiment that gives ``model.config`` itself says other than the
    entry; an entry of the user's that has a ``config`` stays whole."""
    model = config.model
    if model.config is None:
        return config
    given = {word.lstrip("+").split("=", 1)[0] for word in overrides}
    entry: dict[str, Any] | None = load_entry(option) if option in model_names() else None
    on_command_line = "model.config" in given
    if not on_command_line and (entry is None or entry["config"] == model.config):
        return config

    def kept(key: str) -> Any:
        stays = f"model.{key}" in given or (not on_command_line and entry and getattr(model, key) != entry[key])
        return getattr(model, key) if stays else None

    mine = ModelConfig(
        name=kept("name") or model.config,
        aliases=kept("aliases") or [],
        source=kept("source") or checkpoint_files(model.config),
        config=model.config,
        weights=kept("weights"),
        kv_cache=kept("kv_cache"),
        text_only=model.text_only,
    )
    return replace(config, model=mine)
