"""What engines' transfers of caches refuse of an instance, of two together, and of two pools' accelerators, beside the
rules of any layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costmodel.architecture import Setting
from costmodel.blocks import GroupedQueryAttention
from costmodel.blocks.decode_context import widths
from costmodel.blocks.parallel import mixers_of
from costmodel.drafts.drafter import Drafter
from costmodel.hardware import Accelerator
from costmodel.plans import IntArray, Plans
from costmodel.scenario import Scenario
from search.base.errors import InputError
from search.optimizer.decode_context import all_latent
from search.optimizer.rules.rule import Mask
from search.optimizer.speculation.asked import drafting

DATA_CENTRE = 160 * 2**30  # bytes of Blackwell's memory from which on it is of compute capability 10, not 12


def receives(engine: str, plans: Plans) -> Mask:
    """Instances that decode. vLLM: in one stage (vllm/distributed/kv_transfer/kv_connector/v1/nixl/base_worker.py,
    0.33). SGLang: in as many as ``pairing`` lets."""
    return np.asarray(plans.pp == 1) if engine == "vllm" else np.full(len(plans), True)


def sends(scenario: Scenario, plans: Plans) -> Mask:
    """Instances that prefill. vLLM: in several stages where all layers' caches are laid out alike (the same file), so
    without windows, selections and states."""
    alike = all(widths(mixer) is not None for mixer in mixers_of(scenario.model))
    return np.full(len(plans), True) if alike or scenario.engine.name != "vllm" else np.asarray(plans.pp == 1)


@dataclass(frozen=True)
class Pairing:
    """Which instances go together. ``first`` and ``second``: the class of every instance of either pool, those of one
    class being alike in it; ``together``: whether two classes are, shape (classes, classes)."""

    first: IntArray
    second: IntArray
    together: NDArray[np.bool_]

    def rows(self, a: IntArray, b: IntArray) -> Mask:
        """For pairs of instances."""
        return np.asarray(self.together[self.first[a], self.second[b]])


def pairing(
    scenario: Scenario, drafters: Sequence[Drafter], p: Plans, d: Plans, drafter: IntArray, ranks: IntArray
) -> Pairing:
    """``drafter`` and ``ranks`` of the instances ``d`` that decode, as in ``DecodePool``. An engine refuses two
    instances by their degrees alone, so few classes stand for all: those that the same others refuse are one."""
    modules = [one for one in drafters if one.kind != "ngram"]
    able = np.full(len(p), True)
    for one in modules:
        able &= drafting(one, p, scenario.model, scenario.engine.name)
    drafts = np.array([False, *(one in modules for one in drafters)])[drafter]
    senders, first = np.unique(np.stack([p.tp, p.pp, p.sp > 1, ~able], axis=1), axis=0, return_inverse=True)
    takers, second = np.unique(np.stack([d.tp, d.pp, ranks > 1, drafts], axis=1), axis=0, return_inverse=True)
    allowed = _meets(scenario, senders[:, None].astype(int), takers[None].astype(int))
    rows, of = np.unique(allowed, axis=0, return_inverse=True)
    together, other = np.unique(rows, axis=1, return_inverse=True)
    return Pairing(of.reshape(-1)[first.reshape(-1)], other.reshape(-1)[second.reshape(-1)], together)


def _meets(scenario: Scenario, senders: IntArray, takers: IntArray) -> NDArray[np.bool_]:
    """Of a sender's tp and pp, whether it splits prompts over ranks, and whether no drafter with weights may run in it;
    of a taker's tp and pp, whether it deals a cache over ranks, and whether it drafts with weights.

    All three engines: caches of split prompts are not dealt out again (vLLM 0.33, nixl/base_worker.py
    _validate_remote_parallel_config; SGLang 0.5.23, disaggregation/common/conn.py try_ensure_parallel_info;
    TensorRT-LLM cacheFormatter.cpp inquireSupport), and a drafter with weights has a cache of its own, which whoever
    prefills has to fill: it drafts too (vLLM's nixl/metadata.py compares both ends' drafters; SGLang appends the
    drafter's cache to the model's, prefill.py and decode.py; TensorRT-LLM wants as many layers on both ends).
    vLLM: one tp divides the other (kv_connector/utils.py tp_ratio), and several ranks that hold copies of a KV head do
    not send to fewer, unless attention is latent or the model has states (_validate_remote_agent_handshake).
    SGLang: a taker has one stage or as many as the sender, each of which then sends its layers to its like
    (try_ensure_parallel_info)."""
    tp, pp, to, stages = senders[..., 0], senders[..., 1], takers[..., 0], takers[..., 1]
    kept = ~np.any((senders[..., 2:] > 0) & (takers[..., 2:] > 0), axis=-1)
    if scenario.engine.name == "sglang":
        kept &= (stages == 1) | (stages == pp)
    if scenario.engine.name == "vllm":
        kept &= (tp % to == 0) | (to % tp == 0)
        kept &= (tp <= to) | (tp <= _split_heads(scenario))
    return np.asarray(kept)


def _split_heads(scenario: Scenario) -> int:
    """Ranks beyond which caches of KV heads are copies; as many as there are where that does not matter."""
    mixers, setting = mixers_of(scenario.model), Setting.single(scenario.model)
    heads = [mixer.kv_heads for mixer in mixers if isinstance(mixer, GroupedQueryAttention)]
    states = any(np.any(np.asarray(mixer.state_bytes(setting)) > 0.0) for mixer in mixers)
    return min(heads) if heads and not states else np.iinfo(np.int64).max


def generation(part: Accelerator) -> str:
    """Accelerators of one generation run the same attention kernels."""
    if not part.nvidia:
        return "cdna3" if part.cdna3 else part.name
    if part.blackwell:
        return "blackwell" if part.memory_bytes >= DATA_CENTRE else "blackwell, small"
    return "hopper" if part.hopper else "ada" if "fp8" in part.peak_flops else "ampere"


def backend(prefill: Scenario, decode: Scenario) -> str | None:
    """vLLM's attention backend that both pools have to be told, as its handshake compares their names and each
    generation chooses its own (nixl/metadata.py compute_nixl_compatibility_hash, vllm/platforms/cuda.py
    _get_backend_priorities, 0.33); ``None`` where nothing needs to be said, or nothing is known."""
    kinds = {generation(prefill.accelerator), generation(decode.accelerator)}
    if prefill.engine.name != "vllm" or len(kinds) == 1 or not prefill.accelerator.nvidia:
        return None
    if prefill.model.sparse:  # flashmla_sparse.py: compute capability 9 and 10
        return "FLASHMLA_SPARSE" if kinds == {"hopper", "blackwell"} else None
    if all_latent(prefill.model):  # flashmla.py runs on 9 alone, flashinfer_mla.py and cutlass_mla.py on 10 alone
        return "TRITON_MLA"
    plain = all(isinstance(m, GroupedQueryAttention) and not m.sinks for m in mixers_of(prefill.model))
    return "FLASHINFER" if plain else None  # flashinfer.py: 8.0 to 12.1


def check_backends(prefill: Scenario, decode: Scenario) -> None:
    """``InputError`` where the only backend in common is one that no figure is of."""
    if backend(prefill, decode) == "TRITON_MLA":
        raise InputError(
            f"space.split: prefill on {prefill.accelerator.name!r} and decode on {decode.accelerator.name!r} is not "
            "allowed with vllm and latent attention: they have no attention backend in common but TRITON_MLA, which no "
            "figure is of; give accelerators of one generation, or engine=sglang"
        )
