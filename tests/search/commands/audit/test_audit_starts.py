"""``starts`` and ``why_not``: commands whose outcome follows from the engines' own checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.commands.audit.inputs import published_names
from search.commands.audit.main import main

Audited = Callable[..., dict[str, Any]]
H100 = "hardware=h100_sxm"


@pytest.fixture
def audited(in_folder: Callable[..., Any], tmp_path: Path) -> Audited:
    run = in_folder(main)

    def audit(engine: str, command: str, *words: str) -> dict[str, Any]:
        code, _, err = run(f"--{engine}", command, *words, "--json", "a.json")
        assert err == "", err
        (found,) = json.loads((tmp_path / "a.json").read_text())["audits"]
        return {**found, "code": code, "rules": [w["rule"] for w in found["why_not"]]}

    return audit


RULES = [
    # The default context is the model's, and one request of it must fit.
    ("vllm", "vllm serve Qwen/Qwen3-32B --gpu-memory-utilization 0.86", (H100,), "start.cache_holds_a_request"),
    ("vllm", "vllm serve Qwen/Qwen3-8B --max-model-len 100000", (H100,), "start.context_fits"),
    ("sglang", "sglang serve --model Qwen/Qwen3-8B --context-length 100000", (H100,), "start.context_fits"),
    # 17408 / 8 = 2176 is 17 blocks of 128, 25600 / 16 = 1600 are 12.5.
    ("vllm", "vllm serve Qwen/Qwen3-14B-FP8 -tp 8 -pp 1", (H100,), None),
    ("vllm", "vllm serve Qwen/Qwen3-32B-FP8 -tp 16", (H100,), "vllm.fp8_blocks_divide"),
    ("sglang", "sglang serve --model Qwen/Qwen3-32B-FP8 --tp 16", (H100,), "sglang.fp8_blocks_divide"),
    ("vllm", "vllm serve Qwen/Qwen3-8B --max-num-batched-tokens 100 --max-num-seqs 101", (H100,),
     "vllm.budget_holds_batch"),
    ("vllm", "vllm serve Qwen/Qwen3-8B --max-num-batched-tokens 100", (H100,), None),
    ("vllm", "vllm serve Qwen/Qwen3-8B --no-enable-chunked-prefill --max-num-batched-tokens 4096 --max-num-seqs 8",
     (H100,), "vllm.budget_holds_length"),
    ("vllm", "vllm serve Qwen/Qwen3-8B --no-enable-chunked-prefill", (H100,), None),
    ("vllm", "vllm serve Qwen/Qwen3-8B --enable-expert-parallel", (H100,), "vllm.experts_for_expert_parallel"),
    ("vllm", "vllm serve Qwen/Qwen3-8B -tp 8 -dcp 3", (H100,), "vllm.decode_context_parallel"),
    ("vllm", "vllm serve Qwen/Qwen3-8B -tp 8 --nnodes 3 --node-rank 0", (H100,), "vllm.nodes_divide"),
    ("vllm", "vllm serve Qwen/Qwen3-8B --kv-cache-memory-bytes 70G", (H100,), "start.memory_holds_all"),
    ("vllm", "vllm serve Qwen/Qwen3-8B --kv-cache-memory-bytes 2G", (H100,), "start.cache_holds_a_request"),
    ("vllm", "vllm serve Qwen/Qwen3-8B --num-gpu-blocks-override 100", (H100,), "start.cache_holds_a_request"),
    ("vllm", "vllm serve Qwen/Qwen3-8B --max-model-len auto --gpu-memory-utilization 0.35", (H100,), None),
    ("vllm", "vllm serve Qwen/Qwen3-8B -tp 3", (H100,), "vllm.heads_divide"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "command", "words", "rule"), RULES)
def test_rules_with_their_arithmetic(
    audited: Audited, engine: str, command: str, words: tuple[str, ...], rule: str | None
) -> None:
    found = audited(engine, command, *words)
    assert found["starts"] is (rule is None), found["why_not"]
    assert found["code"] == (0 if rule is None else 1)
    assert (rule is None and not found["rules"]) or rule in found["rules"]
    assert all(any(c.isdigit() for c in w["arithmetic"]) or "--" in w["arithmetic"] for w in found["why_not"])


def test_positions_grow_with_rope_scaling_or_a_word(audited: Audited) -> None:
    long = "vllm serve Qwen/Qwen3-8B --max-model-len 131072"
    yarn = '{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768}'
    assert audited("vllm", long, H100)["rules"] == ["start.context_fits"]
    assert audited("vllm", f"{long} --rope-scaling '{yarn}'", H100)["starts"] is True
    scaled = audited("vllm", f"{long} --hf-overrides '{{\"rope_parameters\": {yarn}}}'", H100)
    assert scaled["starts"] is True
    assert audited("vllm", f"VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 {long}", H100)["starts"] is True
    assert audited("vllm", f"VLLM_ALLOW_LONG_MAX_MODEL_LEN=0 {long}", H100)["starts"] is False


def capacity(found: dict[str, Any]) -> float:
    return float(found["figures"]["kv_capacity_tokens"]["derived"])


def test_caches_of_a_given_size(audited: Audited) -> None:
    """Qwen3-8B keeps 36 layers x 2 x 8 heads x 128 x 2 bytes a token: 147,456 bytes, half of it a rank at tp 2."""
    base = "vllm serve Qwen/Qwen3-8B -tp 2"
    assert capacity(audited("vllm", f"{base} --kv-cache-memory-bytes 4G", H100)) == pytest.approx(
        2**32 / 73728, rel=1e-3
    )
    assert capacity(audited("vllm", f"{base} --num-gpu-blocks-override 5000", H100)) == 80_000
    found = audited("sglang", "sglang serve --model Qwen/Qwen3-8B --tp 2 --max-total-tokens 50000", H100)
    assert capacity(found) == 50_000
    plain = audited("vllm", "vllm serve deepseek-ai/DeepSeek-V3 -tp 8", "hardware=h200_sxm")
    spread = audited("vllm", "vllm serve deepseek-ai/DeepSeek-V3 -tp 8 -dcp 8", "hardware=h200_sxm")
    assert capacity(spread) / capacity(plain) == pytest.approx(8.0, rel=0.01)
    assert not spread["command"]["not_judged"]


def test_the_interval_of_the_cache_is_around_it(audited: Audited) -> None:
    """By the command's own longest sequence and server; a cache of given size has none."""
    for command, words in [
        ("vllm serve Qwen/Qwen3-Coder-Next -tp 4 --max-num-seqs 64", (H100,)),
        ("vllm serve deepseek-ai/DeepSeek-V3 -tp 8 -dcp 8", ("hardware=h200_sxm",)),
        ("vllm serve Qwen/Qwen3-32B --cpu-offload-gb 40", ("hardware=l40s",)),
        ("vllm serve Qwen/Qwen3-32B --gpu-memory-utilization 0.86", (H100,)),
    ]:
        span = audited("vllm", command, *words)["figures"]["kv_capacity_tokens"]
        assert span["low"] < span["derived"] < span["high"], command
    for flag in ("--kv-cache-memory-bytes 4G", "--num-gpu-blocks-override 5000"):
        span = audited("vllm", f"vllm serve Qwen/Qwen3-8B {flag}", H100)["figures"]["kv_capacity_tokens"]
        assert span["low"] == span["derived"] == span["high"]


