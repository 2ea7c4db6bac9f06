"""``servefront evidence``: by names, of a run, and what it refuses."""

import pytest

from search.cli import main


def test_by_names_the_nearest_ring_comes_first(capsys):
    assert main(["evidence", "--model", "deepseek-ai/DeepSeek-R1", "--hardware", "H200", "--engine", "trtllm"]) == 0
    out = capsys.readouterr().out
    first, rest = (
        out.index("The same model, accelerator, engine, precision and layout"),
        out.index("under another engine"),
    )
    assert first < rest
    assert "TensorRT-LLM 1.1" in out
    assert "experts and latent attention, fp8" in out


def test_every_class_is_shown_once(capsys):
    assert main(["evidence", "--model", "gpt-oss-120b", "--hardware", "b200_sxm", "--all"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| logs", "| published"))]
    assert len(rows) == len(set(rows)) > 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "RUN: give the folder of a run, or --model and --hardware"),
        (["--model", "gpt-oss-120b"], "RUN: give the folder"),
        (["--model", "nobody/Nothing-1B", "--hardware", "H200"], "nobody/Nothing-1B"),
        (["--model", "gpt-oss-120b", "--hardware", "abacus"], "abacus"),
        (["nowhere"], "nowhere"),
        (["nowhere", "--model", "gpt-oss-120b"], "leave out --model"),
    ],
)
def test_bad_input_is_one_line(words, said, capsys):
    assert main(["evidence", *words]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert said in err
    assert len(err.splitlines()) == 1


def test_of_a_run(capsys, tmp_path):
    run = tmp_path / "run"
    search = ["model=qwen3_32b", "hardware=h100_sxm", "cluster=hgx8_400g", "engine=sglang", "strategy=exact",
              "space.gpus=[2]", "space.batch=[16]", "report=none", "sensitivity=none",
              f"hydra.run.dir={run}"]  # fmt: skip
    assert main(search) == 0
    capsys.readouterr()
    assert main(["evidence", str(run)]) == 0
    out = capsys.readouterr().out
    assert "measured like it:" in out
    assert "its intervals are those of runs under SGLang" in out
    assert "measured like it" in (run / "plan.md").read_text()
    assert main(["evidence", str(run), "--plan", "row"]) == 2
