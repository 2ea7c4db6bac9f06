"""How many tokens a sequence may have at most by the model's own config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Kinds of rope scaling whose config states the scaled length already (vllm/config/model.py, 0.33).
STATED = ("su", "longrope", "llama3", "mrope", "default")


def longest_context(config: Mapping[str, Any], kind: str = "", positions: int = 0) -> int:
    """``positions`` are ``max_position_embeddings`` (0 where the config has none). Rope scaling multiplies them by its
    factor, yarn its own original length; Gemma 3's config states the product. As vLLM 0.33 derives it
    (``_get_and_verify_max_len``); SGLang 0.5.23 (``srt/hf_transformers_utils.py`` get_context_length) alike."""
    scaling = config.get("rope_parameters") or config.get("rope_scaling")
    if not isinstance(scaling, Mapping) or kind.startswith("gemma3"):
        return positions
    layers = [v for v in scaling.values() if isinstance(v, Mapping)]
    factor = 1.0
    for each in layers or [scaling]:
        name = each.get("rope_type", each.get("type"))
        stated = each.get("factor", factor)
        if name in STATED or not _number(stated):
            continue
        factor = float(stated)
        original = each.get("original_max_position_embeddings")
        if name == "yarn" and _number(original):
            positions = int(original or 0)
    return int(positions * factor)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1e9