def test_weights_in_host_memory(audited: Audited) -> None:
    """65.5 GB of weights on 48 GB: only with some of them elsewhere."""
    assert audited("vllm", "vllm serve Qwen/Qwen3-32B", "hardware=l40s")["starts"] is False
    assert audited("vllm", "vllm serve Qwen/Qwen3-32B --cpu-offload-gb 40", "hardware=l40s")["starts"] is True


NOT_MODELLED = [
    ('--speculative-config \'{"method": "suffix"}\'', "tpot_s=1e-5", "not judged"),
    ("--enable-lora --lora-modules a=b", "kv_capacity_tokens=9e9", "not judged"),
    ("--enforce-eager", "tpot_s=1e-5", "not judged"),
    ("--enforce-eager", "weights_bytes_per_gpu=1e9", "fails"),
    ("", "tpot_s=1e-5", "fails"),
]


@pytest.mark.parametrize(("flags", "claim", "verdict"), NOT_MODELLED)
def test_what_a_flag_changes_is_not_judged(audited: Audited, flags: str, claim: str, verdict: str) -> None:
    found = audited("vllm", f"vllm serve Qwen/Qwen3-8B {flags}", H100, "--claim", claim)
    assert [c["verdict"] for c in found["claims"]] == [verdict]
    assert found["claims"][0]["impossible"] == (verdict == "fails" and claim.startswith("tpot"))
    assert found["code"] == (0 if verdict == "not judged" else 1)


