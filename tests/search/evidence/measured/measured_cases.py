"""A row of measurements in either schema."""

SILICON = {
    "row": "s1", "origin": "peer_own_runs", "model": "Qwen/Qwen3-235B-A22B-FP8", "system": "h200_sxm",
    "engine": "vllm", "engine_version": "0.17.0", "precision": "fp8", "mode": "agg", "isl": "1024", "osl": "1024",
    "concurrency": "16", "gpus": "8", "tp": "8", "pp": "1", "attn_dp": "1", "moe_tp": "1", "ep": "8",
    "layout_consistent": "True", "ttft_ms": "200", "tpot_ms": "12", "measured_on": "",
}  # fmt: skip
PUBLISHED = {
    "id": "e1", "source": "a table", "hw": "H100", "n_gpus": "2", "engine": "TensorRT-LLM", "engine_version": "1.0",
    "model": "Llama-3.1-70B", "weight_dtype": "fp8", "kv_dtype": "", "tp": "2", "pp": "1", "ep": "1", "attn_dp": "1",
    "spec_decode": "none", "disagg": "no", "isl": "512", "osl": "128", "concurrency": "64",
    "regime": "static_batch_offline", "ttft_ms_mean": "2000", "tpot_ms_mean": "20", "output_tok_s_total": "2000",
}  # fmt: skip
