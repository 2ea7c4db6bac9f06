"""The tables and checks themselves: what they take and refuse, as engine_rules and sources have it."""

import shlex

import pytest
from engine_tables import Model, Refused, sglang, trtllm, vllm

QWEN = Model(heads=64, kv_heads=4, layers=94, positions=40960, experts=128, inner=1536, block=True)
DENSE = Model(heads=64, kv_heads=8, layers=80, positions=131072, inner=28672)
VLLM_REST = "--max-num-seqs 64 --max-num-batched-tokens 8192 --gpu-memory-utilization 0.9 --max-model-len 4160"
SGLANG_REST = "--max-running-requests 64 --chunked-prefill-size 8192 --mem-fraction-static 0.85 --context-length 4160"

VLLM = [
    (QWEN, "--tensor-parallel-size 8", None),
    (QWEN, "--tensor-parallel-size 4 --data-parallel-size 2 --enable-expert-parallel", None),
    (QWEN, "--tensor-parallel-size 8 --pipeline-parallel-size 2 --nnodes 2 --node-rank 0 --master-addr a", None),
    (QWEN, "--tensor-parallel-size 8 --nnodes 2 --node-rank 1 --master-addr a --headless", None),
    (QWEN, "--tensor-parallel-size 8 --expert-parallel-size 4", "unrecognized"),
    (QWEN, "--tensor-parallel-size 8 --ep-size 8", "unrecognized"),
    (QWEN, "--tensor-parallel-size 3", "attention heads"),
    (QWEN, "--tensor-parallel-size 4 --prefill-context-parallel-size 2", "context parallel"),
    (QWEN, "--tensor-parallel-size 4 --decode-context-parallel-size 3", "dcp_size"),
    (QWEN, "--tensor-parallel-size 8 --nnodes 2", "node rank"),
    (QWEN, "--tensor-parallel-size 16", "nodes"),
    (QWEN, "--tensor-parallel-size 8 --nnodes 2 --node-rank 1 --master-addr a", "API server"),
    (QWEN, "--tensor-parallel-size 8 --kv-cache-dtype int3", "invalid choice"),
    (QWEN, "--tensor-parallel-size 8 --max-num-seqs 9000", "max_num_batched_tokens"),
    (QWEN, "--tensor-parallel-size 8 --gpu-memory-utilization 1.2", "utilization"),
    (QWEN, "--tensor-parallel-size 8 --max-model-len 50000", "max_model_len"),
    (DENSE, "--tensor-parallel-size 8", None),
    (DENSE, "--tensor-parallel-size 8 --enable-expert-parallel", "mixtures of experts"),
    (DENSE, "--tensor-parallel-size 4 --data-parallel-size 2", "independent servers"),
]
SGLANG = [
    (QWEN, "--tp-size 8 --ep-size 8", None),
    (QWEN, "--tp-size 8 --ep-size 2", None),
    (QWEN, "--tp-size 8 --attn-dp-size 2 --ep-size 4", None),
    (QWEN, "--tp-size 4", None),
    (QWEN, "--tp-size 2 --ep-size 2 --attn-cp-size 2 --enable-prefill-cp --cp-strategy zigzag", None),
    (QWEN, "--tp-size 8", "FP8 blocks"),
    (QWEN, "--tp-size 8 --ep-size 8 --enable-expert-parallel", "unrecognized"),
    (QWEN, "--tp-size 8 --ep-size 3", "ep_size"),
    (QWEN, "--tp-size 8 --attn-dp-size 3 --ep-size 8", "attn_dp_size"),
    (QWEN, "--tp-size 8 --attn-dp-size 2 --dp-size 2 --ep-size 8", "replicas"),
    (QWEN, "--tp-size 8 --attn-cp-size 2 --ep-size 8", "context parallelism"),
    (QWEN, "--tp-size 8 --ep-size 8 --mem-fraction-static 1.0", "mem_fraction"),
    (QWEN, "--tp-size 8 --attn-dp-size 8 --ep-size 8 --max-running-requests 4", "max_running"),
    (DENSE, "--tp-size 8", None),
    (DENSE, "--tp-size 8 --ep-size 2", "ep_size"),
]
TRTLLM_REST = {
    "pipeline_parallel_size": 1, "max_batch_size": 64, "max_num_tokens": 8192, "max_seq_len": 4160,
    "enable_attention_dp": False, "kv_cache_config": {"dtype": "fp8", "free_gpu_memory_fraction": 0.9},
}  # fmt: skip
TRTLLM = [
    (QWEN, {"tensor_parallel_size": 8, "moe_tensor_parallel_size": 1, "moe_expert_parallel_size": 8}, None),
    (QWEN, {"tensor_parallel_size": 8, "enable_attention_dp": True}, None),
    (QWEN, {"tensor_parallel_size": 8, "moe_tensor_parallel_size": 2, "moe_expert_parallel_size": 8}, "moe_tp_size"),
    (QWEN, {"tensor_parallel_size": 8, "attention_dp_size": 2}, "unknown key"),
    (QWEN, {"tensor_parallel_size": "8"}, "tensor_parallel_size"),
    (QWEN, {"tensor_parallel_size": 8, "max_batch_size": 9000}, "max_num_tokens"),
    (QWEN, {"tensor_parallel_size": 16}, "gpus_per_node"),
    (DENSE, {"tensor_parallel_size": 8}, None),
    (DENSE, {"tensor_parallel_size": 8, "moe_tensor_parallel_size": 8, "moe_expert_parallel_size": 1}, "experts"),
]


@pytest.mark.parametrize(("model", "flags", "complaint"), VLLM)
def test_vllm(model, flags, complaint):
    expect(lambda: vllm(shlex.split(f"m {VLLM_REST} {flags}"), model), complaint)


@pytest.mark.parametrize(("model", "flags", "complaint"), SGLANG)
def test_sglang(model, flags, complaint):
    expect(lambda: sglang(shlex.split(f"--model-path m {SGLANG_REST} {flags}"), model), complaint)


@pytest.mark.parametrize(("model", "options", "complaint"), TRTLLM)
def test_trtllm(model, options, complaint):
    expect(lambda: trtllm({**TRTLLM_REST, **options}, model), complaint)


def expect(check, complaint):
    if complaint is None:
        check()
        return
    with pytest.raises(Refused, match=complaint):
        check()
