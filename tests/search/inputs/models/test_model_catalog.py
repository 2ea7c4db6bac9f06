"""Every file of the catalog reads, has a source, and is named once."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from costmodel.architecture import Setting
from costmodel.parameters import parameters
from search.inputs.models import ConfigError, find_model, model_names, read_catalog_model
from search.inputs.models.catalog import KEYS, load_entry

DATA = os.environ.get("SERVEFRONT_DATA")
# Known and not in the catalog: what stands in the way is said in docs/models.md.
LEFT_OUT = ("GPT-J", "OCR", "LLaDA", "Nemotron-3-Super", "E2B", "Step-3.5")


@pytest.mark.parametrize("option", model_names())
def test_entry(option: str) -> None:
    entry = load_entry(option)
    assert sorted(entry) == sorted(KEYS)
    assert entry["source"].startswith("https://")
    model = read_catalog_model(option)
    assert parameters(model.architecture) > 1e8
    assert find_model(entry["name"]) == option
    setting = Setting.single(model.architecture)
    for kind in model.architecture.kinds:
        assert all(op.name for op in kind.operations(setting))


def test_enough_models() -> None:
    assert len(model_names()) >= 75


@pytest.mark.skipif(not DATA, reason="SERVEFRONT_DATA is unset: no measurements whose models to look for")
def test_measured_models_are_known() -> None:
    names: set[str] = set()
    for file, columns in (("silicon_dev.csv", ["model"]), ("published_dev.csv", ["model", "model_family"])):
        with open(Path(str(DATA)) / file, newline="") as rows:
            names |= {row[column] for row in csv.DictReader(rows) for column in columns}
    unknown = []
    for name in sorted(names):
        try:
            find_model(name)
        except ConfigError:
            unknown.append(name)
    assert [n for n in unknown if not any(word in n for word in LEFT_OUT)] == []
