"""Servers that others start: Dynamo's workers, folders by their mounts, groups of pods, files of flags, versions."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from search.base.errors import InputError
from search.commands.audit.command import read_command
from search.commands.audit.inputs import with_model
from search.commands.audit.passed import is_harmless, unmodelled
from search.commands.audit.settings import launched
from search.inputs.compose import composed
from search.inputs.schema import Config

CONFIG = "cat > c.yaml <<EOF\n%s\nEOF\n"


@pytest.fixture(scope="module")
def configs() -> dict[str, Config]:
    names = ("qwen3_0_6b", "qwen3_235b_fp8")
    return {name: composed([f"model={name}", "hardware=h200_sxm", "engine=vllm"]) for name in names}


@pytest.mark.parametrize(
    ("engine", "text", "expected"),
    [
        ("vllm", "python3 -m dynamo.vllm --model M --tensor-parallel-size 2", {"tp": "2"}),
        ("sglang", "python3 -m dynamo.sglang --model-path M --tp 2 --dyn-tool-call-parser x", {"width": "2"}),
        ("trtllm", "python3 -m dynamo.trtllm --model-path M --tensor-parallel-size 2 --kv-block-size 32",
         {"width": "2"}),
        ("trtllm", CONFIG % "tensor_parallel_size: 2" + "python3 -m dynamo.trtllm --model-path M "
         "--extra-engine-args c.yaml", {"width": "2"}),
        ("vllm", CONFIG % "tensor-parallel-size: 2\nenable-expert-parallel: true\nno-such: null"
         + "vllm serve M --config c.yaml", {"tp": "2", "ep": ""}),
        # What the command line says itself wins.
        ("vllm", CONFIG % "tensor-parallel-size: 2\nmodel: M" + "vllm serve --config c.yaml -tp 4", {"tp": "4"}),
        ("sglang", CONFIG % "model-path: M\ntp-size: 2\nenable-dp-attention: true\ndp-size: 2"
         + "python -m sglang.launch_server --config c.yaml", {"width": "2"}),
        # The one flag that begins so.
        ("vllm", "vllm serve M --tensor-par 2", {"tp": "2"}),
    ],
)  # fmt: skip
def test_what_is_read(engine: str, text: str, expected: dict[str, str]) -> None:
    found = read_command(engine, text)
    assert found.model == "M"
    assert {name: found.given[name] for name in expected} == expected
    assert not found.unmodelled


def test_a_beginning_of_two_flags_is_an_error() -> None:
    with pytest.raises(InputError, match="may be short for"):
        read_command("vllm", "vllm serve M --max-num 4")


def test_a_file_of_flags_that_is_nowhere() -> None:
    with pytest.raises(InputError, match="is not there"):
        read_command("sglang", "sglang serve --model M --config /nowhere/c.yaml")


GROUP = """
kind: LeaderWorkerSet
spec:
  leaderWorkerTemplate:
    size: 2
    workerTemplate:
      spec:
        containers:
        - image: vllm/vllm-openai:v0.30.0
          command: [sh, -c, "vllm serve M -tp 8 -dp $((LWS_GROUP_SIZE * 1)) -ep"]
