"""What transformers' config classes take for absent keys, as data: one line a model type.

    python scripts/counts/defaults.py > search/inputs/models/class_defaults.json

Needs transformers, and nothing of ours. Wrappers write only what differs from their parts' classes, so that a nested
config can be read only with these. Kept are the keys that can change a count; a default that a class computes from
other keys (``None`` here) is left to the reader.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

from transformers.models.auto import configuration_auto, modeling_auto

MAPPINGS = (
    modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)
# Keys that never change a count: numerics, dropout, tokens, generation and bookkeeping.
DROPPED = re.compile(
    r"_token|token_id|dropout|_eps$|epsilon|initializer|rope|layerdrop|_act$|activation|torch|architectures|label"
    r"|return_dict|output_(hidden_states|attentions|router)|chunk_size_feed|is_encoder|is_decoder|transformers_version|_name_or_path|problem_type|dtype"
    r"|use_cache|max_position_embeddings|position_id|pinpoint|aspect_ratio|aux_loss|jitter|pretraining|feature_select"
)
KEPT = ("num_visual_indicator_tokens", "add_cross_attention", "max_position_embeddings", "cross_attention_layers")


def types() -> list[str]:
    """Every wrapper's type and those of its parts, as its default config has them."""
    found: dict[str, None] = {}
    for kind in sorted({kind for names in MAPPINGS for kind in names}):
        try:
            config = configuration_auto.CONFIG_MAPPING[kind]()
        except Exception:
            continue
        found[kind] = None
        found.update(dict.fromkeys(k for k in _parts(config.to_dict()) if k))
    return sorted({*found, "gemma4_vision", "gemma4_audio", "gemma4_unified_vision", "siglip_vision_model"})


def _parts(config: dict[str, Any]) -> Iterator[str]:
    for value in config.values():
        if isinstance(value, dict) and "model_type" in value:
            yield value["model_type"]
            yield from _parts(value)


def class_of(kind: str) -> Any:
    """The config class of a type: a model's own, or one that stands only inside another."""
    if kind in configuration_auto.CONFIG_MAPPING:
        return configuration_auto.CONFIG_MAPPING[kind]
    return _inner().get(kind)


def _inner() -> dict[str, Any]:
    known = {}
    for kind in list(configuration_auto.CONFIG_MAPPING):
        for sub in getattr(configuration_auto.CONFIG_MAPPING[kind], "sub_configs", {}).values():
            if getattr(sub, "model_type", ""):
                known[sub.model_type] = sub
    return known


def defaults(kind: str) -> dict[str, Any]:
    """Plain values that the class has for absent keys."""
    cls = class_of(kind)
    if cls is None or not dataclasses.is_dataclass(cls):
        return {}
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        value = field.default
        if value is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        value = list(value) if isinstance(value, tuple) else value
        simple = isinstance(value, (bool, int, str, float)) or (isinstance(value, list) and len(value) < 20)
        if simple and (field.name in KEPT or not DROPPED.search(field.name)) and field.name != "model_type":
            plain[field.name] = value
    return plain


def main() -> None:
    rows = {kind: found for kind in types() if (found := defaults(kind))}
    body = ",\n".join(f"{json.dumps(kind)}: {json.dumps(row, sort_keys=True)}" for kind, row in rows.items())
    print("{\n" + body + "\n}")


if __name__ == "__main__":
    main()
