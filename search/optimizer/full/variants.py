"""What a search of everything varies beside the axes of a plan: engines, token budgets, formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from costmodel.architecture import Architecture
from costmodel.engine import ENGINES
from costmodel.formats import FORMATS
from costmodel.scenario import Scenario
from search.base.errors import InputError
from search.inputs.compared import compared
from search.inputs.config import read_model, read_scenario
from search.inputs.own_engine import as_launched
from search.inputs.schema import Config, ModelConfig
from search.optimizer.rules.facts import Facts, facts_of
from search.optimizer.space import axis_values

GIVEN = "given"  # a format as the model's own file has it
KEYS = ("engines", "max_batched_tokens", "weights", "kv_cache")
MOST = 1000


@dataclass(frozen=True)
class Variant:
    """One engine with one token budget and one pair of formats. ``config`` has them where any run has them, and varies
    nothing but plans; ``assumptions`` are the reader's of the model."""

    engine: str
    max_batched_tokens: int
    weights: str
    kv_cache: str
    config: Config
    scenario: Scenario
    facts: Facts

    @property
    def name(self) -> str:
        return f"{self.engine}, {self.max_batched_tokens} tokens a pass, weights {self.weights}, cache {self.kv_cache}"


def varies(config: Config) -> bool:
    """Whether anything beside the plan is to be varied."""
    return any(getattr(config.space, key) is not None for key in KEYS)


def variants_of(config: Config) -> tuple[Variant, ...]:
    """All of them, the smallest weights and caches first: they leave most room for sequences, and what they reach
    settles most of the rest unscored. ``InputError`` names a key that cannot be used."""
    space = config.space
    plain = replace(config, space=replace(space, engines=None, max_batched_tokens=None, weights=None, kv_cache=None))
    engines = _words("engines", space.engines, ENGINES) or compared(config) or (config.engine.name,)
    weights = _words("weights", space.weights, (GIVEN, *FORMATS)) or (GIVEN,)
    caches = _words("kv_cache", space.kv_cache, (GIVEN, *FORMATS)) or (GIVEN,)
    budgets: tuple[int | None, ...] = (None,)
    if space.max_batched_tokens is not None:
        budgets = axis_values("space.max_batched_tokens", space.max_batched_tokens)
    size = len(engines) * len(weights) * len(caches) * len(budgets)
    if size > MOST:
        raise InputError(f"space: {size} engines, token budgets and formats; at most {MOST} are allowed")
    models = [_cast(plain.model, *formats) for formats in product(weights, caches)]
    found = [_variant(plain, engine, budget, *model) for engine, budget, model in product(engines, budgets, models)]
    return tuple(sorted(found, key=_bytes))


def _words(key: str, value: Any, allowed: Sequence[str]) -> tuple[str, ...]:
    if value is None:
        return ()
    words = tuple(value) if isinstance(value, list | tuple) else (value,)
    wrong = [word for word in words if word not in allowed or words.count(word) > 1]
    if wrong or not words:
        raise InputError(f"space.{key}: {value} is not allowed; give each of {', '.join(allowed)} at most once")
    return words


def _cast(model: ModelConfig, weights: str, cache: str) -> tuple[ModelConfig, Architecture]:
    formats: dict[str, Any] = {k: v for k, v in (("weights", weights), ("kv_cache", cache)) if v != GIVEN}
    own = replace(model, **formats)
    return own, read_model(own).architecture


def _variant(config: Config, engine: str, budget: int | None, own_model: ModelConfig, model: Architecture) -> Variant:
    own = replace(as_launched(config, engine), model=own_model)
    if budget is not None:
        own = replace(own, engine=replace(own.engine, max_batched_tokens=budget))
    scenario = read_scenario(own, model)
    names = model.quantization.default.name, model.kv_format.name
    return Variant(engine, own.engine.max_batched_tokens, *names, own, scenario, facts_of(scenario))


def _bytes(variant: Variant) -> tuple[float, float]:
    model = variant.scenario.model
    return model.quantization.default.bytes_per_element, model.kv_format.bytes_per_element
