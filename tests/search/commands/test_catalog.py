"""The whole catalog works: every model and accelerator in the main job, configs from the command line, the tables."""

import csv
import json

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from costmodel.laws.shaped import PARTS
from costmodel.parameters import active_parameters, parameters
from search import cli
from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.efficiency_laws import load_law
from search.inputs.models import model_names, read_catalog_model
from search.inputs.models.catalog import load_entry
from search.inputs.typed import typed
from search.optimizer.outcome import Outcome
from search.optimizer.run import run

HARDWARE = sorted(path.stem for path in (conf_dir() / "hardware").glob("*.yaml"))
SMALL_SPACE = (
    "engine=any",
    "sensitivity=none",
    "report=none",
    "strategy=exact",
    "space.dp=1",
    "space.pp=[1,2]",
    "space.sp=1",
    "space.tp=[1,2,4,8]",
    "space.ep=[1,4,8]",
    "space.batch=[1,16]",
)


def searched(*overrides: str) -> Outcome:
    """The main job in this process, on a small space."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = typed(compose("config", [*SMALL_SPACE, *overrides]))
    return run(config)


def assert_recommends(outcome: Outcome) -> None:
    assert outcome.choice is not None
    scores, best = outcome.scores, outcome.choice.recommended
    assert best in outcome.front
    assert scores.feasible[best]
    for figure in ("ttft_s", "burst_ttft_s", "tpot_s", "output_tokens_per_s", "memory_bytes_per_gpu"):
        values = getattr(scores, figure)
        assert np.all(np.isfinite(values)), figure
        assert values[best] > 0, figure
    assert 0 < scores.share_of_limit[best] <= 1


@pytest.mark.parametrize("model", model_names())
def test_the_main_job_recommends_a_plan_for_every_model(model):
    """With requests that the shortest context of the catalog holds: 2,048 tokens, of GPT-NeoX and BLOOM."""
    short = ("workload.isl=1024", "workload.osl=512")
    words = (f"model={model}", "hardware=b200_sxm", "cluster=hgx8_400g", "space.gpus=[1,2,4,8,16]")
    assert_recommends(searched(*words, *short))


@pytest.mark.parametrize("hardware", HARDWARE)
def test_the_main_job_recommends_a_plan_on_every_accelerator(hardware):
    for model in ("qwen3_0_6b", "qwen3_30b_a3b"):
        gpus = "space.gpus=[1,2,4,8]"
        assert_recommends(searched(f"model={model}", f"hardware={hardware}", gpus))


LAWS = sorted(path.stem for path in (conf_dir() / "law").glob("published_*.yaml"))


@pytest.mark.parametrize("name", LAWS)
def test_a_law_with_a_base_holds_what_differs(name):
    """Each constant of its file and no other differs from the base, and its part has a source."""
    file = OmegaConf.load(conf_dir() / "law" / f"{name}.yaml")
    law, base = load_law(name), load_law(file.base)
    assert law.name == name != base.name == "class_default"
    for part in PARTS:
        mine, theirs = (vars(getattr(each, part)) for each in (law, base))
        different = {key: value for key, value in mine.items() if value != theirs[key]}
        assert different == dict(file.constants.get(part, {})), part
    assert set(file.constants) == set(file.sources)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("base: nothing", "law bad: base: 'nothing' is not allowed; give one of bad, class_default"),
        ("base: class_default", "law bad: missing 'constants'"),
        ("- 1", "law bad: missing 'constants'"),
        ("base: class_default\nconstants: {gemm: 3}", "law bad: "),
        ("base: class_default\nconstants: {}", "law bad: missing 'name'"),
        ("name: bad\nbase: class_default\nconstants: {gemm: {peak_share: 2}}", "gemm.peak_share = 2.0 is out of range"),
        ("name: bad\nbase: class_default\nconstants: {gemm: {peek_share: 0.5}}", "unknown ['peek_share']"),
    ],
)
def test_bad_laws_are_one_line(monkeypatch, tmp_path, content, words):
    (tmp_path / "law").mkdir()
    (tmp_path / "law" / "bad.yaml").write_text(content)
    base = (conf_dir() / "law" / "class_default.yaml").read_text()
    (tmp_path / "law" / "class_default.yaml").write_text(base)
    monkeypatch.setattr("search.inputs.efficiency_laws.conf_dir", lambda: tmp_path)
    load_law.cache_clear()
    with pytest.raises(InputError) as error:
        load_law("bad")
    load_law.cache_clear()
    assert words in str(error.value) and "\n" not in str(error.value)


def test_an_accelerator_without_a_link_needs_a_cluster_that_states_its_speed():
    unlinked = ("model=qwen3_0_6b", "hardware=l40s", "hardware.link_bytes_per_s=null", "space.gpus=[1,2]")
    with pytest.raises(InputError, match="means the accelerator's own link, and it states none"):
        searched(*unlinked, "cluster=pcie8")
    assert_recommends(searched(*unlinked, "cluster=worked_case"))


# One config of each kind of attention, and one of each way of quantising.
CONFIGS = {
    "Qwen--Qwen3-8B": "grouped queries",
    "deepseek-ai--DeepSeek-V3": "latent attention, FP8 blocks",
    "deepseek-ai--DeepSeek-V3.2": "sparse attention",
    "openai--gpt-oss-20b": "sliding windows, MXFP4",
    "google--gemma-4-26B-A4B": "two head sizes, vision",
    "meta-llama--Llama-4-Scout-17B-16E-Instruct": "chunks, vision",
    "Qwen--Qwen3.5-397B-A17B": "gated delta net",
    "nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": "state space",
    "moonshotai--Kimi-K2.5": "latent attention, INT4 experts",
}
NODES = ("hardware=b200_sxm", "cluster=hgx8_400g", "space.gpus=[1,8,16]", "hydra.run.dir=r", *SMALL_SPACE)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_of_each_kind_from_the_command_line(search, data, tmp_path, config):
    path = data / "model_configs" / f"{config}.json"
    code, out, err = search(f"model.config={path}", *NODES)
    assert code == 0, err
    assert "Recommended plan" in out
    assert json.loads((tmp_path / "r" / "summary.json").read_text())["status"] == "ok"


def test_a_config_from_the_command_line_answers_as_the_catalog_does(search, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(load_entry("qwen3_30b_a3b")["published"]))
    assert search("model.config=config.json", *NODES)[0] == 0
    mine = (tmp_path / "r" / "pareto.csv").read_text()
    assert search("model=qwen3_30b_a3b", *NODES, "hydra.run.dir=s")[0] == 0
    assert mine == (tmp_path / "s" / "pareto.csv").read_text()
    assert mine.count("\n") > 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "config.json: cannot be read: No such file"),
        ("{", "config.json: not JSON"),
        ("[]", "must hold an object"),
        ("x" * 17_000_000, "more than 16000000 bytes"),
        ({"num_key_value_heads": 5}, "num_key_value_heads = 5"),
        ({"hidden_size": -4096}, "hidden_size = -4096"),
        ({"num_attention_heads": "32"}, "num_attention_heads = '32'"),
        ({"num_experts": 64}, "num_experts"),
        ({"model_type": "brand_new"}, "brand_new"),
    ],
)
def test_bad_configs_are_one_line_and_exit_2(search, tmp_path, content, words):
    if isinstance(content, dict):
        published = dict(load_entry("qwen3_8b")["published"])
        if content.get("model_type"):
            del published["num_key_value_heads"]
        content = json.dumps(published | content)
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    code, out, err = search("model.config=config.json", "hydra.run.dir=r")
    assert code == 2, err
    assert err.startswith("error: model: ")
    assert len(err.splitlines()) == 1
    assert words in err
    assert "Traceback" not in out + err


def test_a_folder_is_no_config(search):
    code, _, err = search("model.config=.", "hydra.run.dir=r")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "directory" in err


def table(capsys, *arguments: str) -> str:
    assert cli.main(list(arguments)) == 0
    return capsys.readouterr().out


def test_models_table(capsys):
    lines = table(capsys, "models").splitlines()
    assert [line.split()[0] for line in lines[1:]] == model_names()
    assert lines[0].split("  ")[0] == "key"
    (row,) = [line for line in lines if line.startswith("qwen3_235b ")]
    assert row.split() == ["qwen3_235b", "Qwen/Qwen3-235B-A22B", "235.09", "22.19", "192,512", "bf16", "470.2"]


def test_models_csv(capsys):
    rows = list(csv.DictReader(table(capsys, "models", "--csv").splitlines()))
    assert [row["key"] for row in rows] == model_names()
    for row in rows:
        architecture = read_catalog_model(row["key"]).architecture
        assert int(row["parameters"]) == parameters(architecture)
        assert int(row["active_parameters"]) == active_parameters(architecture)
    formats = {row["key"]: row["weights_format"] for row in rows}
    assert formats["deepseek_v3"] == "fp8_block"
    assert formats["gpt_oss_120b"] == "mxfp4"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("qwen3-vl 30b", ["qwen3_vl_30b_a3b"]),
        ("LongCat", ["longcat_flash"]),
        ("nemotron super", ["nemotron_3_super"]),
        ("THUDM/GLM-4-32B-0414", ["glm_4_32b"]),
    ],
)
def test_models_are_found_by_words_of_any_of_their_names(capsys, words, found):
    assert cli.main(["models", "--csv", "--find", words]) == 0
    assert [row["key"] for row in csv.DictReader(capsys.readouterr().out.splitlines())] == found


def test_a_name_that_no_model_has_is_one_line(capsys):
    for words in ("no such model at all", "!!"):
        assert cli.main(["models", "--find", words]) == 2
        out, err = capsys.readouterr()
        assert not out
        assert err.startswith(f"error: find = {words!r}")
        assert err.count("\n") == 1


def test_hardware_table(capsys):
    lines = table(capsys, "hardware").splitlines()
    assert [line.split()[0] for line in lines[1:]] == HARDWARE
    (row,) = [line for line in lines if line.startswith("a100_80gb_sxm ")]
    assert row.split()[-9:] == ["312", "-", "-", "2.04", "85.9", "300", "400", "3.43", "hgx8_200g"]


def test_hardware_csv(capsys):
    rows = list(csv.DictReader(table(capsys, "hardware", "--csv").splitlines()))
    by_key = {row["key"]: row for row in rows}
    assert list(by_key) == HARDWARE
    assert float(by_key["h100_sxm"]["memory_bytes"]) == pytest.approx(81559 * 2**20, rel=1e-3)
    assert by_key["a100_80gb_sxm"]["fp8_flops"] == ""
    assert float(by_key["b200_sxm"]["fp4_flops"]) > float(by_key["b200_sxm"]["fp8_flops"])


@pytest.mark.parametrize("command", ["models", "hardware"])
def test_help_of_the_tables(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    assert "--csv" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        cli.main([command, "--nope"])


def test_own_hardware_is_listed(tmp_path, capsys):
    (tmp_path / "hardware").mkdir()
    (tmp_path / "hardware" / "mine.yaml").write_text("defaults: [h200_sxm, _self_]\nname: Mine\n")
    assert cli.main(["hardware", "--csv", "--config-dir", str(tmp_path)]) == 0
    own = list(csv.DictReader(capsys.readouterr().out.splitlines()))[-1]
    assert (own["key"], own["name"]) == ("mine", "Mine")
    assert cli.main(["clusters", "--config-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: --config-dir: {tmp_path / 'cluster'} holds no *.yaml\n"
