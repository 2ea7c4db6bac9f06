"""Flags of a launch command beside those that ``search/render/launch/flags.py`` reads: what may be passed over, and
what would change the figures though the model does not know it. A flag in neither is named as one that may.

Sources: vLLM 0.33.0 ``vllm/engine/arg_utils.py`` and ``vllm/entrypoints/common/cli_args.py``; SGLang 0.5.23
``sglang/srt/arg_groups/fields/{serving,observability,model,parallel,device}.py``.
"""

from __future__ import annotations

# Flags of Dynamo's workers beside the engine's own (`components/src/dynamo/common`).
_DYNAMO = (
    "--dyn-tool-call-parser --dyn-reasoning-parser --request-plane --event-plane --discovery-backend --store-kv "
    "--endpoint --namespace --custom-jinja-template --dump-config-to --dyn-endpoint-types"
)
# Naming, parsing, logging, security, loading: no step gets longer or shorter by them.
HARMLESS = {
    "vllm": (
        "--host --port --uds --api-key --served-model-name --root-path --middleware --allow-credentials "
        "--allowed-origins --allowed-methods --allowed-headers --ssl-keyfile --ssl-certfile --ssl-ca-certs "
        "--ssl-cert-reqs --ssl-ciphers --enable-ssl-refresh --uvicorn-log-level --disable-uvicorn-access-log "
        "--disable-access-log-for-endpoints --log-level --log-config-file --logging-config --disable-log-stats "
        "--disable-log-requests --enable-log-requests --enable-log-outputs --enable-log-deltas --max-log-len "
        "--aggregate-engine-logging --otlp-traces-endpoint --show-hidden-metrics-for-version --kv-cache-metrics "
        "--kv-cache-metrics-sample --cudagraph-metrics --enable-mfu-metrics --enable-server-load-tracking "
        "--enable-per-request-metrics --enable-request-id-headers --disable-fastapi-docs --enable-offline-docs "
        "--tokenizer --tokenizer-mode --tokenizer-revision --revision --code-revision --hf-token --hf-config-path "
        "--trust-remote-code --download-dir --load-format --config-format --model-loader-extra-config "
        "--ignore-patterns --safetensors-load-strategy --use-tqdm-on-load --generation-config "
        "--override-generation-config --chat-template --chat-template-content-format --default-chat-template-kwargs "
        "--trust-request-chat-template --response-role --reasoning-parser --reasoning-parser-plugin --reasoning-config "
        "--tool-call-parser --tool-parser-plugin --enable-auto-tool-choice --exclude-tools-when-tool-choice-none "
        "--tool-server --return-tokens-as-token-ids --enable-prompt-tokens-details --enable-force-include-usage "
        "--enable-tokenizer-info-endpoint --seed --max-logprobs --logprobs-mode "
        "--mm-processor-kwargs --media-io-kwargs --allowed-local-media-path --allowed-media-domains "
        "--structured-outputs-config --distributed-executor-backend --distributed-timeout-seconds "
        "--max-parallel-loading-workers --ray-workers-use-nsight --data-parallel-backend "
        "--data-parallel-external-lb --data-parallel-hybrid-lb --data-parallel-rank --api-server-count "
        "--shutdown-timeout --fail-on-environ-validation --enable-sleep-mode --runner --model-impl "
        "--max-num-queued-reqs --max-num-queued-tokens --skip-mm-profiling --swap-space "
        "--disable-frontend-multiprocessing --use-v2-block-manager --max-seq-len-to-capture --guided-decoding-backend "
        "--worker-use-ray --engine-use-ray --task --enable-reasoning --max-context-len-to-capture "
        "--preemption-mode --tokenizer-pool-size --disable-logprobs-during-spec-decoding --scheduling-policy "
        "--async-scheduling --mm-encoder-tp-mode --mm-processor-cache-gb --disable-mm-preprocessor-cache "
        "--data-parallel-rpc-ip --num-redundant-experts --interleave-mm-strings --convert --pooler-config "
        "--mm-processor-cache-type --mm-encoder-attn-backend --enable-flashinfer-autotune --kv-offloading-backend "
        f"{_DYNAMO}"
    ),
    "sglang": (
        "--host --port --api-key --admin-api-key --served-model-name --fastapi-root-path --ssl-keyfile --ssl-certfile "
        "--ssl-ca-certs --ssl-keyfile-password --log-level --log-level-http --log-requests --log-requests-level "
        "--log-requests-format --show-time-cost --enable-metrics --enable-mfu-metrics --decode-log-interval "
        "--enable-request-time-stats-logging --crash-dump-folder --otlp-traces-endpoint --enable-trace "
        "--tokenizer-path --tokenizer-mode --tokenizer-backend --tokenizer-worker-num --revision --trust-remote-code "
        "--download-dir --load-format --model-loader-extra-config --model-impl --weight-version --chat-template "
        "--hf-chat-template-name --completion-template --default-chat-template-kwargs --reasoning-parser "
        "--tool-call-parser --tool-server --sampling-defaults --preferred-sampling-params --file-storage-path "
        "--enable-cache-report --random-seed --watchdog-timeout --soft-watchdog-timeout --dist-timeout --nccl-port "
        "--skip-server-warmup --warmups --grammar-backend --load-balance-method --max-queued-requests --base-gpu-id "
        "--gpu-id-step --use-ray --sleep-on-idle --device --schedule-policy --stream-output --enable-p2p-check "
        "--constrained-json-whitespace-pattern --bucket-time-to-first-token --prefill-round-robin-balance "
        "--disaggregation-bootstrap-port --disaggregation-ib-device --cuda-graph-bs --disable-cuda-graph-padding "
        "--uvicorn-access-log-exclude-prefixes --hicache-ratio --hicache-size --hicache-write-policy "
        "--hicache-io-backend --hicache-mem-layout --hicache-storage-backend --hicache-storage-prefetch-policy "
        "--hicache-storage-backend-extra-config --enable-metrics-for-all-schedulers --enable-multimodal "
        "--disable-fast-image-processor --enable-custom-logit-processor --disable-outlines-disk-cache "
        f"{_DYNAMO}"
    ),
    "trtllm": "--host --port --backend --log-level --trust-remote-code --tokenizer --revision --reasoning-parser "
    "--tool-parser --served-model-name --metadata-server-config-file --server-role --cluster-size --max-beam-width "
    "--num-postprocess-workers --fail-fast-on-attention-window-too-large --otlp-traces-endpoint --chat-template "
    "--media-io-kwargs --custom-module-dirs --enable-chunked-prefill --kv-block-size --publish-events-and-metrics "
    f"--modality {_DYNAMO}",
}

