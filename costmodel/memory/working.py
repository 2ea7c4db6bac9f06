"""What a server needs beside weights and cache: tensors of the largest pass, buffers, graphs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.architecture import Setting
from costmodel.blocks.compressed import CompressedAttention
from costmodel.blocks.mla import LatentAttention
from costmodel.blocks.residual import HyperConnections
from costmodel.layout import Layout
from costmodel.memory.server import Server, graph_sizes
from costmodel.operations import ACTIVATION_BYTES, Collective, GroupedGemm
from costmodel.scenario import Scenario
from costmodel.step import Step

# Residual streams of hyper-connections alive at once, which are mixed in fp32: 3.91 GiB more of a pass with 8224 tokens
# than with 2048 in start logs of DeepSeek-V4-Flash are 0.68 MB a token, of which streams of 65 kB are all but 0.1.
HYPER_COPIES, HYPER_BYTES = 8.0, 4.0
SCALE_BYTES = 4  # of an index key
LOGIT_BYTES = 4.0  # samplers work on fp32 logits (vllm/v1/sample/sampler.py, vLLM 0.33)


@dataclass(frozen=True)
class Working:
    """Bytes on one accelerator, shape (n,). ``activations``: the language model's peak in the profile run; ``encoder``:
    how much more the vision encoder's is, which runs before it. ``libraries`` and ``graphs`` lie
    inside the share that an engine takes, ``outside`` (context, buffers made before it looks) outside of it."""

    activations: Any
    encoder: Any
    libraries: Any
    graphs: Any
    outside: Any


def working(scenario: Scenario, layout: Layout, setting: Setting, server: Server) -> Working:
    """The terms for a server of these settings; zero where the engine's constants are."""
    constants = scenario.engine.memory
    several = layout.width * layout.pp > 1
    fused = scenario.accelerator.hopper or scenario.accelerator.blackwell
    between = constants.parallel_bytes if fused else constants.plain_parallel_bytes
    graphs = 0.0 if server.eager else _graphs(scenario, server)
    seen = scenario.model.vision_parameters > 0 and server.vision
    encoder = (constants.encoder_bytes if server.encoder_bytes is None else server.encoder_bytes) * seen
    activations = peak_activations(scenario, layout, setting, server)
    return Working(
        activations=activations,
        encoder=np.maximum(encoder - activations, 0.0),
        libraries=constants.libraries_bytes + between * several,
        graphs=graphs + np.zeros_like(layout.tp),
        outside=constants.context_bytes + constants.parallel_context_bytes * several,
    )


def _graphs(scenario: Scenario, server: Server) -> Any:
    constants = scenario.engine.memory
    sizes = graph_sizes(server)
    experts = constants.graph_experts if scenario.model.has_experts else 1.0
    return (constants.graph_bytes + constants.graph_each_bytes * sizes) * experts * (sizes > 0)


def peak_activations(scenario: Scenario, layout: Layout, setting: Setting, server: Server) -> Any:
    """Bytes alive at the worst moment of the largest pass: two residual streams, and the larger of the inputs and
    outputs of the greediest operation, and the sampler's tensors of every sequence. The engine profiles exactly this
    pass at start (vllm/v1/worker/gpu_worker.py determine_available_memory, vLLM 0.33) with ``server.tokens`` tokens and
    ``server.sequences`` sequences."""
    constants, model = scenario.engine.memory, scenario.model
    few = server
    if np.ndim(server.sequences) > 1 and np.all(server.sequences <= server.tokens):
        few = replace(server, sequences=server.sequences[:1])  # the pass is as large whatever the sequences
    greediest, experts, others, tokens = _greediest(scenario, layout, setting, few)
    for kind in model.kinds:
        if isinstance(kind.mixer, LatentAttention) and kind.mixer.indexer is None:
            greediest = greediest + _expanded(kind.mixer, layout, constants.latent_tokens)
            break
    residual = 2.0 * tokens * model.hidden * ACTIVATION_BYTES
    streams = max((k.residual.streams for k in model.kinds if isinstance(k.residual, HyperConnections)), default=0)
    residual = residual + HYPER_COPIES * tokens * streams * model.hidden * HYPER_BYTES
    logits = constants.logits_copies * server.sequences * model.vocabulary * LOGIT_BYTES
    reserved, scores = sparse_workspace(scenario, server)
    held = np.maximum(constants.held_workspaces * experts, reserved)  # one buffer, as large as its greediest user
    largest = np.maximum(greediest, reserved + np.maximum(others, scores))
    return residual + np.maximum(largest, logits + held)


def _greediest(scenario: Scenario, layout: Layout, setting: Setting, server: Server) -> tuple[Any, Any, Any, Any]:
    """Bytes of inputs and outputs of the greediest operation, of the greediest of experts' and of all others, and the
    pass's rows."""
    tokens = np.maximum(server.tokens, server.sequences)
    prompts = tokens / max(scenario.lengths.new, 1.0)
    decodes = 0.0 * prompts
    step = Step(decodes, prompts, decodes, prompts * layout.attn_dp, server.sequences, scenario.lengths, layout)
    greediest: Any = 0.0
    experts: Any = 0.0
    others: Any = 0.0
    for kind in scenario.model.kinds:
        for op in kind.operations(setting):
            if not isinstance(op, Collective):
                rows = op.work(step).m * op.row_bytes()
                greediest = np.maximum(greediest, rows)
                if isinstance(op, GroupedGemm):
                    experts = np.maximum(experts, rows)
                else:
                    others = np.maximum(others, rows)
    return greediest, experts, others, step.tokens


def sparse_workspace(scenario: Scenario, server: Server) -> tuple[float, float]:
    """Bytes that sparse attention reserves while the engine profiles, whatever is served, and of the indexer's scores
    then. Index keys of so many longest requests, a byte an element and four bytes of scale (vllm/v1/attention/backends/
    mla/indexer.py get_max_prefill_buffer_size, 0.11 to 0.33; DeepSeek-V4 by the rate of its entries), or entries and
    windows gathered in bf16 (vllm/models/deepseek_v4/attention.py, PREFILL_CHUNK_SIZE), whichever is more: they
    share one buffer (vllm/v1/worker/workspace.py)."""
    constants = scenario.engine.memory
    reserved = scores = 0.0
    for kind in scenario.model.kinds:
        mixer = kind.mixer
        if isinstance(mixer, LatentAttention | CompressedAttention) and mixer.indexer is not None:
            rate = mixer.rate if isinstance(mixer, CompressedAttention) else 1
            entries = constants.indexer_requests * server.length / rate
            reserved = max(reserved, entries * (mixer.indexer.dim + SCALE_BYTES))
            scores = constants.indexer_logits_bytes
        if isinstance(mixer, CompressedAttention) and mixer.rate > 1:
            gathered = np.ceil(server.length / mixer.rate) + mixer.window + server.tokens
            row = mixer.head_dim * ACTIVATION_BYTES
            reserved = max(reserved, float(np.max(constants.gathered_requests * gathered * row)))
    return reserved, scores


def _expanded(mixer: LatentAttention, layout: Layout, tokens: int) -> Any:
    """Keys and values of ``tokens`` cached tokens, which a prefill of MLA expands from their latents chunk by chunk
    (vllm/model_executor/layers/attention/mla_attention.py, chunked_prefill_workspace_size: at most 65,536, 0.33)."""
    return tokens * mixer.heads / layout.tp * (mixer.nope_dim + mixer.v_dim) * ACTIVATION_BYTES
