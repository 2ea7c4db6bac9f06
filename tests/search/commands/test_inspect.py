"""``servefront inspect``: what the reader made of a config, and one line for what it cannot read."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from costmodel.parameters import kv_bytes_per_token, parameters
from search import cli
from search.commands.inspect import CONTEXTS, main
from search.inputs.models import model_names, read_catalog_model
from search.inputs.models.catalog import load_entry

KEYS = {
    "parameters",
    "active_parameters",
    "vision_parameters",
    "kv_bytes_per_token",
    "state_bytes_per_sequence",
    "assumptions",
}


@pytest.fixture
def inspect(capsys):
    """Run the command: (exit code, standard output, standard error)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def config(tmp_path):
    """Write a config.json of Qwen3-8B with keys changed; returns its path."""

    def write(**changes: object) -> str:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(load_entry("qwen3_8b")["published"] | changes))
        return str(path)

    return write


@pytest.mark.parametrize("model", model_names())
def test_every_model_of_the_catalog(inspect, model):
    code, out, err = inspect(model, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    architecture = read_catalog_model(model).architecture
    assert set(report) >= KEYS
    assert report["parameters"] == parameters(architecture)
    assert report["kv_bytes_per_token"] == pytest.approx(kv_bytes_per_token(architecture))
    assert 0 < report["active_parameters"] <= report["parameters"]
    assert sum(layer["count"] for layer in report["layers"]) == report["layer_count"] == architecture.layer_count
    for figure in ("kv_bytes_per_token", "state_bytes_per_sequence"):
        by_layer = sum(layer["count"] * layer["mixer"][figure] for layer in report["layers"] if layer["mixer"])
        assert by_layer == pytest.approx(report[figure])
    caches = [report["kv_bytes_per_sequence"][str(n)] for n in CONTEXTS]
    assert all(c <= n * report["kv_bytes_per_token"] for c, n in zip(caches, CONTEXTS, strict=True))
    code, out, err = inspect(model)
    assert (code, err) == (0, "")
    assert f"{report['parameters']:,}" in out
    assert f"{report['kv_bytes_per_token']:,}" in out


def test_every_counted_config(inspect, data):
    rows = list(csv.DictReader((data / "parameter_counts.csv").read_text().splitlines()))
    assert len(rows) >= 20
    for row in rows:
        code, out, err = inspect(str(data / "model_configs" / f"{row['config']}.json"), "--json")
        assert (code, err) == (0, ""), row
        assert json.loads(out)["parameters"] == int(row["language_parameters"]), row


def test_a_model_by_hand(inspect, config):
    """Qwen3-8B: 2 x 8 KV heads x 128 x 36 layers in bf16; 32 + 2 x 8 + 32 heads a layer, three matrices, two norms."""
    report = json.loads(inspect(config(), "--json")[1])
    layer = 4096 * 128 * (32 + 8 + 8 + 32) + 3 * 4096 * 12288 + 2 * 4096 + 2 * 128
    assert report["parameters"] == 36 * layer + 2 * 151936 * 4096 + 4096
    assert report["kv_bytes_per_token"] == 2 * 8 * 128 * 36 * 2
    assert report["kv_bytes_per_sequence"]["4096"] == 4096 * report["kv_bytes_per_token"]
    assert report["weight_bytes"] == {"bf16": 2 * report["parameters"]}
    assert (report["vision_parameters"], report["state_bytes_per_sequence"], report["assumptions"]) == (0, 0, [])


def test_formats_and_name(inspect, config):
    report = json.loads(inspect(config(), "--json", "--weights", "fp8", "--kv-cache", "fp8", "--name", "mine")[1])
    assert report["name"] == "mine"
    assert report["kv_bytes_per_token"] == 8 * 128 * 36 * 2
    assert set(report["weight_bytes"]) == {"bf16", "fp8"}
    published = json.loads(inspect("qwen3_8b", "--json")[1])
    assert sum(report["weight_bytes"].values()) < 0.6 * sum(published["weight_bytes"].values())


@pytest.mark.parametrize("spelling", ["deepseek_v3", "deepseek-ai/DeepSeek-V3", "DeepSeek V3"])
def test_catalog_names(inspect, spelling):
    code, out, _ = inspect(spelling, "--json")
    assert code == 0
    assert json.loads(out)["name"] == "deepseek-ai/DeepSeek-V3"


def test_a_path_goes_before_the_catalog(inspect, config, tmp_path, monkeypatch):
    Path(config()).rename(tmp_path / "qwen3_32b")
    monkeypatch.chdir(tmp_path)
    assert json.loads(inspect("qwen3_32b", "--json")[1])["layer_count"] == 36


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("deepseek_v3_2", ["58 x multi-head latent attention", "indexer", "mixture of experts: experts 256, top k 8"]),
        ("gpt_oss_20b", ["12 x grouped-query attention", "window 128", "mxfp4"]),
        ("llama_4_scout", ["chunk 8,192", "vision, bf16"]),
        ("qwen3_5_397b", ["45 x gated delta net", "bytes a sequence", "output gate"]),
        ("nemotron_3_nano_30b", ["23 x Mamba-2", "not gated", "nothing was assumed"]),
        ("deepseek_v3", ["3 x multi-head", "dense FFN: inner 18,432", "fp8_block", "\nassumed\n  - num_nextn"]),
    ],
)
def test_text(inspect, model, words):
    out = inspect(model)[1]
    assert all(word in out for word in words), out


