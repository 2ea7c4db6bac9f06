"""``engine=compare`` in configurations: what is set for all engines, what for one, and what cannot be meant."""

import dataclasses

import pytest
import yaml
from omegaconf import OmegaConf

from costmodel.engine import ENGINES
from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.compared import OWN, compared
from search.inputs.compose import composed
from search.inputs.hardware_catalog import load_engine
from search.inputs.own_engine import as_launched, for_plan, with_engine
from search.inputs.saved_run import config_text
from search.inputs.schema import EngineConfig, MemoryConfig
from search.inputs.typed import typed


def test_the_default_compares_every_engine_with_its_own_constants() -> None:
    config = composed([])
    assert compared(config) == ENGINES
    assert config.engine.engines == {name: load_engine(name) for name in ENGINES}


def test_every_constant_can_be_set_for_all() -> None:
    """Hydra overrides keys that stand in the file alone."""
    written = yaml.safe_load((conf_dir() / "engine" / "compare.yaml").read_text())
    names = {f.name for f in dataclasses.fields(EngineConfig)} - {*OWN, "memory"}
    assert {key for key, value in written.items() if value is None} == names
    assert written["memory"] == {f.name: None for f in dataclasses.fields(MemoryConfig)}


def test_keys_go_to_all_engines_or_to_one() -> None:
    told = ["engine.output_reserved=1.0", "engine.memory.libraries_bytes=7", "engine.engines.sglang.hold_steps=2"]
    own = composed([*told, "engine.version=0.16.0"]).engine.engines
    assert {engine.output_reserved for engine in own.values()} == {1.0}  # also where it is the schema's default
    assert {engine.memory.libraries_bytes for engine in own.values()} == {7.0}
    assert [own[name].hold_steps for name in ENGINES] == [0.0, 2.0, 0.0]
    assert [own[name].version for name in ENGINES] == ["0.16.0", load_engine("sglang").version, "1.2"]
    assert own["vllm"].memory.logits_copies == load_engine("vllm").memory.logits_copies


def test_a_saved_configuration_compares_the_same() -> None:
    config = composed(["engine.max_batched_tokens=4096", "engine.compare=[sglang,vllm]"])
    again = typed(OmegaConf.create(yaml.safe_load(config_text(config))))
    assert again.engine.engines == config.engine.engines
    assert compared(again) == ("sglang", "vllm")


def test_one_engine_comes_out_of_it() -> None:
    config = composed(["engine.max_batched_tokens=4096", "engine.compare=[vllm,sglang]"])
    for take in (as_launched, with_engine):
        assert take(config, "sglang").engine == config.engine.engines["sglang"]
    assert as_launched(config, "trtllm").engine.max_batched_tokens == 4096  # the catalog's, as told
    assert for_plan(config, "vllm").engine.name == "vllm"
    assert for_plan(config, None).engine.name == "any"
    one = composed(["engine=sglang"])
    assert compared(one) == ()
    assert for_plan(one, "vllm") is one


BAD = {
    "engine.compare=[]": "engine.compare: [] is empty; give some of vllm, sglang, trtllm",
    "engine.compare=[vllm,any]": "engine.compare: ['vllm', 'any'] is not allowed; give each of vllm, sglang, trtllm",
    "engine.compare=[vllm,vllm]": "at most once",
    "engine.compare=vllm": "engine.compare: 'vllm' is not allowed; give a list",
    "~engine.engines.vllm": "engine.engines.vllm: must be given",
    "engine.engines.vllm.name=sglang": "engine.engines.vllm.name: 'sglang' is not allowed; give 'vllm'",
    "engine.memory=3": "engine.engines.vllm.memory: 3 is not allowed",
    "+engine.foo=1": "engine.engines.vllm.foo: unknown key",
    "engine.engines=3": "engine.engines: 3 is not allowed; give names with values",
}


@pytest.mark.parametrize("override", BAD)
def test_what_cannot_be_meant(override: str) -> None:
    with pytest.raises(InputError) as caught:
        compared(composed([override]))
    assert BAD[override] in str(caught.value)


def test_one_engine_compares_nothing() -> None:
    with pytest.raises(InputError) as caught:
        composed(["engine=vllm", "+engine.compare=[sglang]"])
    assert "engine.compare: belongs to engine=compare; 'vllm' compares nothing" in str(caught.value)