@pytest.mark.parametrize(("factor", "side", "code"), [(1.0, "as predicted", 0), (0.2, "better", 1), (5.0, "worse", 1)])
def test_measurements_far_off_either_way(audited: Audited, factor: float, side: str, code: int) -> None:
    command = "vllm serve Qwen/Qwen3-8B --max-model-len 8192"
    derived = audited("vllm", command, H100, "--batch", "8")["figures"]["tpot_s"]["derived"]
    found = audited("vllm", command, H100, "--batch", "8", "--measured", f"tpot_s={derived * factor!r}")
    (one,) = found["measured"]
    assert (one["side"], one["flagged"], found["code"]) == (side, code == 1, code)


def test_nodes_of_a_command_cut_the_cluster(audited: Audited) -> None:
    near = audited("vllm", "vllm serve Qwen/Qwen3-32B -tp 8", H100)
    far = audited("vllm", "vllm serve Qwen/Qwen3-32B -tp 8 --nnodes 4 --node-rank 0", H100)
    assert any("cluster.tiers.0.size 2" in line for line in far["command"]["settings"])
    assert far["figures"]["tpot_s"]["derived"] > near["figures"]["tpot_s"]["derived"]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("Qwen/Qwen3-32B", ["Qwen/Qwen3-32B"]),
        ("/models/Qwen3-32B/", ["Qwen3-32B", "models"]),
        ("~/.cache/huggingface/hub/models--Qwen--Qwen3-32B/snapshots/0a1b/", ["Qwen/Qwen3-32B"]),
        ("/mnt/Qwen3-32B/main", ["main", "Qwen3-32B", "mnt"]),
        ("./Qwen3-32B", ["Qwen3-32B"]),
    ],
)
def test_folders_name_their_model(path: str, names: list[str]) -> None:
    assert published_names(path) == names


@pytest.mark.parametrize(
    ("name", "base", "weights"),
    [
        ("Qwen/Qwen3-14B-AWQ", "Qwen3-14B", "int4"),
        ("someone/Qwen3-8B-FP8-dynamic", "Qwen3-8B", "fp8"),
        ("someone/Qwen3-8B-GPTQ-Int8", "Qwen3-8B", "int8"),
        ("Qwen/Qwen3.5-9B-FP8", "Qwen3.5-9B", "fp8_block"),
        ("zai-org/GLM-4.6-FP8", "GLM-4.6", "fp8"),
        ("someone/QwQ-32B-Preview-0524-AWQ", "Qwen2.5-32B", "int4"),
        ("/models/SmolLM3-3B-NVFP4/", "SmolLM3-3B", "nvfp4"),
    ],
)
def test_a_name_says_how_weights_are_stored(audited: Audited, name: str, base: str, weights: str) -> None:
    """Where the catalog has the model and not its quantised form."""
    found, plain = audited("vllm", f"vllm serve {name}", H100), audited("vllm", f"vllm serve {base}", H100)
    assert any(f"weights={weights} as" in note for note in found["notes"])
    bits = {"int4": 4, "nvfp4": 4}.get(weights, 8)
    stored, whole = (a["figures"]["weights_bytes_per_gpu"]["derived"] for a in (found, plain))
    assert bits / 16 < stored / whole < bits / 16 + 0.25


def test_states_of_recurrent_layers_take_blocks(audited: Audited) -> None:
    """The default of 1024 sequences is more than a card has blocks for; what its log says starts."""
    command = "vllm serve Qwen/Qwen3-Coder-Next -tp 4 --max-model-len 32768 --gpu-memory-utilization 0.75"
    found = audited("vllm", f"{command} --max-num-seqs 8000 --max-num-batched-tokens 8192", H100)
    assert (found["starts"], found["rules"], found["code"]) == (False, ["vllm.state_blocks"], 1)
    assert audited("vllm", f"{command} --max-num-seqs 64", H100)["starts"] is True


TUNED = "--model openai/gpt-oss-120b --gpu-memory-utilization 0.95 --max-num-batched-tokens 1024"


def test_the_version_that_a_command_names(audited: Audited) -> None:
    """vLLM 0.11 left 1.71 GiB on one H100 (vLLM issue 27508); the sampler and Marlin's padding take less since."""
    now = audited("vllm", f"docker run vllm/vllm-openai:latest {TUNED}", H100)
    then = audited("vllm", f"docker run vllm/vllm-openai:v0.11.0 {TUNED}", H100)
    assert then["starts"] is False and then["rules"] == ["start.cache_holds_a_request"]
    assert now["starts"] is not False
    told = audited("vllm", f"docker run vllm/vllm-openai:v0.30.0 {TUNED}", H100, "engine.version=0.11.0")
    assert told["starts"] is False
    assert audited("vllm", f"pip install vllm==0.11.0 && vllm serve {TUNED}", H100)["starts"] is False
