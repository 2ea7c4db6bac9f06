"""The command line and the files, without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from measure_known_law import CHIP, shapes, timed
from omegaconf import OmegaConf

from costmodel.laws import ShapedLaw
from search.base.errors import InputError
from search.base.paths import conf_dir
from search.commands.measure import device, fit, options, write
from search.commands.measure.main import check_ranks, class_default, main
from search.commands.measure.records import Timing
from search.inputs.compose import composed
from search.inputs.config import read_cluster, read_hardware, read_model, read_scenario
from search.inputs.efficiency_laws import read_law
from search.inputs.schema import ClusterConfig, HardwareConfig

BAD = {
    "--out x.yaml --device gpu": "invalid choice: 'gpu'",
    "--out x.yaml --frequency 3": "unrecognized arguments",
    "--device cpu": "nothing to write",
    "--out x.txt": "ends in .yaml",
    "--out x.yaml --timings t.txt": "ends in .csv",
    "--out x.yaml --dtypes bf16,fp7": "'fp7' is not allowed",
    "--out x.yaml --dtypes fp8": "one of bf16 and fp16",
    "--out x.yaml --dtypes bf16,fp16": "one of bf16 and fp16",
    "--out x.yaml --ranks 1": "--ranks: 1 is not allowed",
    "--out x.yaml --ranks many": "invalid int value",
    "--out x.yaml --peaks bf16": "--peaks: 'bf16' is not allowed",
    "--out x.yaml --peaks bf16=-1": "above 0",
    "--out x.yaml --peaks bf15=1e12": "'bf15'",
    "--out x.yaml --bandwidth 0": "--bandwidth: 0.0 is not allowed",
    "--out x.yaml --link nan": "--link: nan is not allowed",
    "--out x.yaml --name y": "--name: 'y' is not the name of x.yaml",
    "--law-out conf --name a/b": "--name: 'a/b' is not allowed",
    "--out flat.yaml": "'flat' is not allowed",
}


def run(capsys: pytest.CaptureFixture[str], arguments: str) -> tuple[int, str]:
    code = main(arguments.split())
    return code, capsys.readouterr().err


@pytest.mark.parametrize("arguments", BAD)
def test_a_bad_flag_is_one_line_and_exit_2(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run(capsys, arguments)
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1
    assert BAD[arguments] in said
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_written_is_refused_before_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wall").write_text("a file, not a folder")
    code, said = run(capsys, f"--out {tmp_path / 'wall' / 'x.yaml'}")
    assert code == 2 and "cannot be written" in said and said.count("\n") == 1
    code, said = run(capsys, f"--law-out {tmp_path / 'wall'}")
    assert code == 2 and "is not a folder" in said and said.count("\n") == 1


def test_a_rank_ends_with_what_started_it() -> None:
    waits = "import time; from search.commands.measure import rank; rank.end_with_parent(); print(flush=True)"
    waits += "; time.sleep(60)"
    rank = subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert rank.stdin is not None and rank.stdout is not None
    rank.stdout.readline()
    assert rank.poll() is None
    rank.stdin.close()  # as the system does where the parent is killed
    assert rank.wait(timeout=20) == 1
    rank.stdout.close()


def test_ranks_on_the_processor_take_a_core_each() -> None:
    on_cpu = SimpleNamespace(module=None, torch=SimpleNamespace(distributed=SimpleNamespace(is_available=lambda: True)))
    check_ranks(cast("Any", on_cpu), 2)
    with pytest.raises(InputError, match=r"--ranks: 10000 is not allowed; the CPU's ranks take a core each"):
        check_ranks(cast("Any", on_cpu), 10_000)


def test_without_torch_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    code, said = run(capsys, f"--device cpu --out {tmp_path / 'x.yaml'}")
    assert code == 2 and said.count("\n") == 1 and "torch is not installed; pip install torch" in said
    assert list(tmp_path.iterdir()) == []


def test_importing_the_command_does_not_import_torch() -> None:
    modules = ", ".join(f"search.commands.measure.{name}" for name in ("main", "fit", "collectives"))
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0 and "--law-out" in capsys.readouterr().out


def test_fp16_counts_as_bf16() -> None:
    found = options.parse(["--out", "x.yaml", "--dtypes", "fp16,fp8", "--peaks", "fp16=1e14"])
    assert (found.half, found.dtypes, found.peaks) == ("fp16", ("bf16", "fp8"), {"bf16": 1e14})


BY = write.Provenance(
    "mychip", "Acme X1", "Acme", "2.13.0", "2026-01-01", "full grid", frozenset({"peak_flops_bf16"}),
    {"gemm: too large": 2},
)  # fmt: skip
LINKS = {"all_reduce": {"latency_s": 5e-6, "bytes_per_s": 100e9, "median_error": 0.1, "rows": 7.0}}


def test_the_law_has_the_form_of_the_catalog_and_loads() -> None:
    found = fit.fit(timed(shapes(("bf16",)), noise=0.05), CHIP, class_default())
    body = yaml.safe_load(write.law_document(BY, found, CHIP, LINKS))
    catalog = yaml.safe_load((conf_dir() / "law" / "measured_h100_sxm.yaml").read_text())
    assert list(body) == list(catalog) and list(body["constants"]) == list(catalog["constants"])
    assert set(body["sources"]) >= {*body["constants"], "measurement", "undetermined", "at_limit", "collectives"}
    assert {"fitted_on", "kernels", "rows", "rows_in_fit", "median_error"} <= set(body["sources"]["gemm"])
    assert "class_default" in body["sources"]["mla"] and "halving_share" in body["sources"]["rates"]
    assert body["sources"]["prefill"]["from_class_default"] == ["io_passes"]
    assert body["sources"]["measurement"]["cases_left_out"] == {"gemm: too large": 2}
    law = ShapedLaw.from_constants(body["name"], body["constants"])
    for batch in fit.batches(timed(shapes(("bf16",)))):
        if batch.kind != "prefill":
            assert law.times(batch.work, CHIP).seconds == pytest.approx(batch.seconds, rel=0.3)


def test_the_accelerator_has_the_keys_of_the_catalog_and_is_read() -> None:
    chip = replace(CHIP, link_bytes_per_s=None)
    found = fit.fit(timed(shapes(("bf16",)), noise=0.05), CHIP, class_default())
    body = yaml.safe_load(write.hardware_document(BY, found, chip, None))
    catalog = yaml.safe_load((conf_dir() / "hardware" / "h100_sxm.yaml").read_text())
    law = yaml.safe_load(write.law_document(BY, found, CHIP, LINKS))
    assert list(body) == list(catalog) and body["efficiency"] == {"law": "mychip", "constants": law["constants"]}
    numbers = ("memory_bytes", "datasheet_memory_bytes", "memory_bytes_per_s", "link_bytes_per_s", "power_w")
    assert set(body["sources"]) == {*numbers, "price_per_hour", "efficiency_law"} | {
        f"peak_flops_{dtype}" for dtype in body["peak_flops"]
    }
    assert "given by the user" in body["sources"]["peak_flops_bf16"]
    assert "measured: maximum" in body["sources"]["peak_flops_fp8"]
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(HardwareConfig), body))
    read = read_hardware(config)
    assert read.memory_bytes_per_s == CHIP.memory_bytes_per_s and read.peak("fp8") == 800e12


def test_a_search_takes_the_accelerator_from_a_folder(tmp_path: Path) -> None:
    """With its law, which is in no file of the program's."""
    found = fit.fit(timed(shapes(("bf16",)), noise=0.05), CHIP, class_default())
    (tmp_path / "hardware").mkdir()
    chip = replace(CHIP, link_bytes_per_s=200e9)
    (tmp_path / "hardware" / "mychip.yaml").write_text(write.hardware_document(BY, found, chip, None))
    config = composed(["hardware=mychip", "model=qwen3_32b", "engine=any"], tmp_path)
    law = read_law(config.hardware.efficiency)
    assert isinstance(law, ShapedLaw) and law.name == "mychip"
    assert (
        law.gemm.peak_share == law.experts.peak_share == pytest.approx(found.constants["gemm"]["peak_share"], rel=1e-3)
    )
    assert read_scenario(config, read_model(config.model).architecture).accelerator.name == "Acme X1"


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        (3, "3 is not allowed; give the constants"),
        ({"gemm": 3}, "is not allowed; give the constants"),
        ({"gemm": {}}, "law mychip: missing .*'rates'.*unknown"),
        (
            {**class_default(), "gemm": {**class_default()["gemm"], "peak_share": 2}},
            "gemm.peak_share = 2.0 is out of range",
        ),
        ({**class_default(), "experts": {"peak_share": 0.5}}, "law mychip, experts: missing .*'token_passes'"),
    ],
)
def test_bad_constants_are_one_line(constants: object, said: str) -> None:
    with pytest.raises(InputError, match=f"^hardware.efficiency.constants: .*({said})"):
        read_law({"law": "mychip", "constants": constants})


def test_the_cluster_is_read() -> None:
    chip = replace(CHIP, link_bytes_per_s=200e9)
    body = yaml.safe_load(write.cluster_document(BY, chip, LINKS, 8))
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(ClusterConfig), body))
    tier = read_cluster(config, chip.link_bytes_per_s).tiers[0]
    assert (tier.latency_s, tier.rate) == (pytest.approx(5e-6), pytest.approx(100e9))


def test_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wall").write_text("a file, not a folder")
    with pytest.raises(InputError):
        write.write_all({tmp_path / "law.yaml": "name: x\n", tmp_path / "wall" / "x.yaml": "name: x\n"})
    assert [path.name for path in tmp_path.iterdir()] == ["wall"]


def test_timings_are_a_table() -> None:
    lines = write.timings_table([Timing("gemm", "mm", "bf16", 1e-5, 0.01, 7, m=1, n=2, k=3)]).splitlines()
    assert lines[0].startswith("kind,kernel,dtype,seconds,spread") and lines[1].startswith("gemm,mm,bf16,1e-05,0.01,7")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(InputError, match="tpu"):
        device.open_device("tpu")
