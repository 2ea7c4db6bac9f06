"""What a server of a split plan's pool is told beside what any server is: how the cache travels, and its drafter.

vLLM 0.33: NixlConnector (docs/features/nixl_connector_usage.md). SGLang 0.5.23: ``--disaggregation-mode``
(docs/advanced_features/pd_disaggregation.md). TensorRT-LLM 1.2: ``cache_transceiver_config``
(docs/source/features/disagg-serving.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from costmodel.drafts.drafter import Drafter
from costmodel.scenario import Scenario
from search.inputs.split.machines import POOLS
from search.optimizer.split.transfer import backend, generation
from search.render.launch import trtllm
from search.render.launch.flags import SGLANG, VLLM
from search.render.launch.server import Server
from search.render.launch.shell import Expansion, Variable, Word, comment

PORTS = {"prefill": 8100, "decode": 8200}
BOOTSTRAP_PORT = 8998  # sglang/srt/server_args.py disaggregation_bootstrap_port, 0.5.23
SIDE_PORTS = {"prefill": 5600, "decode": 6600}  # vLLM's NIXL handshake, one for each attention group
PAGE = 64  # tokens of a page, to which SGLang's kernels for Blackwell come by themselves
ROLES = {"prefill": "kv_producer", "decode": "kv_consumer"}  # vLLM: kv_both splits no prompts, and is to go
DRAFT = "path or name of the checkpoint that drafts"
# SGLang has one algorithm for its own modules and for EAGLE-3 heads each (sglang/srt/speculative/spec_info.py, 0.5.23).
SGLANG_ALGORITHMS = {"mtp": "EAGLE", "eagle3": "EAGLE3", "ngram": "NGRAM"}

Flags = list[tuple[Word, ...]]


@dataclass(frozen=True)
class Alike:
    """What pools have to be told of their caches where each would choose by its own accelerators: vLLM's attention
    ``backend``, tokens of a block by pool (none: the engine's own)."""

    backend: str | None = None
    blocks: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, prefill: Scenario, decode: Scenario) -> Alike:
        """SGLang compares the pages of both pools, some kernels of Blackwell take 32 or 64 alone
        (sglang/srt/disaggregation/common/conn.py, arg_groups/overrides.py _mla_backend_page_constraints, 0.5.23)."""
        own = [pool.engine.block_tokens for pool in (prefill, decode)]
        apart = generation(prefill.accelerator) != generation(decode.accelerator)
        if apart and prefill.engine.name == "sglang":
            return cls(blocks=dict.fromkeys(POOLS, PAGE))
        return cls(backend(prefill, decode), dict(zip(POOLS, own, strict=True)) if own[0] != own[1] else {})

    def flags(self, engine: str, name: str) -> Flags:
        flags: Flags = [] if self.backend is None else [("--attention-backend", self.backend)]
        block = SGLANG["block"] if engine == "sglang" else VLLM["block"]
        return flags + ([(block.name, self.blocks[name])] if name in self.blocks else [])


NOTHING = Alike()


def pool_flags(
    engine: str, name: str, drafter: Drafter | None, ranks: int, bootstrap: Word, draft: Word, alike: Alike = NOTHING
) -> Flags:
    """``ranks`` over which a sequence's cache is dealt; ``bootstrap`` port of SGLang's servers that prefill; ``draft``:
    the drafter's checkpoint, where it has one."""
    dealt = {"vllm": VLLM, "sglang": SGLANG}.get(engine)
    flags: Flags = [(dealt["decode_cp"].name, ranks)] if dealt is not None and ranks > 1 else []
    match engine:
        case "vllm":
            told = {"kv_connector": "NixlConnector", "kv_role": ROLES[name]}
            flags.append(("--kv-transfer-config", json.dumps(told)))
        case "sglang":
            flags += [("--disaggregation-mode", name), ("--disaggregation-transfer-backend", "nixl")]
            if name == "prefill":
                flags.append(("--disaggregation-bootstrap-port", bootstrap))
    flags += alike.flags(engine, name)
    return flags + ([] if drafter is None else _draft_flags(engine, drafter, draft))