# What changes a figure in a way that the cost model has no term for.
UNMODELLED = {
    "vllm": {
        "--enforce-eager": "without captured graphs a step takes longer",
        "--cpu-offload-gb": "weights in host memory",
        "--kv-offloading-size": "cache in host memory",
        "--enable-lora": "adapters take memory and time",
        "--enable-dbo": "overlapped micro-batches: engine.comm_overlap says what is assumed",
        "--enable-eplb": "balanced experts: engine.expert_imbalance says what is assumed",
        "--max-num-scheduled-tokens": "a smaller budget a pass",
        "--performance-mode": "other default budgets",
        "--hf-overrides": "another model than its config.json says",
        "--quantization-config": "other weight formats",
        "--calculate-kv-scales": "scales of the cache",
        "--compilation-config": "other graphs and fused kernels",
        "-O": "other graphs and fused kernels",
        "--optimization-level": "other graphs and fused kernels",
        "--attention-backend": "other kernels than those that the figures take",
        "--moe-backend": "other kernels than those that the figures take",
        "--attention-config": "other kernels than those that the figures take",
        "--num-scheduler-steps": "several steps at a time (vLLM 0.6 to 0.8)",
        "--lora-modules": "adapters take memory and time",
        "--disable-custom-all-reduce": "slower sums over ranks",
        "--additional-config": "settings of a platform's own",
        "-cc": "other graphs and fused kernels",
        "-ac": "other kernels than those that the figures take",
        "--linear-backend": "other kernels than those that the figures take",
        "--dbo-decode-token-threshold": "overlapped micro-batches: engine.comm_overlap says what is assumed",
        "--dbo-prefill-token-threshold": "overlapped micro-batches: engine.comm_overlap says what is assumed",
        "--eplb-config": "balanced experts: engine.expert_imbalance says what is assumed",
        "--disable-hybrid-kv-cache-manager": "every layer keeps every token, windows too",
    },
    "sglang": {
        "--disable-cuda-graph": "without captured graphs a step takes longer",
        "--enable-hierarchical-cache": "cache in host memory",
        "--cpu-offload-gb": "weights in host memory",
        "--enable-two-batch-overlap": "overlapped micro-batches: engine.comm_overlap says what is assumed",
        "--enable-eplb": "balanced experts: engine.expert_imbalance says what is assumed",
        "--schedule-conservativeness": "how many requests are admitted: engine.output_reserved says what is assumed",
        "--disable-overlap-schedule": "the host's work no longer hidden",
        "--enable-torch-compile": "faster kernels",
        "--json-model-override-args": "another model than its config.json says",
        "--lora-paths": "adapters take memory and time",
        "--enable-mixed-chunk": "prefill and decode in one pass",
        "--enable-lora": "adapters take memory and time",
        "--attention-backend": "other kernels than those that the figures take",
        "--moe-runner-backend": "other kernels than those that the figures take",
        "--enable-flashinfer-mla": "other kernels than those that the figures take",
        "--speculative-adaptive": "a number of drafts that changes",
        "--deepep-mode": "how tokens reach their experts: engine.exchange says what is assumed",
        "--ep-num-redundant-experts": "copies of experts take memory",
        "--enable-dp-lm-head": "the head is copied over attention groups",
        "--disable-custom-all-reduce": "slower sums over ranks",
        "--nsa-prefill-backend": "other kernels than those that the figures take",
        "--nsa-decode-backend": "other kernels than those that the figures take",
        "--enable-flashinfer-trtllm-moe": "other kernels than those that the figures take",
        "--enable-flashinfer-cutlass-moe": "other kernels than those that the figures take",
        "--fp8-gemm-backend": "other kernels than those that the figures take",
        "--fp4-gemm-backend": "other kernels than those that the figures take",
        "--disable-shared-experts-fusion": "shared experts in products of their own",
        "--enable-nsa-prefill-context-parallel": "prompts dealt over ranks",
        "--enable-flashinfer-allreduce-fusion": "other sums over ranks",
        "--enable-symm-mem": "other sums over ranks",
        "--enable-torch-symm-mem": "other sums over ranks",
        "--enable-nccl-nvls": "other sums over ranks",
        "--enable-mscclpp": "other sums over ranks",
        "--offload-group-size": "weights in host memory",
        "--offload-num-in-group": "weights in host memory",
        "--offload-prefetch-step": "weights in host memory",
        "--offload-mode": "weights in host memory",
    },
    "trtllm": {
        "--extra-llm-api-options": "its settings stand in a file that is not here",
        "--config": "its settings stand in a file that is not here",
        "--extra-engine-args": "its settings stand in a file that is not here",
        "--override-engine-args": "settings as JSON: give them in the file",
    },
}

