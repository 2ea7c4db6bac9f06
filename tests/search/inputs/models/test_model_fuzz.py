"""A mutated config gives an architecture or one line of complaint, never anything else."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costmodel.architecture import Architecture
from costmodel.blocks import MoeFfn
from costmodel.parameters import parameters
from search.inputs.models import ConfigError, model_names, read_architecture
from search.inputs.models.catalog import load_entry
from search.inputs.models.harmless import mentions_experts

CONFIGS = {option: load_entry(option)["published"] for option in model_names()}
EXTRA = ("num_experts", "moe_layers", "layer_types", "text_config", "vision_config", "quantization_config", "foo_dim")

odd: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.one_of(st.integers(-2, 70), st.text(max_size=4), st.none()), max_size=4),
    st.dictionaries(st.text(max_size=6), st.one_of(st.integers(), st.text(max_size=4), st.none()), max_size=3),
)


def _objects(config: dict[str, Any]) -> list[dict[str, Any]]:
    nested = [inner for value in config.values() if isinstance(value, dict) for inner in _objects(value)]
    return [config, *nested]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    config = copy.deepcopy(CONFIGS[draw(st.sampled_from(sorted(CONFIGS)))])
    for _ in range(draw(st.integers(1, 3))):
        target = draw(st.sampled_from(_objects(config)))
        if not target:
            continue
        key = draw(st.one_of(st.sampled_from(sorted(target)), st.sampled_from(EXTRA)))
        if draw(st.booleans()):
            target.pop(key, None)
        else:
            target[key] = draw(odd)
    return config


def _read(config: Any) -> Architecture | None:
    complaint = None
    try:
        model = read_architecture(config, name="fuzz").architecture
    except ConfigError as error:
        complaint = str(error)
    if complaint is not None:
        assert "\n" not in complaint
        assert 0 < len(complaint) < 600
        return None
    assert parameters(model) > 0
    return model


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutations(config: dict[str, Any]) -> None:
    model = _read(config)
    if model is None:
        return
    text = config.get("text_config") or config
    gemma = any(str(part.get("model_type")).startswith("gemma4") for part in (config, text))
    switched_off = gemma and text.get("enable_moe_block") in (None, False)
    if any(mentions_experts(key) for key in text) and not switched_off:
        assert any(isinstance(kind.ffn, MoeFfn) for kind in model.kinds)


@settings(max_examples=100, deadline=None)
@given(odd)
def test_anything(config: Any) -> None:
    _read(config)
    _read({"model_type": "llama", "text_config": config})
