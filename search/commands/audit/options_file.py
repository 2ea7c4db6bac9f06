"""TensorRT-LLM's file of options (``--extra_llm_api_options``, ``--config``), where a text writes it or it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.base.errors import InputError
from search.inputs.bounded_file import read_bounded
from search.inputs.plain_yaml import read_yaml
from search.render.launch.flags import TRTLLM

FILES = ("--extra-llm-api-options", "--config", "--extra-engine-args")
MOST_BYTES = 100_000
_NAMES = {key.name: name for name, key in TRTLLM.items()} | {
    "speculative_config.decoding_type": "draft_kind",
    "speculative_config.max_draft_len": "draft_tokens",
    "speculative_config.num_nextn_predict_layers": "draft_layers",
    "speculative_config.speculative_model": "draft_model",
    "speculative_config.speculative_model_dir": "draft_model",
}
# Keys of tensorrt_llm/llmapi/llm_args.py (1.2) that change no figure.
_HARMLESS = (
    "backend", "print_iter_log", "enable_iter_perf_stats", "enable_iter_req_stats", "trust_remote_code", "tokenizer",
    "skip_tokenizer_init", "return_perf_metrics", "perf_metrics_max_requests", "enable_autotuner", "reasoning_parser",
    "num_postprocess_workers", "kv_cache_config.event_buffer_max_size", "iter_stats_max_iterations", "tokenizer_mode",
    "request_stats_max_iterations", "gather_generation_logits", "model", "speculative_config.max_matching_ngram_size",
    "speculative_config.eagle3_one_model", "speculative_config.mtp_eagle_one_model",
    "postprocess_tokenizer_dir", "revision",
)  # fmt: skip
# Those that change figures in a way that the cost model has no term for.
_UNMODELLED = {
    "speculative_config": "drafts by other means than are modelled",
    "disable_overlap_scheduler": "the host's work no longer hidden",
    "lora_config": "adapters take memory and time",
    "enable_lora": "adapters take memory and time",
    "cache_transceiver_config": "prefill and decode apart",
    "attn_backend": "other kernels than those that the figures take",
    "allreduce_strategy": "other sums over ranks",
    "attention_dp_config": "how requests wait for other attention groups: engine.balance_steps says what is assumed",
    "sparse_attention_config": "other attention than the model's own",
    "torch_compile_config": "other graphs and fused kernels",
    "moe_config": "other kernels than those that the figures take",
}


@dataclass(frozen=True)
class Options:
    """``given`` values by the names of ``search/render/launch/flags.py``, as a command line would give them; keys that
    are ``ignored``, and those that are ``unmodelled`` with the reason."""

    given: dict[str, str]
    ignored: tuple[str, ...]
    unmodelled: dict[str, str]


def options_file(path: str, files: Mapping[str, str]) -> Options | None:
    """What the file says: of the text's own ``files`` that of the same name, else the one at ``path``; ``None`` where
    it is nowhere. ``InputError`` in one line for one that is no YAML."""
    content = content_of(path, files)
    if content is None:
        return None
    found = read_yaml(path, content.encode(), "a file of options", floats=True)
    if found is None:
        return Options({}, (), {})
    if not isinstance(found, dict):
        raise InputError(f"{path}: is no file of options; give keys with values")
    return _read(found)


def content_of(path: str, files: Mapping[str, str]) -> str | None:
    """Of the text's own ``files`` that of the same name, else the one at ``path``; ``None`` where it is nowhere."""
    name = Path(path).name
    content = files.get(path, next((text for known, text in files.items() if Path(known).name == name and name), None))
    if content is None and _is_file(path):
        content = read_bounded(Path(path), MOST_BYTES, "a file of options").decode("utf-8", errors="replace")
    return content


def _is_file(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_file()
    except (OSError, ValueError):
        return False


def _read(found: dict[str, Any]) -> Options:
    given: dict[str, str] = {}
    ignored, unmodelled = [], {}
    for key, value in _leaves("", found):
        if key in _NAMES:
            text = _text(_NAMES[key], value)
            if text is not None:
                given[_NAMES[key]] = text
        elif key == "kv_cache_config.enable_block_reuse":
            given |= {} if value is not False else {"prefix": "no"}
        elif key in _HARMLESS or value is None:
            ignored.append(key)
        else:
            outer = key.split(".")[0]
            unmodelled[key] = _UNMODELLED.get(key) or _UNMODELLED.get(outer, "not known here")
    return Options(given, tuple(ignored), unmodelled)


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}".lstrip("."), inner)
    else:
        yield prefix, value


def _text(name: str, value: Any) -> str | None:
    """A value as a command line would have it; of sizes of graphs the largest."""
    if value is None:
        return None
    if isinstance(value, list):
        sizes = [size for size in value if isinstance(size, int) and not isinstance(size, bool)]
        return str(max(sizes)) if sizes else None
    if isinstance(value, bool):
        return "" if value else "no"
    return str(value)
