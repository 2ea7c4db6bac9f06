"""One declaration is enough: the schema's class and the checking reader follow from the record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, ValidationError

from costmodel.engine import Engine
from costmodel.fields import Choice, Quantity, declared
from costmodel.hardware import Accelerator
from costmodel.working_memory import WorkingMemory
from search.base.errors import InputError
from search.inputs.config import read_engine, read_hardware
from search.inputs.derived import Derived, after, checked, schema_of
from search.inputs.hardware_catalog import load_engine, load_hardware
from search.inputs.schema import EngineConfig, HardwareConfig


@dataclass(frozen=True)
class Kettle:
    name: str
    litres: Annotated[float, Quantity("of water", 0, 5, above=True)]
    cups: Annotated[int, Quantity("at a time")] = 4
    watts: Annotated[float | None, Quantity("of the heater", above=True)] = None
    by_level: Annotated[Mapping[str, float], Quantity("seconds", above=True)] = field(kw_only=True)
    lid: Annotated[str, Choice("open or not", ("open", "shut"))] = "shut"


@schema_of(Kettle)
class KettleConfig(Derived):
    colour: str = after("name", default="")
    by_level: dict[str, float] = MISSING
    sources: dict[str, str] = field(default_factory=dict)


def read(**values: Any) -> Any:
    plain = {"name": "k", "litres": 1.5, "by_level": {"full": 2}} | values
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(KettleConfig), OmegaConf.create(plain)))


def test_the_class_has_the_records_fields_and_its_own_in_their_places() -> None:
    names = [f.name for f in dataclasses.fields(KettleConfig)]
    assert names == ["name", "colour", "litres", "cups", "watts", "by_level", "lid", "sources"]
    assert dataclasses.asdict(read()) == {
        "name": "k", "colour": "", "litres": 1.5, "cups": 4, "watts": None, "by_level": {"full": 2.0}, "lid": "shut",
        "sources": {},
    }  # fmt: skip
    config = read()
    config.cups = 5  # Hydra's overrides need a class that can be changed
    assert KettleConfig().sources is not KettleConfig().sources


def test_unknown_missing_and_mistyped_are_refused_as_in_a_schema_written_by_hand() -> None:
    with pytest.raises(ConfigKeyError):
        read(spout=1)
    with pytest.raises(ValidationError):
        read(cups="many")
    with pytest.raises(ValidationError):
        read(by_level={"full": "long"})
    schema = OmegaConf.structured(KettleConfig)
    with pytest.raises(MissingMandatoryValue):
        _ = schema.litres


def test_the_reader_checks_what_is_declared() -> None:
    values = checked(Kettle, read(cups=3, watts=2000), "kettle", name="other")
    assert Kettle(**values) == Kettle("other", 1.5, 3, 2000.0, by_level={"full": 2.0})
    assert type(values["cups"]) is int


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        ({"litres": 0}, "kettle.litres: 0.0 is not allowed; give a number above 0 to 5"),
        ({"litres": 5.5}, "kettle.litres: 5.5 is not allowed; give a number above 0 to 5"),
        ({"cups": -1}, "kettle.cups: -1 is not allowed; give a number from 0"),
        ({"watts": float("nan")}, "kettle.watts: nan is not allowed; give a number above 0"),
        ({"by_level": {"full": 1, "half": 0}}, "kettle.by_level.half: 0.0 is not allowed; give a number above 0"),
        ({"lid": "lost"}, "kettle.lid: 'lost' is not allowed; give one of open, shut"),
    ],
)
def test_bad_values_get_the_line_that_names_key_value_and_range(bad: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as error:
        checked(Kettle, read(**bad), "kettle")
    assert str(error.value) == line


@pytest.mark.parametrize(
    ("record", "config", "reader"),
    [(Engine, load_engine("vllm"), read_engine), (Accelerator, load_hardware("h200_sxm"), read_hardware)],
)
def test_every_declared_field_is_checked_and_reaches_the_record(record: type, config: Any, reader: Any) -> None:
    key = {Engine: "engine", Accelerator: "hardware"}[record]
    read = reader(config)
    for f in declared(record):
        if f.hint is WorkingMemory:
            for m in declared(WorkingMemory):
                assert getattr(read.memory, m.name) == getattr(config.memory, m.name)
                wrong: Any = "nonsense" if isinstance(m.of, Choice) else m.of.low - 1 if m.of else None
                with pytest.raises(InputError, match=rf"engine\.memory\.{m.name}"):
                    reader(dataclasses.replace(config, memory=dataclasses.replace(config.memory, **{m.name: wrong})))
            continue
        assert getattr(read, f.name) == getattr(config, f.name)
        if f.of is None:
            continue
        bad: Any = "nonsense" if isinstance(f.of, Choice) else f.of.low - 1
        bad = {"bf16": bad} if f.name == "peak_flops" else bad
        with pytest.raises(InputError, match=rf"{key}\.{f.name}"):
            reader(dataclasses.replace(config, **{f.name: bad}))


def test_classes_of_the_schema_have_every_field_of_their_records() -> None:
    for record, config in ((Engine, EngineConfig), (Accelerator, HardwareConfig)):
        assert {f.name for f in dataclasses.fields(record)} <= {f.name for f in dataclasses.fields(config)}