def test_text_shows_control_characters_and_does_not_obey_them(inspect, config):
    out = inspect(config(), "--name", "a\x1b[31mb\nc")[1]
    assert out.splitlines()[0] == "a\\x1b[31mb\\nc"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"model_type": "qwen3", "hid', "not JSON"),
        (b"", "not JSON"),
        (b"\x00\xff\x80binary", "not JSON"),
        (b"[1, 2]", "must hold an object, not list"),
        (b"null", "must hold an object"),
        (b"{}", "model_type is missing"),
        (b"[" * 100_000, "nested"),
        (b'{"model_type": "qwen3", "hidden_size": ' + b"9" * 5000 + b"}", ""),
        (b" " * 17_000_000, "more than 16000000 bytes"),
    ],
)
def test_files_that_are_no_config(inspect, tmp_path, content, words):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    one_line(inspect(str(path)), words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_key_value_heads": 5}, "num_attention_heads = 32 must be a multiple of num_key_value_heads = 5"),
        ({"hidden_size": -1}, "hidden_size = -1"),
        ({"hidden_size": "4096"}, "hidden_size = '4096'"),
        ({"num_hidden_layers": None}, "num_hidden_layers is missing"),
        ({"num_experts": 8}, "num_experts"),
        ({"model_type": "unheard_of", "num_widgets": 3}, "num_widgets"),
    ],
)
def test_configs_that_cannot_be_read_exactly(inspect, config, changes, words):
    one_line(inspect(config(**changes)), words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.json"], "absent.json"),
        (["/nowhere/model"], "no such file"),
        (["qwen3-8"], "qwen3_8b"),
        (["."], "directory"),
        (["qwen3_8b", "--weights", "fp7"], "weights = 'fp7' must be one of"),
        (["qwen3_8b", "--kv-cache", "x"], "kv_cache = 'x' must be one of"),
    ],
)
def test_arguments_that_cannot_be_used(inspect, arguments, words):
    one_line(inspect(*arguments), words)


def one_line(answer: tuple[int, str, str], words: str) -> None:
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert words in err
    assert len(err) < 600


def test_the_command_line(config, capsys):
    assert cli.main(["inspect", config(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layer_count"] == 36
    with pytest.raises(SystemExit, match="0"):
        cli.main(["inspect", "--help"])
    assert "--kv-cache" in capsys.readouterr().out


def test_the_language_model_alone(config, capsys):
    assert cli.main(["inspect", config(), "--json", "--text-only"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert cli.main(["inspect", "llama_4_scout", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert cli.main(["inspect", "llama_4_scout", "--json", "--text-only"]) == 0
    scout = json.loads(capsys.readouterr().out)
    assert alone["layer_count"] == 36
    assert whole["vision_parameters"] > 0 == scout["vision_parameters"]
    assert any(line.startswith("text_only") for line in scout["assumptions"])


def test_as_a_module_without_slow_imports(config, repo):
    code = (
        "import sys; from search.commands.inspect import main; code = main(sys.argv[1:]); "
        "sys.exit(code or bool({'optuna', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, config()], capture_output=True, text=True, cwd=repo)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        [sys.executable, "-m", "search", "inspect", "absent.json"], capture_output=True, text=True, cwd=repo
    )
    assert done.returncode == 2
    assert done.stderr == "error: absent.json: cannot be read: No such file or directory\n"