"""


def test_a_group_of_pods_has_its_size() -> None:
    assert read_command("vllm", GROUP).given["attn_dp"] == "2"


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("docker run -v /data/Qwen3-32B:/model vllm/vllm-openai:v0.30.0 --model /model", "qwen3_32b"),
        ("vllm serve /srv/weights --served-model-name Qwen/Qwen3-32B", "qwen3_32b"),
        ("services:\n  a:\n    image: vllm/vllm-openai:v0.30.0\n    volumes: ['/d/Qwen3-32B:/m:ro']\n"
         "    command: --model /m -tp 2", "qwen3_32b"),
        ("vllm serve zai-org/GLM-5.2-FP8", "glm_5_3"),
        ("vllm serve deepseek-ai/DeepSeek-V4-Pro", "deepseek_v4_pro"),
        ("vllm serve amd/MiniMax-M3-MXFP8", "minimax_m3_mxfp8"),
        ("vllm serve mistralai/Ministral-3-8B-Instruct-2512", "ministral_3_8b_fp8"),
        ("vllm serve mistralai/Ministral-3-8B-Instruct-2512-BF16", "ministral_3_8b"),
    ],
)  # fmt: skip
def test_models_by_other_names(configs: dict[str, Config], text: str, option: str) -> None:
    config, line = with_model(configs["qwen3_0_6b"], read_command("vllm", text), [])
    assert f"model={option} of the catalog" in line
    assert config.model.name in line


@pytest.mark.parametrize(
    ("name", "cast"),
    [
        ("x/Qwen3-32B-w4a16", "int4"), ("x/Qwen3-32B-autoround-int4", "int4"), ("x/Qwen3-32B-AWQ-4bit", "int4"),
        ("x/Qwen3-32B-FP8-dynamic", "fp8"), ("x/Qwen3-32B-FP8_block", "fp8_block"), ("x/Qwen3-32B-MXFP8", "mxfp8"),
        ("x/Qwen3-32B-FP4-v2", "nvfp4"), ("x/Qwen3-32B-quantized.w8a8", "int8"), ("x/Qwen3-32B-GPTQ-Int8", "int8"),
    ],
)  # fmt: skip
def test_formats_in_names(configs: dict[str, Config], name: str, cast: str) -> None:
    config, _ = with_model(configs["qwen3_0_6b"], read_command("vllm", f"vllm serve {name}"), [])
    assert (config.model.name, config.model.weights) == ("Qwen/Qwen3-32B", cast)


NIXL = {"kv_connector": "NixlConnector", "kv_role": "kv_producer"}
SEVERAL = {"kv_connector": "MultiConnector", "kv_role": "kv_both",
           "kv_connector_extra_config": {"connectors": [{"kv_connector": "OffloadingConnector"}, NIXL]}}  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "text", "pool"),
    [
        ("vllm", "python -m dynamo.vllm --model M --is-prefill-worker", "prefill"),
        ("vllm", "python -m dynamo.vllm --model M --disaggregation-mode decode", "decode"),
        ("vllm", "python -m dynamo.vllm --model M", None),
        ("vllm", f"vllm serve M --kv-transfer-config '{json.dumps(SEVERAL)}'", "prefill"),
        ("sglang", "python -m dynamo.sglang --model-path M --disaggregation-mode decode", "decode"),
        ("trtllm", "python -m dynamo.trtllm --model-path M --disaggregation-mode prefill", "prefill"),
        ("trtllm", "python -m dynamo.trtllm --model-path M --disaggregation-mode prefill_and_decode", None),
    ],
)
def test_pools_of_workers(configs: dict[str, Config], engine: str, text: str, pool: str | None) -> None:
    assert launched(read_command(engine, text), configs["qwen3_0_6b"], 1).pool == pool


@pytest.mark.parametrize(
    ("version", "tp", "starts"),
    [
        ("0.28", 4, True), ("0.28", 8, False), ("0.31", 8, True), ("0.33", 8, True), ("0.31", 16, True),
        ("0.28", 16, False), ("", 8, True), ("0.31", 32, False),
    ],
)  # fmt: skip
def test_block_fp8_experts_that_are_cut(configs: dict[str, Config], version: str, tp: int, starts: bool) -> None:
    """1536 / 8 = 192 is one and a half blocks, 1536 / 32 = 48 is cut in blocks of 16 at best."""
    config = configs["qwen3_235b_fp8"]
    config = replace(config, engine=replace(config.engine, version=version))
    refused = launched(read_command("vllm", f"vllm serve M -tp {tp}"), config, 1).refused
    assert ("vllm.fp8_expert_blocks" not in dict(refused)) == starts
    whole = launched(read_command("vllm", f"vllm serve M -tp {tp} -ep"), config, 1).refused
    assert "vllm.fp8_expert_blocks" not in dict(whole)


def test_backend_of_the_old_variable_and_layers_of_stages(configs: dict[str, Config]) -> None:
    config = configs["qwen3_235b_fp8"]
    text = "VLLM_ALL2ALL_BACKEND=deepep_low_latency VLLM_PP_LAYER_PARTITION=40,54 vllm serve M -dp 4 -pp 2 -ep"
    found = launched(read_command("vllm", text), config, 1)
    assert "VLLM_PP_LAYER_PARTITION" in dict(found.unmodelled)
    assert "kv_capacity_tokens" in found.open_figures
    plain = launched(read_command("vllm", "vllm serve M -dp 4 -ep"), config, 1)
    assert (found.config.engine.exchange, plain.config.engine.exchange) == ("alltoall", "allgather")


def test_what_is_left_off_changes_nothing() -> None:
    assert is_harmless("vllm", "--no-disable-hybrid-kv-cache-manager")
    assert unmodelled("vllm", "--disable-hybrid-kv-cache-manager")
    assert not is_harmless("vllm", "--disable-hybrid-kv-cache-manager")


def test_what_the_text_does_not_say_is_named(configs: dict[str, Config]) -> None:
    config = configs["qwen3_0_6b"]
    with pytest.raises(InputError, match="the text does not say its value"):
        with_model(config, read_command("vllm", 'vllm serve "$MODEL"'), [])
    with pytest.raises(InputError, match="--kv-transfer-config: the text does not say"):
        launched(read_command("vllm", "vllm serve M --kv-transfer-config $(json 1)"), config, 1)
    with pytest.raises(InputError, match="write the number"):
        launched(read_command("vllm", "vllm serve M -tp $N"), config, 1)
