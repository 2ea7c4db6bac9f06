"""What the engines' own parsers take, written down from their sources and read here by a parser of its own.

vLLM 0.33.0: vllm/engine/arg_utils.py, entrypoints/common/cli_args.py, config/{cache,model,parallel,scheduler}.py.
SGLang 0.5.23: sglang/srt/arg_groups/fields/{model,parallel,schedule,exec_}.py, arg_groups/parallel_hook.py.
TensorRT-LLM 1.x: tensorrt_llm/llmapi/llm_args.py, mapping.py, commands/serve.py.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

Table = dict[str, Any]
SWITCH = "switch"

VLLM: Table = {
    "--tensor-parallel-size": int,
    "--pipeline-parallel-size": int,
    "--data-parallel-size": int,
    "--prefill-context-parallel-size": int,
    "--decode-context-parallel-size": int,
    "--enable-expert-parallel": SWITCH,
    "--max-num-seqs": int,
    "--max-cudagraph-capture-size": int,
    "--stream-interval": int,
    "--max-num-batched-tokens": int,
    "--gpu-memory-utilization": float,
    "--max-model-len": int,
    "--dtype": ("auto", "half", "float16", "bfloat16", "float", "float32"),
    "--kv-cache-dtype": ("auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "nvfp4"),
    "--quantization": ("fp8",),
    "--host": str,
    "--port": int,
    "--nnodes": int,
    "--node-rank": int,
    "--master-addr": str,
    "--master-port": int,
    "--headless": SWITCH,
}
SGLANG: Table = {
    "--model-path": str,
    "--tp-size": int,
    "--pp-size": int,
    "--attn-dp-size": int,
    "--dp-size": int,
    "--ep-size": int,
    "--attn-cp-size": int,
    "--enable-prefill-cp": SWITCH,
    "--cp-strategy": ("zigzag", "interleave"),
    "--moe-dense-tp-size": int,
    "--max-running-requests": int,
    "--stream-interval": int,
    "--scheduler-recv-interval": int,
    "--chunked-prefill-size": int,
    "--max-prefill-tokens": int,
    "--cuda-graph-max-bs-decode": int,
    "--cuda-graph-max-bs-prefill": int,
    "--disable-prefill-cuda-graph": SWITCH,
    "--mem-fraction-static": float,
    "--context-length": int,
    "--dtype": ("auto", "half", "float16", "bfloat16", "float", "float32"),
    "--kv-cache-dtype": ("auto", "fp8_e5m2", "fp8_e4m3", "mxfp8", "bf16", "bfloat16", "nvfp4"),
    "--quantization": ("fp8",),
    "--host": str,
    "--port": int,
    "--nnodes": int,
    "--node-rank": int,
    "--dist-init-addr": str,
}
TRTLLM_SERVE: Table = {
    "--backend": ("pytorch", "tensorrt", "_autodeploy"),
    "--extra_llm_api_options": str,
    "--host": str,
    "--port": int,
}
TRTLLM_KEYS = {
    "tensor_parallel_size": int,
    "pipeline_parallel_size": int,
    "context_parallel_size": int,
    "moe_tensor_parallel_size": int,
    "moe_expert_parallel_size": int,
    "enable_attention_dp": bool,
    "gpus_per_node": int,
    "max_batch_size": int,
    "max_num_tokens": int,
    "max_seq_len": int,
    "enable_chunked_prefill": bool,
    "stream_interval": int,
    "batch_wait_timeout_iters": int,
    "batch_wait_max_tokens_ratio": float,
    "dtype": str,
    "disable_overlap_scheduler": bool,
    "cuda_graph_config": {"max_batch_size": int, "enable_padding": bool},
    "moe_config": {"backend": ("AUTO", "CUTLASS", "CUTEDSL", "WIDEEP", "TRTLLM", "DEEPGEMM", "VANILLA", "TRITON")},
    "torch_compile_config": {"enable_piecewise_cuda_graph": bool, "capture_num_tokens": list},
    "kv_cache_config": {
        "dtype": str, "free_gpu_memory_fraction": float, "tokens_per_block": int, "enable_block_reuse": bool,
        "enable_partial_reuse": bool,
    },
    "cp_config": {"cp_type": ("ULYSSES", "STAR", "RING", "HELIX"), "tokens_per_block": int},
    "cache_transceiver_config": {
        "backend": ("DEFAULT", "UCX", "NIXL", "MOONCAKE", "MPI"), "max_tokens_in_buffer": int,
    },
    "speculative_config": dict,
}  # fmt: skip
# By decoding_type: the keys, all of which have to be there.
TRTLLM_DRAFTS = {
    "MTP": {"num_nextn_predict_layers": int},
    "Eagle": {"max_draft_len": int, "speculative_model_dir": str},
    "NGram": {"max_draft_len": int},
}
TRTLLM_ROUTER = {
    "hostname": str, "port": int, "backend": str,
    "context_servers": {"num_instances": int, "urls": list}, "generation_servers": {"num_instances": int, "urls": list},
}  # fmt: skip


EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


@dataclass(frozen=True)
class Model:
    """What the checks ask of a config.json. ``block``: the experts' weights are FP8 in blocks of 128."""

    heads: int
    kv_heads: int
    layers: int
    positions: int
    experts: int = 0
    inner: int = 0
    block: bool = False

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Model:
        return cls(
            heads=fields["num_attention_heads"],
            kv_heads=fields["num_key_value_heads"],
            layers=fields["num_hidden_layers"],
            positions=fields["max_position_embeddings"],
            experts=next((fields[name] for name in EXPERTS if fields.get(name)), 0),
            inner=fields.get("moe_intermediate_size") or fields["intermediate_size"],
            block="weight_block_size" in (fields.get("quantization_config") or {}),
        )


