"""Where the language model stands in a config, and what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass

from search.inputs.models.fields import ConfigError, Fields
from search.inputs.models.towers.counted import TEXT_ONLY
from search.inputs.models.towers.defaults import class_defaults
from search.inputs.models.towers.pieces import Parts
from search.inputs.models.towers.wrappers import WRAPPERS, Wrapper

# Nested objects that may hold a language model, in a wrapper that is not in the table.
_KEYS = ("text_config", "llm_config", "language_config", "thinker_config")


@dataclass(frozen=True)
class LanguagePart:
    """``fields`` of the language model (``outer``'s own where the config is flat), its ``kind`` if anything says it,
    the objects ``above`` it from the outermost in, and the ``wrapper``, if known."""

    fields: Fields
    kind: str | None
    above: tuple[Fields, ...]
    wrapper: Wrapper | None


def language_part(outer: Fields, kind: str | None) -> LanguagePart:
    """Find the language model in a config: nested once or twice (Omni's thinker), or not at all."""
    wrapper = WRAPPERS.get(kind or "")
    above: list[Fields] = []
    here = outer
    for _ in range(2):
        inner = None
        for key in (wrapper.key, *_KEYS) if wrapper else _KEYS:
            inner = inner or here.object(key)
        if inner is None:
            break
        above.append(here)
        here = inner
    if not above:
        return LanguagePart(outer, wrapper.text if wrapper else kind, (outer,) if wrapper else (), wrapper)
    named = here.text("model_type", default=None)
    return LanguagePart(here, named or (wrapper.text if wrapper else None), tuple(above), wrapper)


def rows(found: LanguagePart, vocabulary: int, assumptions: list[str]) -> int:
    """Rows of the embedding: the vocabulary, less the padding of a flat config (Step-3.7: its class, which is the
    released model's, has 128,815 rows; 128,896 is that in whole blocks of 128)."""
    own = class_defaults(found.kind).get("vocab_size", vocabulary)
    block = found.wrapper.flat_rows if found.wrapper and found.fields in found.above else 1
    if block > 1 and vocabulary == -(-own // block) * block != own:
        assumptions.append(f"vocab_size {vocabulary} is {own} in whole blocks of {block}: {own} rows are counted")
        return int(own)
    return vocabulary


def tower_parameters(found: LanguagePart, hidden: int, text_only: bool, assumptions: list[str]) -> int:
    """Parameters of all that is not the language model; none of a text model."""
    places = found.above or (found.fields,)
    towers = [f for f in places if any([f.has("vision_config"), f.has("audio_config")])]
    if text_only:
        if found.above:
            assumptions.append("text_only: vision and audio towers are not loaded")
        return 0
    if found.wrapper is None:
        if towers:
            names = " and ".join(k for k in ("vision_config", "audio_config") if towers[0].has(k))
            raise ConfigError(f"{towers[0].key(names)}: the tower of this model_type is not modelled; {TEXT_ONLY}")
        return 0
    above = found.above[-1]
    parts = Parts(Fields(above.config, above.where, class_defaults(str(above.config.get("model_type")))), hidden)
    total = found.wrapper.count(parts)
    above.seen |= parts.outer.seen
    if total and not towers:
        assumptions.append("no vision_config or audio_config: the towers are those that transformers builds by default")
    if found.wrapper.note:
        assumptions.append(found.wrapper.note)
    return total
