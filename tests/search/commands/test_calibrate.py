"""Calibration: runs made with known constants give them back; what runs cannot say stays put."""

import json
from dataclasses import replace

import pytest

from costmodel.evaluate import evaluate
from search.commands.calibrate import CONSTANT, main, note_of
from search.commands.validate import main as validate
from search.evidence.measured.cases import case_of
from search.evidence.measured.grouped import with_constants
from search.evidence.measured.runs import Deployment, read_runs
from search.inputs.efficiency_laws import read_law
from search.inputs.hardware_catalog import load_engine, load_hardware

SERVED = Deployment("llama_3_1_70b", "h100_sxm", "vllm", "", "fp8", 2, 2, 1, 1, 1)
FLAGS = ["--engine", "vllm", "--model", "llama_3_1_70b", "--hardware", "h100_sxm", "--precision", "fp8", "--tp", "2"]
TRUE = {"launch_share": 2.6, "sequence_overhead_s": 6.5e-6, "request_overhead_s": 0.25}


def result(concurrency: int, ttft_ms: float, tpot_ms: float) -> dict[str, float]:
    n = 10 * concurrency
    return {
        "mean_ttft_ms": ttft_ms, "mean_tpot_ms": tpot_ms, "completed": n, "max_concurrency": concurrency,
        "total_input_tokens": 900 * n, "total_output_tokens": 300 * n,
    }  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    """Five runs that the model itself made, with other constants than the catalog's."""
    path = tmp_path / "runs.jsonl"
    lines = []
    for concurrency in (1, 4, 8, 16, 32):
        path.write_text(json.dumps(result(concurrency, 1.0, 1.0)))
        case = case_of(read_runs(path, SERVED)[0])
        law = read_law(load_hardware("h100_sxm").efficiency)
        scores = evaluate(with_constants(case.scenario, law, TRUE), case.plan)
        lines.append(json.dumps(result(concurrency, scores.ttft_s[0] * 1e3, scores.tpot_s[0] * 1e3)))
    path.write_text("\n".join(lines))
    return path


def test_known_constants_come_back_and_the_errors_fall(runs, tmp_path, capsys):
    from omegaconf import OmegaConf

    out = tmp_path / "mine.yaml"
    assert main([str(runs), "--out", str(out), *FLAGS]) == 0
    printed = capsys.readouterr().out
    fitted = OmegaConf.load(out)
    assert fitted.launch_share == pytest.approx(2.6, rel=0.15)
    assert fitted.request_overhead_s == pytest.approx(0.25, rel=0.15)
    # A dense model says nothing about experts.
    assert fitted.expert_skew == pytest.approx(load_engine("vllm").expert_skew)
    assert "expert_skew" in printed.split("not determined")[-2].splitlines()[-1] + printed
    tpot = next(line for line in printed.splitlines() if line.startswith("TPOT"))
    before, after, held_out = (float(cell.split("%")[0]) for cell in tpot.split()[1::2])
    assert after < 2.0 < before
    assert held_out < before


def test_the_written_engine_can_be_selected(runs, tmp_path, search):
    folder = tmp_path / "mine" / "engine"
    folder.mkdir(parents=True)
    assert main([str(runs), "--out", str(folder / "ours.yaml"), *FLAGS]) == 0
    code, out, err = search(
        "--config-dir", str(tmp_path / "mine"), "model=llama_3_1_70b", "engine=ours", "strategy=exact", "space.gpus=[4]"
    )
    assert code == 0, err
    assert "Recommended plan" in out


def test_the_accelerator_has_a_file_of_its_own(runs, tmp_path, search, capsys):
    folder = tmp_path / "mine"
    for group in ("engine", "hardware"):
        (folder / group).mkdir(parents=True)
    files = ["--out", str(folder / "engine" / "ours.yaml"), "--hardware-out", str(folder / "hardware" / "chip.yaml")]
    assert main([str(runs), *files, *FLAGS]) == 0
    assert "sustained_share" in capsys.readouterr().out
    code, _, err = search(
        "--config-dir", str(folder), "model=llama_3_1_70b", "engine=ours", "hardware=chip", "strategy=exact",
        "space.gpus=[4]",
    )  # fmt: skip
    assert code == 0, err