class Refused(Exception):
    """The parser's or a check's complaint."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise Refused(message)


def parse(table: Table, argv: list[str], positional: bool = False) -> argparse.Namespace:
    """Flags exactly as tabled, no abbreviations."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    if positional:
        parser.add_argument("model")
    for flag, kind in table.items():
        if kind == SWITCH:
            parser.add_argument(flag, action="store_true")
        elif isinstance(kind, tuple):
            parser.add_argument(flag, choices=kind)
        else:
            parser.add_argument(flag, type=kind)
    return parser.parse_args(argv)


def vllm(argv: list[str], model: Model) -> argparse.Namespace:
    """``argv`` after ``vllm serve``; with the number of accelerators as ``world``."""
    n = parse(VLLM, argv, positional=True)
    tp, pp = n.tensor_parallel_size or 1, n.pipeline_parallel_size or 1
    dp, pcp = n.data_parallel_size or 1, n.prefill_context_parallel_size or 1
    n.world = tp * pp * dp * pcp  # config/parallel.py: world_size_across_dp
    need(model.heads % tp == 0, "attention heads must be divisible by tensor parallel size")
    need(tp % model.kv_heads == 0 if tp >= model.kv_heads else model.kv_heads % tp == 0, "KV heads")
    need(pp <= model.layers, "pipeline stages without layers")
    need(model.experts or not n.enable_expert_parallel, "expert parallel is only for mixtures of experts")
    need(model.experts or dp == 1, "data parallel replicas of a dense model are independent servers")
    need(n.enable_expert_parallel or model.inner % (tp * dp * pcp) == 0 or not model.experts, "experts split unevenly")
    need(pcp == 1, "prefill context parallel with grouped-query attention")
    need(tp % (n.decode_context_parallel_size or 1) == 0, "tp_size must be divisible by dcp_size")
    need(n.max_num_batched_tokens >= n.max_num_seqs, "max_num_batched_tokens below max_num_seqs")
    graphs = n.max_cudagraph_capture_size  # config/vllm.py truncates it to a size of its list with a warning
    need(not graphs or graphs % 16 == 0 or graphs == n.max_num_batched_tokens, "max_cudagraph_capture_size truncated")
    need(0 < n.gpu_memory_utilization <= 1, "gpu_memory_utilization")
    need(n.max_model_len <= model.positions, "max_model_len beyond the model's")
    nodes = n.nnodes or 1
    need(n.world % nodes == 0 and n.world // nodes <= 8, "nodes")
    need(nodes == 1 or (n.master_addr and 0 <= n.node_rank < nodes), "node rank")
    need(n.headless == bool(n.node_rank), "the API server is on the first node alone")
    return n


def sglang(argv: list[str], model: Model) -> argparse.Namespace:
    """``argv`` after ``sglang.launch_server``."""
    n = parse(SGLANG, argv)
    tp, pp, ep = n.tp_size or 1, n.pp_size or 1, n.ep_size or 1
    dp, cp = n.attn_dp_size or 1, n.attn_cp_size or 1
    n.world = tp * pp
    need(dp == 1 or (n.dp_size or 1) == 1, "replicas combined with attention data parallelism")
    need(tp % (dp * cp) == 0, "tp_size must be divisible by attn_dp_size * attn_cp_size")
    attn_tp = tp // (dp * cp)
    need(model.heads % attn_tp == 0, "heads")
    need(attn_tp % model.kv_heads == 0 if attn_tp >= model.kv_heads else model.kv_heads % attn_tp == 0, "KV heads")
    need(cp == 1 or (n.enable_prefill_cp and n.cp_strategy and attn_tp == 1 and dp == 1), "context parallelism")
    need(tp % ep == 0 and (model.experts % ep == 0 if model.experts else ep == 1), "experts by ep_size")
    need(not (model.experts and model.block) or model.inner // (tp // ep) % 128 == 0, "FP8 blocks")
    need(pp <= model.layers, "pipeline stages without layers")
    need(n.chunked_prefill_size % dp == 0, "chunked prefill size is divided by attn_dp_size")
    need(n.max_running_requests >= dp, "max_running_requests is divided by attn_dp_size")
    need(0 < n.mem_fraction_static < 1, "mem_fraction_static")
    need(n.context_length <= model.positions, "context_length beyond the model's")
    nodes = n.nnodes or 1
    need(n.world % nodes == 0 and n.world // nodes <= 8, "nodes")
    need(nodes == 1 or (n.dist_init_addr and 0 <= n.node_rank < nodes), "node rank")
    return n


def trtllm(options: dict[str, Any], model: Model) -> argparse.Namespace:
    """The content of ``--extra_llm_api_options``."""
    keys(options, TRTLLM_KEYS)
    n = argparse.Namespace(**options)
    cp = options.get("context_parallel_size", 1)
    tp, pp = n.tensor_parallel_size, n.pipeline_parallel_size
    n.world = tp * pp * cp  # mapping.py: world_size must equal tp_size * pp_size * cp_size
    moe_tp, ep = options.get("moe_tensor_parallel_size"), options.get("moe_expert_parallel_size")
    helix = options.get("cp_config", {}).get("cp_type") == "HELIX"  # deals experts over its ranks too
    if moe_tp or ep:
        need(moe_tp * ep == tp * (cp if helix else 1), "tp_size must equal moe_tp_size * moe_ep_size")
        need(model.experts and model.experts % ep == 0, "experts by moe_ep_size")
        need(cp == 1 or helix, "CP does not support MoE tp/ep")
    attn_tp = 1 if n.enable_attention_dp else tp * cp
    need(model.heads % attn_tp == 0, "heads")
    need(attn_tp % model.kv_heads == 0 if attn_tp >= model.kv_heads else model.kv_heads % attn_tp == 0, "KV heads")
    need(pp <= model.layers, "pipeline stages without layers")
    need(n.max_num_tokens >= n.max_batch_size, "max_num_tokens below max_batch_size")
    need(n.max_seq_len <= model.positions, "max_seq_len beyond the model's")
    need(0 < n.kv_cache_config["free_gpu_memory_fraction"] < 1, "free_gpu_memory_fraction")
    need(n.kv_cache_config["dtype"] in ("auto", "fp8", "nvfp4"), "kv_cache_config.dtype")
    need(n.world <= 8 or "gpus_per_node" in options, "several nodes need gpus_per_node")
    return n


def trtllm_ends(prefill: dict[str, Any], decode: dict[str, Any]) -> None:
    """Servers between which caches travel (cpp/tensorrt_llm/batch_manager/cacheFormatter.cpp and mlaCacheFormatter.cpp
    inquireSupport; llm_args.py validate_helix_tokens_per_block)."""
    for told in (prefill, decode):
        need("backend" in told["cache_transceiver_config"], "no cache transceiver")
        drafts = told.get("speculative_config", {"decoding_type": "NGram", "max_draft_len": 1})
        known = TRTLLM_DRAFTS[drafts["decoding_type"]]
        keys({k: v for k, v in drafts.items() if k != "decoding_type"}, known)
        need(known.keys() <= drafts.keys(), "drafts half told")
        helix = told.get("cp_config", {}).get("cp_type") == "HELIX"
        need(not helix or told["cp_config"]["tokens_per_block"] == _block(told), "Helix deals other blocks")
        need(not helix or not told["enable_chunked_prefill"], "Helix and chunks")
    need(_block(prefill) == _block(decode), "only support same tokens per block")
    need(prefill["kv_cache_config"]["dtype"] == decode["kv_cache_config"]["dtype"], "only support same data type")
    need(_layers(prefill) == _layers(decode), "only support same number of layers")
    need(1 in (told.get("context_parallel_size", 1) for told in (prefill, decode)), "Helix CP is decode-only")


def _block(told: dict[str, Any]) -> int:
    return told["kv_cache_config"].get("tokens_per_block", 32)  # KvCacheConfig's default


def _layers(told: dict[str, Any]) -> str | None:
    """What adds layers with a cache to the model's own."""
    kind = told.get("speculative_config", {}).get("decoding_type")
    return None if kind == "NGram" else kind


def trtllm_router(told: dict[str, Any]) -> dict[str, list[str]]:
    """The file of ``trtllm-serve disaggregated`` (tensorrt_llm/llmapi/disagg_utils.py extract_disagg_cfg); addresses by
    pool."""
    keys(told, TRTLLM_ROUTER)
    found = {}
    for name in ("context_servers", "generation_servers"):
        urls = told[name]["urls"]
        need(len(urls) == told[name]["num_instances"] > 0, "Number of hostnames should be equal to the instances")
        need(len(set(urls)) == len(urls), "Duplicated server config")
        for url in urls:
            host, port = url.split(":")
            need(host and 0 < int(port) < 65536, f"{url} is no address")
        found[name] = urls
    return found


def keys(options: dict[str, Any], known: dict[str, Any]) -> None:
    """No key that is not tabled, and values of the tabled type or among the tabled ones."""
    for key, value in options.items():
        need(key in known, f"unknown key {key}")
        if isinstance(known[key], dict):
            keys(value, known[key])
        elif isinstance(known[key], tuple):
            need(value in known[key], f"{key} = {value!r}")
        else:
            need(type(value) is known[key], f"{key} = {value!r}")


def need(kept: object, message: str) -> None:
    if not kept:
        raise Refused(message)