def drafter_in(name: str, drafter: Drafter | None) -> Drafter | None:
    """What drafts in a server of a pool whose instances that decode have ``drafter``: one with a cache of its own runs
    where prompts are prefilled too, or its cache would be empty (``search.optimizer.split.transfer``)."""
    return drafter if name == "decode" or drafter is None or drafter.kind != "ngram" else None


def has_checkpoint(engine: str, drafter: Drafter | None) -> bool:
    """Whether a flag names the drafter's checkpoint."""
    return drafter is not None and drafter.kind == "eagle3" and engine != "trtllm"


def _draft_flags(engine: str, drafter: Drafter, draft: Word) -> Flags:
    match engine:
        case "vllm":
            told: dict[str, Any] = {"method": drafter.kind, "num_speculative_tokens": drafter.tokens}
            if drafter.kind == "ngram":
                told["prompt_lookup_max"] = 4
            if drafter.kind != "eagle3":
                return [("--speculative-config", json.dumps(told))]
            if not isinstance(draft, Variable):
                return [("--speculative-config", json.dumps(told | {"model": str(draft)}))]
            text = json.dumps(told)[:-1].replace('"', '\\"')
            return [("--speculative-config", Expansion(f'"{text}, \\"model\\": \\"${{{draft.name}}}\\"}}"'))]
        case "sglang":
            flags: Flags = [("--speculative-algorithm", SGLANG_ALGORITHMS[drafter.kind])]
            if drafter.kind == "ngram":  # drafts in a chain: its tree is ten wide unless told
                flags.append(("--speculative-ngram-max-bfs-breadth", 1))
                return [*flags, ("--speculative-num-draft-tokens", drafter.tokens + 1)]
            if drafter.kind == "eagle3":
                flags.append(("--speculative-draft-model-path", draft))
            flags += [("--speculative-num-steps", drafter.tokens), ("--speculative-eagle-topk", 1)]
            return [*flags, ("--speculative-num-draft-tokens", drafter.tokens + 1)]
    return []


# Helix as TensorRT-LLM's own test of it has it (tests/integration/defs/accuracy/test_disaggregated_serving.py
# test_auto_dtype_with_helix, 1.2): blocks of 32 tokens, dealt over the ranks, none used again.
HELIX_BLOCK = 32


def _helix(values: dict[str, Any], ranks: int) -> None:
    values["tensor_parallel_size"] //= ranks
    values["context_parallel_size"] = ranks
    values["cp_config"] = {"cp_type": "HELIX", "tokens_per_block": HELIX_BLOCK}
    values["kv_cache_config"] |= {
        "tokens_per_block": HELIX_BLOCK, "enable_block_reuse": False, "enable_partial_reuse": False,
    }  # fmt: skip
    values |= {"enable_chunked_prefill": False, "disable_overlap_scheduler": True}


def options(server: Server, name: str, drafter: Drafter | None, ranks: int = 1) -> str:
    """TensorRT-LLM's file of options for a server of a pool; ``ranks`` over which a sequence's cache is dealt."""
    values = trtllm.options(server)
    values["cache_transceiver_config"] = {"backend": "UCX", "max_tokens_in_buffer": server.length}
    if ranks > 1:
        _helix(values, ranks)
    if name == "prefill":
        values["disable_overlap_scheduler"] = True
    if drafter is not None:
        values["speculative_config"] = {
            "mtp": {"decoding_type": "MTP", "num_nextn_predict_layers": drafter.tokens},
            "eagle3": {"decoding_type": "Eagle", "max_draft_len": drafter.tokens, "speculative_model_dir": DRAFT},
            "ngram": {"decoding_type": "NGram", "max_draft_len": drafter.tokens},
        }[drafter.kind]
    head = comment(f"{server.model} on {server.hardware}; {name}: {server.words}")
    return f"{head}\n{_yaml(values)}"


def _yaml(values: dict[str, Any], indent: str = "") -> str:
    lines = ""
    for key, value in values.items():
        inner = isinstance(value, dict)
        lines += f"{indent}{key}:\n{_yaml(value, indent + '  ')}" if inner else f"{indent}{key}: {json.dumps(value)}\n"
    return lines
