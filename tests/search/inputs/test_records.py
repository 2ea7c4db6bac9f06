"""Plain data becomes the same object with OmegaConf and without."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from search.base.escape import literal
from search.base.paths import conf_dir
from search.inputs import records
from search.inputs.catalog_yaml import data, load, text_of
from search.inputs.records import record
from search.inputs.schema import ClusterConfig, Config, EngineConfig, HardwareConfig, LimitsConfig, ObjectiveConfig

GROUPS = {"hardware": HardwareConfig, "cluster": ClusterConfig, "engine": EngineConfig}
FILES = [path for group in GROUPS for path in sorted((conf_dir() / group).glob("*.yaml"))]


def slowly(schema, found):
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.create(literal(found))))


def test_files_of_the_catalog_need_no_omegaconf(monkeypatch):
    read = {path: found for path in FILES if "defaults" not in (found := data(path))}  # those Hydra composes
    wanted = {path: slowly(GROUPS[path.parent.name], found) for path, found in read.items()}
    monkeypatch.delattr(records, "OmegaConf")
    for path, found in read.items():
        assert record(GROUPS[path.parent.name], found) == wanted[path]


@pytest.mark.parametrize("path", sorted(conf_dir().rglob("*.yaml"))[::7], ids=lambda path: path.stem)
def test_libyaml_reads_what_omegaconf_reads(path):
    assert load(path) == OmegaConf.load(path)


WORDS = st.text(st.characters(min_codepoint=9, max_codepoint=130), max_size=12) | st.text(" ab'-:#,{0.", max_size=120)
KEYS = st.sampled_from(("layers", "q-proj.weight", "_x9", "no", "on")) | WORDS
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS


@settings(max_examples=100, deadline=None)
@given(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)))
def test_libyaml_writes_what_omegaconf_writes(found):
    container = {"a": found}
    assert text_of(container) == OmegaConf.to_yaml(OmegaConf.create(literal(container)))


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (LimitsConfig, {"ttft_s": "1e1", "memory_fraction": 1}),
        (LimitsConfig, {"ttft_s": None, "ttft_statistic": 3}),
        (ObjectiveConfig, {"columns": {"a": "max"}, "recommend": {"b": "${min}"}}),
        (Config, {"assumptions": ["a", 1]}),
        (Config, {"baselines": [{"name": "x", "layout": {"tp": [1, {"y": None}]}}], "space": {}}),
    ],
)
def test_odd_values_go_through_omegaconf(schema, found):
    try:
        wanted = slowly(schema, found)
    except OmegaConfBaseException as error:
        with pytest.raises(type(error)):
            record(schema, found)
        return
    assert record(schema, found) == wanted


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (LimitsConfig, {"memory_fraction": None}),
        (LimitsConfig, {"memory_fraction": [1]}),
        (LimitsConfig, {"memory": 1}),
        (ObjectiveConfig, {"columns": {}}),
        (ObjectiveConfig, {"columns": "???", "recommend": {}}),
        (HardwareConfig, {}),
    ],
)
def test_what_is_no_record_is_refused(schema, found):
    with pytest.raises(OmegaConfBaseException):
        record(schema, found)
