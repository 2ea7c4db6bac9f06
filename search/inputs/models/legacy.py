"""Older configs in today's words: GPT-J and Falcon name and fix things their own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.inputs.models.fields import ConfigError, Fields


def modern(kind: str, config: Mapping[str, Any], fields: Fields) -> Mapping[str, Any]:
    """``config`` with the keys that the reader knows; other families pass unchanged."""
    if kind == "falcon":
        return _falcon(config, fields)
    return config


def _falcon(config: Mapping[str, Any], fields: Fields) -> Mapping[str, Any]:
    """Falcon 40B and 180B: grouped queries, parallel attention with two LayerNorms, a plain FFN of four widths
    (transformers 5.23 modeling_falcon.py). The older single-norm layout of the 7B is refused."""
    if fields.flag("new_decoder_architecture", default=False) is not True:
        raise ConfigError(
            f"{fields.key('new_decoder_architecture')} must be true: Falcon's older layers are not modelled"
        )
    fields.expect("bias", False)
    fields.expect("num_ln_in_parallel_attn", 2)
    fields.flag("multi_query", default=True)
    fields.flag("parallel_attn", default=True)
    hidden = fields.integer("hidden_size")
    inner = fields.integer("ffn_hidden_size", default=4 * hidden)
    read = {
        "new_decoder_architecture",
        "bias",
        "num_ln_in_parallel_attn",
        "multi_query",
        "parallel_attn",
        "ffn_hidden_size",
    }
    return {**{k: v for k, v in config.items() if k not in read}, "intermediate_size": inner}
