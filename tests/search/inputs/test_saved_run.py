"""Runs read back, and plans named in them."""

from pathlib import Path

import numpy as np
import pytest

from search.base.errors import InputError
from search.commands.search import main
from search.inputs.saved_run import named_plan, read_plan_file, read_run
from search.optimizer.run import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "run"
    assert main(["+experiment=qwen3_235b", "strategy=exact", f"hydra.run.dir={folder}"]) == 0
    return folder


def test_a_run_read_back_has_the_same_outcome(folder):
    saved = read_run(folder)
    outcome = run(saved.exact_config)
    assert outcome.choice is not None
    assert outcome.plans.row(outcome.choice.recommended) == saved.recommended
    front = np.sort(outcome.scores.output_tokens_per_s[outcome.front])
    assert front.tolist() == sorted(float(row["output_tokens_per_s"]) for row in saved.front)


def test_plans_by_name_row_changes_and_file(folder):
    saved = read_run(folder)
    best, _ = named_plan(saved, "recommended")
    assert best.row(0) == saved.recommended
    third, name = named_plan(saved, "3")
    assert (third.row(0)["batch"], name) == (int(saved.front[2]["batch"]), "row 3")
    changed, _ = named_plan(saved, "tp=8, batch=64")
    assert changed.row(0) == {**saved.recommended, "tp": 8, "batch": 64}
    from_file, name = named_plan(saved, str(folder / "plan.yaml"))
    assert (from_file.row(0), name) == (saved.recommended, "recommended")


@pytest.mark.parametrize("text", ["0", "999999", "tp=0", "tp=x", "tp=4,tp=8", "wp=4", "nowhere.yaml"])
def test_plans_that_are_not_there(folder, text):
    with pytest.raises(InputError):
        named_plan(read_run(folder), text)


def test_folders_that_hold_no_run(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        read_run(tmp_path)
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(InputError, match="not YAML"):
        read_run(tmp_path)


def test_the_configuration_of_a_run_stands_alone(tmp_path, monkeypatch, repo):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(
        '{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 1024, "num_hidden_layers": 4,'
        ' "num_attention_heads": 8, "num_key_value_heads": 8, "intermediate_size": 2048, "vocab_size": 1000,'
        ' "max_position_embeddings": 8192, "tie_word_embeddings": false}'
    )
    run_dir = tmp_path / "run"
    assert main(["model.name=mine", "model.config=config.json", "strategy=exact", f"hydra.run.dir={run_dir}"]) == 0
    config.unlink()
    assert run(read_run(run_dir).exact_config).choice is not None


@pytest.mark.parametrize("text", ["", "layout: 3", "name: x\nlayout: {tp: 4}\nbatch: 1", "nmae: x"])
def test_plan_files_that_are_none(tmp_path, text):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"plan\.yaml"):
        read_plan_file(path)
