"""What engines' transfers of caches refuse of instances, beside the rules of any layout, and of two pools."""

from __future__ import annotations

import numpy as np

from costmodel.blocks import GroupedQueryAttention
from costmodel.blocks.decode_context import widths
from costmodel.blocks.parallel import mixers_of
from costmodel.hardware import Accelerator
from costmodel.plans import IntArray, Plans
from costmodel.scenario import Scenario
from search.base.errors import InputError
from search.optimizer.decode_context import all_latent
from search.optimizer.rules.rule import Mask

DATA_CENTRE = 160 * 2**30  # bytes of Blackwell's memory from which on it is of compute capability 10, not 12


def receives(engine: str, plans: Plans) -> Mask:
    """Instances that decode. vLLM: in one stage (vllm/distributed/kv_transfer/kv_connector/v1/nixl/base_worker.py,
    0.33). SGLang: in as many as there are, for ``matched`` ones."""
    return np.asarray(plans.pp == 1) if engine == "vllm" else np.full(len(plans), True)


def matched(engine: str, prefill: Plans, decode: Plans) -> list[tuple[IntArray, IntArray]]:
    """Rows of both pools, any of the first with any of the second. SGLang's instances that decode have one stage or as
    many as those that prefill, each of which then sends its layers to its like (try_ensure_parallel_info in
    sglang/srt/disaggregation/common/conn.py, 0.5.23)."""
    everyone = np.arange(len(prefill))
    if engine != "sglang":
        return [(everyone, np.arange(len(decode)))]
    return [
        (everyone if stages == 1 else np.flatnonzero(prefill.pp == stages), np.flatnonzero(decode.pp == stages))
        for stages in np.unique(decode.pp).tolist()
    ]


def sends(scenario: Scenario, plans: Plans) -> Mask:
    """Instances that prefill. vLLM: in several stages where all layers' caches are laid out alike (the same file), so
    without windows, selections and states."""
    alike = all(widths(mixer) is not None for mixer in mixers_of(scenario.model))
    return np.full(len(plans), True) if alike or scenario.engine.name != "vllm" else np.asarray(plans.pp == 1)


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
