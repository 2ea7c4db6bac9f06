"""Plan files from anywhere are data: what is no plan is one line, and nothing is looked up or expanded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.base.errors import InputError
from search.inputs.plan_reader import MAX_BYTES, plan_config, read_baselines, read_plan_file
from search.inputs.schema import PlanConfig

GOOD = "name: x\nlayout: {gpus: 8, tp: 4}\nbatch: 16\nclaims: {tpot_s: 0.02}\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]" for i in range(12)
)
BAD = {
    "": "is no plan",
    "3": "3 is no plan",
    "[a, b]": "is no plan",
    "name: x\nlayout: 3\nbatch: 1": "layout: 3 is not allowed",
    "name: x\nbatch: 1": "layout: must be given",
    "layout: {gpus: 8, tp: 4}\nbatch: 1": "name: must be given",
    "name: x\nlayout: {tp: 4}\nbatch: 1": "layout.gpus: must be given",
    GOOD + "batches: 3": "unknown key 'batches'; allowed: name, layout, batch, engine, claims",
    GOOD + "batch: 17": "given twice",
    GOOD.replace("gpus: 8", "gpus: 8, gpus: 16"): "given twice",
    GOOD.replace("tp: 4", "tq: 4"): "unknown degree 'tq'",
    GOOD.replace("tp: 4", "batch: 4"): "unknown degree 'batch'",
    GOOD.replace("tp: 4", "tp: 4.5"): "layout.tp: 4.5 is not allowed; give a whole number",
    GOOD.replace("tp: 4", "tp: true"): "layout.tp: True is not allowed",
    GOOD.replace("tp: 4", "tp: 0"): "layout.tp: 0 is not allowed",
    GOOD.replace("tp: 4", "tp: [4]"): "layout.tp",
    GOOD.replace("16", "-1"): "batch: -1 is not allowed",
    GOOD.replace("16", "9" * 400): "batch",
    GOOD.replace("16", "9" * 6000): "plan.yaml",
    GOOD.replace("0.02", ".nan"): "claims.tpot_s: nan is not allowed",
    GOOD.replace("0.02", ".inf"): "claims.tpot_s: inf is not allowed",
    GOOD.replace("0.02", "-1"): "claims.tpot_s: -1.0 is not allowed",
    GOOD.replace("0.02", "1e300"): "claims.tpot_s: 1e+300 is not allowed; give a number from 0 to 1e18",
    GOOD.replace("0.02", "fast"): "claims.tpot_s: 'fast' is not allowed; give a number",
    GOOD.replace("tpot_s", "speed"): "unknown figure 'speed'",
    GOOD.replace("tpot_s: 0.02", '"a\\e[31m\\nb": x'): "'a\\x1b[31m\\nb'",
    GOOD.replace("name: x", "name: !!python/object/apply:os.system ['touch pwned']"): "not YAML that a plan may hold",
    GOOD.replace("name: x", "name: ${oc.env:HOME}"): "give a name without",
    GOOD.replace("name: x", "name: " + "x" * 500): "500 characters are not allowed",
    "name: &n x\nlayout: {gpus: 8, tp: 4}\nbatch: 16\nclaims: *n": "aliases are not allowed",
    BOMB: "aliases are not allowed",
    "? [a]\n: b": "given twice or is not text",
    "a: [": "not YAML",
    "\0": "not YAML",
    "[" * 5000: "nested too deep",
    GOOD + "#" * MAX_BYTES: "more than 100000 bytes",
}


@pytest.mark.parametrize("text", BAD, ids=lambda t: ascii(t)[:40])
def test_what_is_no_plan(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_plan_file(path)
    message = str(caught.value)
    assert BAD[text] in message
    assert "plan.yaml" in message
    assert "\n" not in message
    assert len(message) < 800
    assert [p.name for p in tmp_path.iterdir()] == ["plan.yaml"]


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"name: \xe9\n")
    for path, reason in ((tmp_path, "directory"), (tmp_path / "none", "No such file"), (Path("/dev/zero"), "device")):
        with pytest.raises(InputError, match=reason):
            read_plan_file(path)
    with pytest.raises(InputError, match="utf-8"):
        read_plan_file(tmp_path / "latin")


def test_numbers_as_yaml_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(GOOD.replace("0.02", "1e-5").replace("16", "16.0"))
    plan = read_plan_file(path)
    assert plan == PlanConfig(name="x", layout={"gpus": 8, "tp": 4}, batch=16, claims={"tpot_s": 1e-5})


def test_baselines_are_mappings_or_paths(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(GOOD)
    written = {"name": "y", "layout": {"gpus": 8, "tp": 8}, "batch": 4, "claims": None}
    plans = read_baselines([written, str(path)])
    assert [p.name for p in plans] == ["y", "x"]
    assert read_baselines(plans) == plans
    with pytest.raises(InputError, match=r"baselines\[1\]: .*none\.yaml: cannot be read"):
        read_baselines([written, str(tmp_path / "none.yaml")])
    with pytest.raises(InputError, match=r"baselines\[0\]: 3 is no plan"):
        read_baselines([3])


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["name", "layout", "batch", "claims", "gpus", "tp"]), inner, max_size=4),
))  # fmt: skip
def test_anything_is_a_plan_or_one_line(found: object) -> None:
    try:
        plan = plan_config("p", found)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert plan.batch >= 1
        assert {"gpus", "tp"} <= set(plan.layout)
