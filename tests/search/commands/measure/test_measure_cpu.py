"""The whole command on this machine's processor. Needs torch (the extra ``[measure]``)."""

from __future__ import annotations

import csv
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from real import Child

from costmodel.hardware import Accelerator
from costmodel.laws import ShapedLaw
from search.base.errors import InputError
from search.commands.measure import bench, collectives, fit, gemm, memory, timing
from search.commands.measure.device import Device, open_device
from search.commands.measure.main import main
from search.commands.measure.records import Timing

torch = pytest.importorskip("torch", reason="torch is not installed: nothing can be measured (extra [measure])")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other make timings useless where the processor is shared with other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_cache() -> Device:
    """The processor as if its cache were small: few copies of operands to allocate."""
    device = open_device("cpu")
    device.cache_bytes = 1e6
    return device


def read_timings(path: Path) -> list[Timing]:
    kinds = {f.name: f.type for f in fields(Timing)}
    convert = {"str": str, "float": float, "int": int, "bool": lambda text: text == "True"}
    with path.open(newline="") as lines:
        return [Timing(**{k: convert[kinds[k]](v) for k, v in row.items()}) for row in csv.DictReader(lines)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One quick run, all files written."""
    folder = tmp_path_factory.mktemp("measured")
    arguments = f"--device cpu --quick --ranks 2 --out {folder / 'mycpu.yaml'} --law-out {folder / 'conf'}"
    assert main([*arguments.split(), "--timings", str(folder / "timings.csv")]) == 0
    return folder


def test_files_are_whole(measured: Path) -> None:
    names = sorted(str(path.relative_to(measured)) for path in measured.rglob("*") if path.is_file())
    written = ["conf/cluster/mycpu.yaml", "conf/hardware/mycpu.yaml", "conf/law/mycpu.yaml", "mycpu.yaml"]
    assert names == [*written, "timings.csv"]
    assert (measured / "mycpu.yaml").read_text() == (measured / "conf/law/mycpu.yaml").read_text()


def test_the_law_predicts_the_timings(measured: Path) -> None:
    """Median error within a factor of 2 for each kind; on an idle processor within 1.06 to 1.3."""
    body = yaml.safe_load((measured / "mycpu.yaml").read_text())
    hardware = yaml.safe_load((measured / "conf/hardware/mycpu.yaml").read_text())
    law = ShapedLaw.from_constants(body["name"], body["constants"])
    chip = Accelerator("cpu", hardware["memory_bytes"], hardware["memory_bytes_per_s"], hardware["peak_flops"])
    rows = [row for row in read_timings(measured / "timings.csv") if row.ways == 0]
    kinds = set()
    for batch in fit.batches(rows):
        ratio = np.asarray(law.times(batch.work, chip).seconds) / batch.seconds
        assert np.median(np.exp(np.abs(np.log(ratio)))) < 2.0, batch.kind
        kinds.add(batch.kind)
    assert kinds == {"gemm", "prefill", "decode", "elementwise"}
    assert body["sources"]["measurement"]["torch"].startswith("2.")
    assert body["sources"]["gemm"]["rows"] == sum(row.kind == "gemm" for row in rows)


def test_two_ranks_took_part(measured: Path) -> None:
    rows = [row for row in read_timings(measured / "timings.csv") if row.ways]
    assert {"all_reduce", "all_gather"} <= {row.kind for row in rows} and {row.ways for row in rows} == {2}
    assert all(row.seconds > 0 for row in rows)
    tier = yaml.safe_load((measured / "conf/cluster/mycpu.yaml").read_text())["tiers"][0]
    assert tier["size"] == 2 and 0 < tier["latency_s"] < 0.1 and 0 < tier["efficiency"] <= 1


def test_larger_products_and_copies_take_longer() -> None:
    device = small_cache()
    products = [gemm._case("bf16", m, 512, 512) for m in (16, 1024)]
    rows = bench.run(device, products, bench.Pace(timing.QUICK, 1.0))
    assert rows[1].seconds > 2 * rows[0].seconds
    copies = [memory._copy(1 << 18), memory._copy(1 << 24)]
    rows = bench.run(device, copies, bench.Pace(timing.QUICK, 1.0))
    assert rows[1].seconds > 5 * rows[0].seconds
    assert 1e8 < memory.bandwidth(rows) < 1e13


@pytest.mark.parametrize("dtype", ["fp32", "fp8", "int8"])
def test_other_products_run_or_say_why(dtype: str) -> None:
    device = small_cache()
    reason = gemm.lacking(device, dtype)
    if reason is None:
        assert bench.run(device, [gemm._case(dtype, 32, 128, 128)], bench.Pace(timing.QUICK, 1.0))[0].seconds > 0
    else:
        assert reason


def test_cases_too_long_or_too_large_are_counted() -> None:
    device = open_device("cpu")
    pace = bench.Pace(timing.QUICK, most_s=1e-9)
    assert bench.run(device, memory.cases(True)[:2], pace) == []
    assert pace.left_out == {"elementwise: a call foreseen above 1e-09 s": 2}


def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert main(["--device", "cuda", "--out", str(tmp_path / "x.yaml")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --device cuda: torch") and said.count("\n") == 1


@pytest.mark.parametrize("struck", ["a rank", "the command"])
def test_what_is_killed_leaves_no_process(struck: str, tmp_path: Path) -> None:
    words = ["measure", "--device", "cpu", "--quick", "--ranks", "2", "--out", str(tmp_path / "x.yaml")]
    child = Child(words, tmp_path)
    while child.process.poll() is None and len(child.relatives()) < 3:
        time.sleep(0.05)
    os.kill(child.process.pid if struck == "the command" else max(child.relatives()), signal.SIGKILL)
    ended = child.ended()
    said = [line for line in ended.err.splitlines() if not line.startswith("measure: ")]
    assert (ended.code, len(said)) == ((-9, 0) if struck == "the command" else (2, 1)), ended
    assert all(line.startswith("error: --ranks 2: rank ") for line in said)
    assert child.left() == []
    assert list(tmp_path.iterdir()) == []


def test_ranks_that_fail_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "no-such-interface")
    with pytest.raises(InputError, match="--ranks 2: rank . failed"):
        collectives.measure("cpu", 2, True)
