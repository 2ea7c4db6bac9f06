"""TensorRT-LLM's file of options: where it is found, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.base.errors import InputError
from search.commands.audit.command import Command, read_command
from search.commands.audit.options_file import options_file
from search.commands.audit.settings import launched
from search.inputs.compose import composed

OPTIONS = {
    "enable_attention_dp": True,
    "moe_expert_parallel_size": 4,
    "max_batch_size": 96,
    "kv_cache_config": {"free_gpu_memory_fraction": 0.85, "dtype": "fp8", "enable_block_reuse": False},
    "cuda_graph_config": {"max_batch_size": 64, "enable_padding": True},
    "torch_compile_config": {"enable_piecewise_cuda_graph": True, "capture_num_tokens": [1, 2, 512]},
    "batch_wait_timeout_iters": 3,
    "moe_config": {"backend": "TRTLLM"},
    "print_iter_log": True,
}
SERVE = "trtllm-serve deepseek-ai/DeepSeek-R1 --tp_size 4 --max_batch_size 8 --extra_llm_api_options"
YAML = json.dumps(OPTIONS, indent=1)  # JSON is YAML
QUOTED = YAML.replace('"', '\\"')
TEXTS = {
    "cat": f"cat > /tmp/x/o.yml <<'EOF'\n{YAML}\nEOF\n{SERVE} /tmp/x/o.yml --port 1",
    "cat, the other way round": f"cat << EOF > o.yml\n{YAML}\nEOF\n{SERVE} o.yml",
    "tabs": "cat >o.yml <<-END\n" + "".join(f"\t{line}\n" for line in YAML.splitlines()) + f"\tEND\n{SERVE} ./o.yml",
    "tee": f"tee o.yml <<EOF\n{YAML}\nEOF\n{SERVE}=o.yml",
    "a variable": f"FILE=/tmp/o.yml\ncat > $FILE <<EOF\n{YAML}\nEOF\n{SERVE} $FILE",
    "printf": f"printf %s '{json.dumps(OPTIONS)}' > o.yml && {SERVE} o.yml",
    "echo": f"echo '{json.dumps(OPTIONS)}' > o.yml; {SERVE.replace('--extra_llm_api_options', '--config')} o.yml",
    "a container's script": f"docker run image bash -c \"cat > o.yml <<'EOF'\n{QUOTED}\nEOF\n{SERVE} o.yml\"",
}  # fmt: skip


def given(command: Command) -> dict[str, str]:
    return dict(command.given)


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_that_writes_the_file(kind: str) -> None:
    command = read_command("trtllm", TEXTS[kind])
    expected = {
        "width": "4", "batch": "96", "attn_dp": "", "ep": "4", "memory": "0.85", "kv_cache": "fp8", "graphs": "64",
        "padding": "", "prefill_graphs": "", "prefill_sizes": "512", "hold": "3", "experts": "TRTLLM", "prefix": "no",
    }  # fmt: skip
    assert given(command) == expected  # the file's 96 sequences win over the flag's 8
    assert "print_iter_log" in command.ignored
    assert command.unmodelled == ()


def test_what_it_means() -> None:
    command = read_command("trtllm", TEXTS["cat"])
    found = launched(command, composed(["model=deepseek_r1", "hardware=b200_sxm"]), 1)
    assert found.layout == {"gpus": 4, "tp": 1, "ep": 4, "dp": 1, "pp": 1, "sp": 1}
    assert found.batch == 4 * 96
    assert (found.told.captured, found.told.fraction, found.config.model.kv_cache) == (64, 0.85, "fp8")
    engine = found.config.engine
    assert (engine.captured_tokens, engine.hold_steps, engine.expert_kernels) == (512, 3.0, "generated")
    assert found.config.workload.prefix_hit == 0.0


def test_a_config_map() -> None:
    manifest = f"""apiVersion: v1
kind: ConfigMap
metadata: {{name: o}}
data:
  o.yml: '{json.dumps(OPTIONS)}'
---
kind: Pod
spec:
  containers:
  - image: some/tensorrt
    command: [{", ".join(SERVE.split())}, /options/o.yml]
"""
    assert given(read_command("trtllm", manifest))["batch"] == "96"


def test_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "o.yml"
    path.write_text("max_num_tokens: 2048\n")
    assert given(read_command("trtllm", f"{SERVE} {path}"))["tokens"] == "2048"
    path.write_text("- 1\n")
    with pytest.raises(InputError, match="is no file of options; give keys with values"):
        read_command("trtllm", f"{SERVE} {path}")
    path.write_text("a: &x 1\nb: *x\n")
    with pytest.raises(InputError, match="aliases are not allowed"):
        read_command("trtllm", f"{SERVE} {path}")


def test_a_file_that_is_nowhere_leaves_figures_open() -> None:
    command = read_command("trtllm", f"{SERVE} /not/here.yml")
    assert dict(command.unmodelled)["--extra-llm-api-options"] == "its settings stand in a file that is not here"
    assert command.open_figures["tpot_s"] == "--extra-llm-api-options"


def test_keys_that_change_what_is_not_modelled() -> None:
    found = options_file("o", {"o": "speculative_config: {max_concurrency: 8}\nnot_a_key: 1\nkv_cache_config: null\n"})
    assert found is not None
    assert found.unmodelled == {
        "speculative_config.max_concurrency": "drafts by other means than are modelled", "not_a_key": "not known here",
    }  # fmt: skip
    text = f"printf %s 'speculative_config: {{max_concurrency: 8}}' > o && {SERVE} o"
    command = read_command("trtllm", text)
    assert command.open_figures["tpot_s"] == command.open_figures["kv_capacity_tokens"]
    assert command.open_figures["tpot_s"] == "speculative_config.max_concurrency"