# Figures that a flag changes by more than the model can say: these are not judged.
TIMES: tuple[str, ...] = (
    "ttft_s", "burst_ttft_s", "tpot_s", "output_tokens_per_s", "output_tokens_per_s_per_gpu", "requests_per_s",
    "decode_mfu", "decode_bandwidth_utilization", "prefill_mfu", "limit_ttft_s", "limit_burst_ttft_s", "limit_tpot_s",
    "limit_output_tokens_per_s", "share_of_limit", "usd_per_million_output_tokens", "joules_per_output_token",
)  # fmt: skip
BYTES: tuple[str, ...] = (
    "weights_bytes_per_gpu", "kv_cache_bytes_per_gpu", "activation_bytes_per_gpu", "reserve_bytes_per_gpu",
    "memory_bytes_per_gpu", "memory_utilization", "kv_capacity_tokens", "admitted_batch",
)  # fmt: skip
# Where ranks share a cache, so many bytes a sequence are no longer what a rank holds.
CACHE: tuple[str, ...] = ("kv_cache_bytes_per_gpu", "memory_bytes_per_gpu", "memory_utilization", "admitted_batch")
_SLOWER = (
    "--enforce-eager --disable-cuda-graph --kv-offloading-size "
    "--enable-hierarchical-cache --performance-mode --num-scheduler-steps --max-num-scheduled-tokens "
    "--compilation-config -cc -O --optimization-level --disable-overlap-schedule --disable-custom-all-reduce "
    "--enable-nsa-prefill-context-parallel"
)
_OTHER = (
    "--cpu-offload-gb --enable-lora --lora-modules --lora-paths --hf-overrides "
    "--json-model-override-args --quantization-config --ep-num-redundant-experts --extra-llm-api-options --config "
    "--extra-engine-args --override-engine-args --disable-hybrid-kv-cache-manager --offload-group-size"
)
TOUCHED = dict.fromkeys(_SLOWER.split(), TIMES) | dict.fromkeys(_OTHER.split(), (*TIMES, *BYTES))
# The same of keys of TensorRT-LLM's file of options.
KEYS_TOUCHED = dict.fromkeys(
    ("speculative_config", "lora_config", "enable_lora", "cache_transceiver_config", "sparse_attention_config"),
    (*TIMES, *BYTES),
) | {"disable_overlap_scheduler": TIMES}

