"""A run whose every name is hostile leaves and prints what a run with plain names does, and nothing acts on it."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from search.base.paths import conf_dir
from search.commands.search import fail
from search.inputs.saved_run import named_plan, read_run
from search.inputs.schema import Config
from search.inputs.typed import typed
from search.optimizer.run import run
from search.render.run_folder import write_run
from search.render.terminal import print_outcome

NAME = (
    "=cmd()|<script>alert(1)</script>[bold]x[/]$(reboot)`reboot`\x1b[31m\x9b1m\u202e\n# h\n- name: y\r;=1 "
    "${oc.env:HOME} '\"\\"
)
FORMULA = tuple("=+-@\t\r\n")


def config() -> Config:
    overrides = ["+experiment=qwen3_235b", "strategy=exact", "space.gpus=[8,16]", "space.batch=[64,256]"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return typed(compose("config", overrides))


def hostile() -> Config:
    plain = config()
    tiers = [replace(t, name=NAME, source=dict.fromkeys(t.source, NAME + " assumed")) for t in plain.cluster.tiers]
    return replace(
        plain,
        name="=$(reboot) <script>[bold]",
        model=replace(plain.model, name=NAME, source=NAME, aliases=[NAME]),
        hardware=replace(plain.hardware, name=NAME, price_per_hour=2.0, price_as_of=NAME, sources={NAME: NAME}),
        cluster=replace(plain.cluster, name=NAME, source=NAME, tiers=tiers),
        engine=replace(plain.engine, version=NAME),
        baselines=[replace(b, name=NAME.replace("${", "$ {")) for b in plain.baselines],  # refused
        assumptions=[NAME, "- " + NAME],
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for kind, made in (("plain", config()), ("hostile", hostile())):
        found[kind] = tmp_path_factory.mktemp(kind)
        write_run(found[kind], run(made))
    return found


def test_the_same_files_are_there(folders: dict[str, Path]) -> None:
    names = [sorted(p.name for p in folder.iterdir()) for folder in folders.values()]
    assert names[0] == names[1]


def test_tables_differ_only_in_the_price_and_hold_no_formula(folders: dict[str, Path]) -> None:
    tables: list[list[dict[str, Any]]] = []
    for folder in folders.values():
        front = (folder / "pareto.csv").read_text()
        candidates = gzip.decompress((folder / "candidates.csv.gz").read_bytes()).decode()
        rows = [row for text in (front, candidates) for row in csv.DictReader(text.splitlines())]
        assert not [c for row in rows for c in row.values() if c.startswith(FORMULA)]
        tables.append([{k: v for k, v in row.items() if "usd_" not in k} for row in rows])
    assert tables[0] == tables[1]


def test_the_plan_file_is_the_same_but_for_its_comment(folders: dict[str, Path]) -> None:
    texts = [(folder / "plan.yaml").read_text() for folder in folders.values()]
    assert [t.splitlines()[1:] for t in texts[:1]] == [t.splitlines()[1:] for t in texts[1:]]
    assert texts[1].startswith("# ")
    assert set(yaml.safe_load(texts[1])) == {"name", "layout", "batch", "claims"}


def test_the_document_has_the_same_parts(folders: dict[str, Path]) -> None:
    texts = [(folder / "plan.md").read_text() for folder in folders.values()]
    titles = [[line for line in t.splitlines() if line.startswith("#")] for t in texts]
    assert titles[0][1:] == [
        t if not t.startswith("### ") else u for t, u in zip(titles[1][1:], titles[0][1:], strict=True)
    ]
    for c in ("<", "\x1b", "\x9b", "\u202e", "\r"):
        assert c not in texts[1]


def test_the_run_reads_back_word_for_word(folders: dict[str, Path]) -> None:
    read = read_run(folders["hostile"])
    assert read.config == hostile()
    assert named_plan(read, "recommended")[1] == "recommended"
    assert json.loads((folders["hostile"] / "summary.json").read_text())["model"] == NAME


def test_the_terminal_shows_and_does_not_obey(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(hostile())
    print_outcome(outcome, Path("outputs/$(reboot); [bold]"))
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert "[bold]x[/]" in out
    assert "Written to 'outputs/$(reboot); [bold]'" in out


def test_an_error_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(f"model: {NAME} \udcff", 2) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err[:-1].isprintable()


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "..", "a\\nb"])
def test_a_run_cannot_be_put_elsewhere_by_its_name(search, tmp_path, name):
    code, out, err = search("strategy=exact", f'name="{name}"')
    if name == "a\\nb":  # Hydra's grammar takes a backslash as it stands, and no folder has one
        assert "\\\\" in err
    assert code == 2
    assert err.startswith("error: name: ")
    assert err.count("\n") == 1
    assert not out
    assert not list(tmp_path.iterdir())
    assert not (tmp_path.parents[1] / "x").exists()


def test_a_bad_name_is_refused_in_a_folder_of_its_own_and_in_a_sweep(search, tmp_path):
    code, _, err = search("strategy=exact", 'name="../x"', "hydra.run.dir=r")
    assert code == 2
    assert err.startswith("error: name: '../x' is not allowed")
    few = ("strategy=exact", "space.gpus=[4]", "space.tp=[4]", "space.batch=[16]")
    code, _, err = search("-m", *few, 'name="../x",ok', "hydra.sweep.dir=s")
    assert code == 2
    assert err.startswith("error: job 0: name: '../x' is not allowed")
    assert (tmp_path / "s" / "1" / "pareto.csv").exists()


def test_varied_keys_are_no_formulas_in_a_sweep(search, tmp_path):
    few = (
        "strategy=exact",
        "engine=any",
        "sensitivity=none",
        "report=none",
        "space.gpus=[4]",
        "space.tp=[4]",
        "space.batch=[16]",
    )
    code, _, err = search("-m", *few, "limits.tpot_s=-1,1e-9,1", "hydra.sweep.dir=s", "model.name=-1+1,@x,+y")
    assert code == 2, err
    text = (tmp_path / "s" / "sweep.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert {r["limits.tpot_s"] for r in rows} == {"-1", "1e-09", "1"}
    names = {r["model.name"] for r in rows}
    assert names == {"'-1+1", "'@x", "'+y"}
