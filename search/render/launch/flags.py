"""How each engine spells what a plan says: one name here, its flags there. Data alone; both directions read it.

``search.render.launch`` writes these flags, ``search.commands.audit`` reads them back. The first spelling is the one
written. What a flag counts is not always the degree of the same letter (docs/words.md): ``counts`` says in terms of the
degrees what its number is. SGLang's ``--tp``, ``--pp`` and ``--dp`` are read though 0.5.23 has them as abbreviations at
most.

Sources: vLLM 0.33.0 ``vllm/engine/arg_utils.py``; SGLang 0.5.23 ``sglang/srt/arg_groups/fields/`` parallel.py,
schedule.py, model.py and exec_.py; TensorRT-LLM 1.2 ``tensorrt_llm/commands/serve.py`` and ``llmapi/llm_args.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """``spellings`` on the command line, the first is written; ``counts`` the value in terms of a plan's degrees;
    ``switch``: the flag takes no value."""

    spellings: tuple[str, ...]
    counts: str
    switch: bool = False

    @property
    def name(self) -> str:
        return self.spellings[0]


@dataclass(frozen=True)
class Key:
    """A key of TensorRT-LLM's YAML, dotted; ``options`` of ``trtllm-serve`` that say the same."""

    name: str
    counts: str
    options: tuple[str, ...] = ()


VLLM = {
    "tp": Flag(("--tensor-parallel-size", "-tp"), "tp"),
    "pp": Flag(("--pipeline-parallel-size", "-pp"), "pp"),
    "attn_dp": Flag(("--data-parallel-size", "-dp"), "attn_dp"),
    "sp": Flag(("--prefill-context-parallel-size", "-pcp"), "sp"),
    "ep": Flag(("--enable-expert-parallel", "-ep"), "ep = tp * sp * attn_dp with it, ep = 1 without", switch=True),
    "decode_cp": Flag(("--decode-context-parallel-size", "-dcp"), "no axis of ours: 1"),
    "batch": Flag(("--max-num-seqs",), "ceil(batch / attn_dp)"),
    "tokens": Flag(("--max-num-batched-tokens",), "new tokens a pass of an attention group"),
    "memory": Flag(("--gpu-memory-utilization",), "limits.memory_fraction"),
    "cache_bytes": Flag(("--kv-cache-memory-bytes", "--kv-cache-memory"), "bytes of the cache, whatever the share"),
    "blocks": Flag(("--num-gpu-blocks-override",), "blocks of the cache, whatever the share"),
    "length": Flag(("--max-model-len",), "tokens of a sequence"),
    "block": Flag(("--block-size",), "engine.block_tokens"),
    "graphs": Flag(("--max-cudagraph-capture-size",), "engine.captured_tokens, ceil(batch / attn_dp) at least"),
    "stream": Flag(("--stream-interval",), "engine.stream_interval"),
    "dtype": Flag(("--dtype",), "of what is not quantised"),
    "weights": Flag(("--quantization", "-q"), "weight format that the checkpoint does not have"),
    "text_only": Flag(("--language-model-only",), "model.text_only", switch=True),
    "kv_cache": Flag(("--kv-cache-dtype",), "cache format"),
    "nodes": Flag(("--nnodes", "-n"), "nodes of one attention group and its pipeline"),
    "node_rank": Flag(("--node-rank", "-r"), "0 to nodes - 1"),
    "master": Flag(("--master-addr",), "address of node 0"),
    "master_port": Flag(("--master-port",), "port on node 0"),
    "local_groups": Flag(("--data-parallel-size-local", "-dpl"), "attention groups on this node"),
    "first_group": Flag(("--data-parallel-start-rank", "-dpr"), "first attention group on this node"),
    "group_address": Flag(("--data-parallel-address", "-dpa"), "address of node 0"),
    "group_port": Flag(("--data-parallel-rpc-port", "-dpp"), "port on node 0"),
    "headless": Flag(("--headless",), "a node without an API server", switch=True),
}