def test_a_fit_that_does_not_hold_for_other_runs_writes_nothing(tmp_path, capsys):
    """Times that have nothing to do with the concurrency."""
    path, out = tmp_path / "runs.jsonl", tmp_path / "mine.yaml"
    times = [(1, 9.0), (2, 60.0), (3, 8.0), (4, 70.0), (5, 10.0), (6, 65.0)]
    path.write_text("\n".join(json.dumps(result(c, 20.0 * tpot, tpot)) for c, tpot in times))
    assert main([str(path), "--out", str(out), *FLAGS]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "predicted worse" in captured.err and "cross-validated" in captured.out
    assert not out.exists()


def test_notes_say_what_moved_too_far_and_what_did_not_move():
    known = CONSTANT["launch_share"]
    assert note_of(known, 1.0, 1.05, 0.9) == ""
    assert "at the end of its range, 0.1 to 3" in note_of(known, 1.0, 3.0, 0.9)
    assert "moved by 2.3 widths" in note_of(known, 0.5, 2.5, 0.9)
    assert note_of(known, 1.0, 1.05, 0.1).endswith("not determined by these runs: stays near where it was")
    assert note_of(known, 1.0, 1.5, 0.1).endswith("not determined by these runs")


def test_validate_reads_a_benchmarks_result(runs, tmp_path, capsys):
    out = tmp_path / "predictions.csv"
    assert validate([str(runs), *FLAGS, "--out", str(out)]) == 0
    assert "5 rows, 5 predicted" in capsys.readouterr().out
    assert len(out.read_text().splitlines()) == 6
    assert validate([str(runs)]) == 2
    assert "give --model" in capsys.readouterr().err


def test_one_object_and_lines_of_objects_read_alike(runs, tmp_path):
    one = tmp_path / "one.json"
    one.write_text(json.dumps(json.loads(runs.read_text().splitlines()[0]), indent=2))
    (alone,) = read_runs(one, SERVED)
    assert replace(alone, id="") == replace(read_runs(runs, SERVED)[0], id="")
    assert alone.waves == 10
    assert (alone.isl, alone.osl) == (900, 300)


@pytest.mark.parametrize(
    ("text", "flags", "words"),
    [
        ("{}", FLAGS, "lacks 'mean_ttft_ms'"),
        ("[]", FLAGS, "must be an object"),
        ("nonsense", FLAGS, "cannot be read as JSON"),
        (json.dumps(result(4, 1, 1) | {"completed": 0}), FLAGS, "completed = 0"),
        (json.dumps(result(4, 1, 1)), [], "give --model"),
        (json.dumps(result(4, 1, 1) | {"request_rate": 2.5}), FLAGS, "request_rate = '2.5': a run at a rate"),
        (json.dumps(result(4, 1, 1) | {"failed": 39}), FLAGS, "failed = '39' of 40 completed"),
        (json.dumps(result(4, 1, 1) | {"model_id": "Qwen/Qwen3-8B"}), FLAGS, "another model than --model"),
        (json.dumps(result(4, 1, 1)), [*FLAGS, "--pp", "0"], "--pp: 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(tmp_path, capsys, text, flags, words):
    path, out = tmp_path / "runs.json", tmp_path / "out.yaml"
    path.write_text(text)
    assert main([str(path), "--out", str(out), *flags]) == 2
    captured = capsys.readouterr()
    assert any(word in captured.err + captured.out for word in words.split("|"))
    if not words.startswith("left"):
        assert len(captured.err.splitlines()) == 1
        assert not out.exists()


def test_an_existing_file_is_not_overwritten(runs, tmp_path, capsys):
    out = tmp_path / "there.yaml"
    out.write_text("mine")
    assert main([str(runs), "--out", str(out), *FLAGS]) == 2
    assert "exists" in capsys.readouterr().err
    assert out.read_text() == "mine"
