"""Flags of a launch command beside those that ``search/render/launch/flags.py`` reads: what may be passed over, and
what would change the figures though the model does not know it. A flag in neither is named as one that may.

Sources: vLLM 0.33.0 ``vllm/engine/arg_utils.py`` and ``vllm/entrypoints/common/cli_args.py``; SGLang 0.5.23
``sglang/srt/arg_groups/fields/{serving,observability,model,parallel,device}.py``.
"""

from __future__ import annotations

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
        "--enable-tokenizer-info-endpoint --seed --max-logprobs --logprobs-mode --limit-mm-per-prompt "
        "--mm-processor-kwargs --media-io-kwargs --allowed-local-media-path --allowed-media-domains "
        "--structured-outputs-config --distributed-executor-backend --distributed-timeout-seconds "
        "--max-parallel-loading-workers --ray-workers-use-nsight --master-port --data-parallel-backend "
        "--data-parallel-external-lb --data-parallel-hybrid-lb --data-parallel-rank --api-server-count "
        "--shutdown-timeout --fail-on-environ-validation --enable-sleep-mode --runner --model-impl "
        "--max-num-queued-reqs --max-num-queued-tokens --enable-chunked-prefill --language-model-only "
        "--skip-mm-profiling"
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
        "--gpu-id-step --use-ray --sleep-on-idle --device"
    ),
}

# What changes a figure in a way that the cost model has no term for.
UNMODELLED = {
    "vllm": {
        "--enforce-eager": "without captured graphs a step takes longer",
        "--speculative-config": "speculative decoding",
        "--spec-method": "speculative decoding",
        "--spec-model": "speculative decoding",
        "--cpu-offload-gb": "weights in host memory",
        "--kv-offloading-size": "cache in host memory",
        "--kv-transfer-config": "prefill and decode apart, or cache that moves",
        "--kv-cache-memory-bytes": "a cache of that size, whatever the memory fraction",
        "--num-gpu-blocks-override": "a cache of that size, whatever the memory fraction",
        "--enable-lora": "adapters take memory and time",
        "--all2all-backend": "how tokens reach their experts: engine.exchange says what is assumed",
        "--enable-dbo": "overlapped micro-batches: engine.comm_overlap says what is assumed",
        "--enable-eplb": "balanced experts: engine.expert_imbalance says what is assumed",
        "--max-num-scheduled-tokens": "a smaller budget a pass",
        "--performance-mode": "other default budgets",
        "--hf-overrides": "another model than its config.json says",
        "--quantization-config": "other weight formats",
        "--calculate-kv-scales": "scales of the cache",
        "--swap-space": "cache in host memory",
    },
    "sglang": {
        "--disable-cuda-graph": "without captured graphs a step takes longer",
        "--speculative-algorithm": "speculative decoding",
        "--max-total-tokens": "a cache of that size, whatever the memory fraction",
        "--disaggregation-mode": "prefill and decode apart",
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
    },
}

# Known switches: they take no value, so what follows them is something else.
SWITCHES = {
    "vllm": (
        "--trust-remote-code --enforce-eager --enable-chunked-prefill --enable-prefix-caching --async-scheduling "
        "--disable-log-stats --disable-log-requests --enable-log-requests --enable-auto-tool-choice --enable-eplb "
        "--enable-dbo --enable-lora --enable-sleep-mode --disable-custom-all-reduce --disable-sliding-window "
        "--disable-uvicorn-access-log --enable-server-load-tracking --enable-request-id-headers --headless "
        "--data-parallel-external-lb --data-parallel-hybrid-lb --calculate-kv-scales --language-model-only"
    ),
    "sglang": (
        "--trust-remote-code --enable-metrics --log-requests --disable-radix-cache --disable-cuda-graph "
        "--enable-torch-compile --disable-overlap-schedule --enable-mixed-chunk --enable-two-batch-overlap "
        "--enable-eplb --skip-server-warmup --enable-cache-report --enable-hierarchical-cache --show-time-cost"
    ),
}


def is_harmless(engine: str, flag: str) -> bool:
    """Whether a flag cannot change a figure; a switch may be written as ``--no-...``."""
    return _plain(flag) in HARMLESS[engine].split() and flag != "--no-enable-chunked-prefill"


def unmodelled(engine: str, flag: str) -> str | None:
    """Why a known flag changes the figures, or ``None``."""
    return UNMODELLED[engine].get(flag)


def is_switch(engine: str, flag: str) -> bool:
    """Whether a flag is known to take no value."""
    return flag.startswith("--no-") or flag in SWITCHES[engine].split()


def _plain(flag: str) -> str:
    return "--" + flag.removeprefix("--no-") if flag.startswith("--no-") else flag