SGLANG = {
    "model": Flag(("--model-path", "--model"), "folder or name of the checkpoint"),
    "width": Flag(("--tp-size", "--tensor-parallel-size", "--tp"), "stage width = tp * sp * attn_dp"),
    "pp": Flag(("--pp-size", "--pipeline-parallel-size", "--pp"), "pp"),
    "attn_dp": Flag(("--attn-dp-size", "--attention-data-parallel-size"), "attn_dp"),
    "sp": Flag(("--attn-cp-size", "--attention-context-parallel-size"), "sp"),
    "ep": Flag(("--ep-size", "--expert-parallel-size", "--ep"), "ep"),
    "dp": Flag(("--dp-size", "--data-parallel-size", "--dp"), "dp, or attn_dp where --enable-dp-attention stands too"),
    "old_attn_dp": Flag(("--enable-dp-attention",), "--dp-size means attn_dp (deprecated)", switch=True),
    "dense_tp": Flag(("--moe-dense-tp-size",), "1: dense FFNs split over tp only; unset: over the stage"),
    "moe_dp": Flag(("--moe-dp-size", "--moe-data-parallel-size"), "no axis of ours: 1"),
    "decode_cp": Flag(("--dcp-size", "--decode-context-parallel-size"), "no axis of ours: 1"),
    "batch": Flag(("--max-running-requests",), "batch"),
    "tokens": Flag(("--chunked-prefill-size",), "new tokens a pass, times attn_dp"),
    "prefill_tokens": Flag(("--max-prefill-tokens",), "new tokens a prefill pass of an attention group"),
    "prefill_cp": Flag(("--enable-prefill-cp",), "given where sp > 1", switch=True),
    "prefill_cp_order": Flag(("--cp-strategy",), "which tokens a rank of sp takes"),
    "graphs": Flag(("--cuda-graph-max-bs-decode", "--cuda-graph-max-bs"), "ceil(batch / attn_dp)"),
    "prefill_graphs": Flag(
        ("--cuda-graph-max-bs-prefill", "--piecewise-cuda-graph-max-tokens"), "engine.captured_tokens"
    ),
    "no_prefill_graphs": Flag(
        ("--disable-prefill-cuda-graph", "--disable-piecewise-cuda-graph"), "engine.captured_tokens 0", switch=True
    ),
    "memory": Flag(("--mem-fraction-static",), "share of the memory for weights and cache"),
    "cache_tokens": Flag(("--max-total-tokens",), "tokens that the cache holds at most"),
    "length": Flag(("--context-length",), "tokens of a sequence"),
    "block": Flag(("--page-size",), "engine.block_tokens"),
    "stream": Flag(("--stream-interval",), "engine.stream_interval"),
    "hold": Flag(("--scheduler-recv-interval",), "twice engine.hold_steps: a prompt waits for half of it"),
    "dtype": Flag(("--dtype",), "of what is not quantised"),
    "weights": Flag(("--quantization",), "weight format that the checkpoint does not have"),
    "kv_cache": Flag(("--kv-cache-dtype",), "cache format"),
    "nodes": Flag(("--nnodes",), "nodes of a replica"),
    "node_rank": Flag(("--node-rank",), "0 to nodes - 1"),
    "master": Flag(("--dist-init-addr", "--nccl-init-addr"), "address:port of node 0"),
}

TRTLLM = {
    "width": Key("tensor_parallel_size", "stage width / sp", ("--tensor_parallel_size", "--tp_size")),
    "pp": Key("pipeline_parallel_size", "pp", ("--pipeline_parallel_size", "--pp_size")),
    "sp": Key("context_parallel_size", "sp", ("--context_parallel_size", "--cp_size")),
    "ep": Key("moe_expert_parallel_size", "ep", ("--moe_expert_parallel_size", "--ep_size")),
    "moe_tp": Key("moe_tensor_parallel_size", "moe_tp"),
    "attn_dp": Key("enable_attention_dp", "attn_dp = stage width / sp where true, else 1"),
    "nodes": Key("gpus_per_node", "accelerators of a node", ("--gpus_per_node",)),
    "batch": Key("max_batch_size", "ceil(batch / attn_dp)", ("--max_batch_size",)),
    "tokens": Key("max_num_tokens", "new tokens a pass of an attention group", ("--max_num_tokens",)),
    "chunks": Key("enable_chunked_prefill", "true: a prompt may take several passes"),
    "graphs": Key("cuda_graph_config.max_batch_size", "ceil(batch / attn_dp)"),
    "padding": Key("cuda_graph_config.enable_padding", "true: a batch runs in the next larger graph"),
    "dtype": Key("dtype", "of what is not quantised"),
    "length": Key("max_seq_len", "tokens of a sequence", ("--max_seq_len",)),
    "memory": Key(
        "kv_cache_config.free_gpu_memory_fraction",
        "share for the cache of what weights and the largest pass leave",
        ("--free_gpu_memory_fraction", "--kv_cache_free_gpu_memory_fraction"),
    ),
    "block": Key("kv_cache_config.tokens_per_block", "engine.block_tokens"),
    "stream": Key("stream_interval", "engine.stream_interval"),
    "hold": Key("batch_wait_timeout_iters", "engine.hold_steps"),
    "hold_full": Key("batch_wait_max_tokens_ratio", "share of a pass at which prompts are held no longer"),
    "kv_cache": Key("kv_cache_config.dtype", "cache format"),
    "prefill_graphs": Key("torch_compile_config.enable_piecewise_cuda_graph", "true where engine.captured_tokens is"),
    "prefill_sizes": Key("torch_compile_config.capture_num_tokens", "sizes up to engine.captured_tokens"),
    "experts": Key("moe_config.backend", "engine.expert_kernels: TRTLLM where generated"),
}

SERVERS = {
    "vllm": ("vllm", "serve"),
    "sglang": ("python3", "-m", "sglang.launch_server"),
    "trtllm": ("trtllm-serve",),
}