# Known switches: they take no value, so what follows them is something else.
SWITCHES = {
    "vllm": (
        "--trust-remote-code --enforce-eager --enable-chunked-prefill --enable-prefix-caching --async-scheduling "
        "--disable-log-stats --disable-log-requests --enable-log-requests --enable-auto-tool-choice --enable-eplb "
        "--enable-dbo --enable-lora --enable-sleep-mode --disable-custom-all-reduce --disable-sliding-window "
        "--disable-uvicorn-access-log --enable-server-load-tracking --enable-request-id-headers --headless "
        "--data-parallel-external-lb --data-parallel-hybrid-lb --calculate-kv-scales "
        "--disable-frontend-multiprocessing --use-v2-block-manager --worker-use-ray --engine-use-ray "
        "--enable-reasoning --disable-mm-preprocessor-cache --allow-credentials --enable-ssl-refresh "
        "--disable-fastapi-docs --enable-prompt-tokens-details --enable-force-include-usage --enable-log-outputs "
        "--enable-log-deltas --return-tokens-as-token-ids --use-tqdm-on-load --skip-mm-profiling "
        "--enable-tokenizer-info-endpoint --trust-request-chat-template --kv-cache-metrics --cudagraph-metrics "
        "--enable-mfu-metrics --interleave-mm-strings --exclude-tools-when-tool-choice-none "
        "--ray-workers-use-nsight --enable-offline-docs --enable-per-request-metrics --aggregate-engine-logging "
        "--enable-flashinfer-autotune --disable-hybrid-kv-cache-manager"
    ),
    "sglang": (
        "--trust-remote-code --enable-metrics --log-requests --disable-radix-cache --disable-cuda-graph "
        "--enable-torch-compile --disable-overlap-schedule --enable-mixed-chunk --enable-two-batch-overlap "
        "--enable-eplb --skip-server-warmup --enable-cache-report --enable-hierarchical-cache --show-time-cost "
        "--enable-dp-lm-head --enable-flashinfer-mla --enable-lora --enable-p2p-check --disable-custom-all-reduce "
        "--disable-cuda-graph-padding --enable-ep-moe --enable-deepep-moe --use-ray --sleep-on-idle --stream-output "
        "--enable-trace --enable-mfu-metrics --enable-request-time-stats-logging --enable-nccl-nvls "
        "--enable-symm-mem --enable-torch-symm-mem --enable-mscclpp --disable-shared-experts-fusion "
        "--enable-memory-saver --enable-metrics-for-all-schedulers --enable-multimodal --disable-fast-image-processor "
        "--enable-custom-logit-processor --prefill-round-robin-balance --disable-outlines-disk-cache "
        "--enable-nsa-prefill-context-parallel --enable-flashinfer-allreduce-fusion --enable-flashinfer-trtllm-moe "
        "--enable-flashinfer-cutlass-moe"
    ),
    "trtllm": "--trust-remote-code --enable-chunked-prefill --fail-fast-on-attention-window-too-large "
    "--publish-events-and-metrics",
}


def known_flags(engine: str) -> set[str]:
    """Every flag in these lists."""
    return {*HARMLESS[engine].split(), *UNMODELLED[engine], *SWITCHES[engine].split()}


def is_harmless(engine: str, flag: str) -> bool:
    """Whether a flag cannot change a figure; a switch may be written as ``--no-...``, which leaves off what changes
    one."""
    return _plain(flag) in HARMLESS[engine].split() or (flag != _plain(flag) and _plain(flag) in UNMODELLED[engine])


def unmodelled(engine: str, flag: str) -> str | None:
    """Why a known flag changes the figures, or ``None``."""
    return UNMODELLED[engine].get(flag)


def touched(flag: str) -> tuple[str, ...]:
    """The figures that a known flag, or key of a file, changes by more than the model can say."""
    return tuple(TOUCHED.get(flag, KEYS_TOUCHED.get(flag.split(".")[0], ())))


def is_switch(engine: str, flag: str) -> bool:
    """Whether a flag is known to take no value."""
    return flag.startswith("--no-") or flag in SWITCHES[engine].split()


def _plain(flag: str) -> str:
    return "--" + flag.removeprefix("--no-") if flag.startswith("--no-") else flag
