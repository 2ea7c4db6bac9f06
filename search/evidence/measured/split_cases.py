"""From a disaggregated row to the pools that predict it: each as a server of its own that the same readers read.

How the public InferenceX benchmark launches such servers stands in the recipes of srt-slurm (NVIDIA/srt-slurm,
folder ``recipes``: ``b200-fp8``, ``b200-fp4``, ``GLM5``): what is set there and changes a prediction is in ``SCRIPTS``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from costmodel.launches import in_engine
from costmodel.serving.split.journey import Link, Transfer, link_of
from costmodel.serving.split.loop import Pool
from search.base.errors import InputError
from search.evidence.measured.cases import BLACKWELL, Case, case_of
from search.evidence.measured.rows import Measurement
from search.evidence.measured.split_pools import PoolOfRow
from search.evidence.measured.versions import fitted_of_versions, version_of
from search.inputs.efficiency_laws import read_law
from search.inputs.hardware_catalog import load_hardware

# Superchips of a rack reach each other over NVLink; a run of several instances is more than a board.
RACKS = dict.fromkeys(("gb200", "gb300"), "nvl72")


@dataclass(frozen=True)
class Script:
    """What a launch script sets in the servers of one pool. ``budget`` of a server's pass, shared by its attention
    groups where ``shared``; ``kv_cache`` its format on Blackwell, ``everywhere`` on other
    accelerators too;
    ``prefill_ahead`` steps that a prefill server schedules ahead (``None``: as others do)."""

    budget: int
    shared: bool
    stream_interval: int
    kv_cache: str
    everywhere: bool
    prefill_ahead: float | None = None


SCRIPTS = {
    # chunked-prefill-size, which attention groups share (sglang/srt/server_args.py, 0.5.8, enable_dp_attention);
    # kv-cache-dtype fp8_e4m3 with the attention backend trtllm_mla, which Hopper has not.
    "sglang": Script(32768, True, 30, "fp8", False),
    # max_num_tokens and disable_overlap_scheduler of the context servers, stream_interval of the others.
    "trtllm": Script(16384, False, 100, "fp8", True, prefill_ahead=0.0),
}


@dataclass(frozen=True)
class SplitCase:
    prefill: Pool
    decode: Pool
    link: Link
    in_flight: float
    case: Case
    assumptions: tuple[str, ...]
    seats: float = math.inf  # of an instance that decodes

    @property
    def gpus(self) -> int:
        return sum(int(pool.plan.gpus[0]) * pool.workers for pool in (self.prefill, self.decode))


def split_case_of(m: Measurement, models: Path | None = None) -> SplitCase:
    """The pools of a disaggregated row; ``InputError`` says why there are none."""
    if m.pools is None:
        raise InputError("disaggregated, and no layout of its pools is given")
    if not m.pools.counted:
        raise InputError(
            "disaggregated: neither instances nor attention groups are stated, no row that states them lists the same "
            "run or a repeat of it, and not exactly one launch script of the benchmark fits: drafts or none"
        )
    if m.concurrency is None:
        raise InputError(
            "disaggregated: no concurrency is stated, and the batches of its pools may only have been planned"
        )
    if m.concurrency < 1:
        raise InputError(f"concurrency {m.concurrency} is not a number from 1")
    first, second = (_case(m, pool, models) for pool in (m.pools.prefill, m.pools.decode))
    prefill = _pool(first, m, m.pools.prefill, prefills=True)
    decode = _pool(second, m, m.pools.decode, prefills=False)
    transfer = Transfer("auto" if first.hardware in RACKS else "rdma")
    link = link_of(first.scenario.cluster, transfer, m.pools.gpus)
    notes = (*first.assumptions, *([m.pools.inferred] if m.pools.inferred else []))
    seats = float(m.pools.seats or math.inf)
    return SplitCase(prefill, decode, link, m.concurrency, second, tuple(dict.fromkeys(notes)), seats)


def _case(m: Measurement, pool: PoolOfRow, models: Path | None) -> Case:
    """One instance of a pool as a server of its own. The scripts of aggregated servers launched none of these."""
    script = SCRIPTS.get(m.engine)
    cache = script.kv_cache if script and m.drawn and (script.everywhere or m.system in BLACKWELL) else ""
    return case_of(
        replace(
            m, regime="closed_loop_fixed_conc", version=_version(m), tp=pool.tp, pp=pool.pp, attn_dp=pool.attn_dp,
            ep=pool.ep, moe_tp=None, gpus=pool.gpus, concurrency=float(pool.attn_dp), note="", pools=None,
            kv_precision=cache,
        ),
        models, scripted=False, clusters=RACKS,
    )  # fmt: skip


def _pool(case: Case, m: Measurement, pool: PoolOfRow, *, prefills: bool) -> Pool:
    """With what the scripts set. TensorRT-LLM's on Blackwell take its generated kernels for experts (moe_config.backend
    TRTLLM, in the recipes of GB200) and DeepGEMM for eight bits with attention data parallelism (those of GB300;
    ``cutlass`` has its constants, ``costmodel.launches``); between attention groups in one NVLink domain of several
    boards tokens go to their experts alone (tensorrt_llm/_torch/modules/fused_moe, MnnvlMoe, 1.2)."""
    scenario, script = case.scenario, SCRIPTS.get(m.engine)
    if script is None or not m.drawn:
        return Pool(scenario, case.plan, pool.workers or 1)
    engine = replace(
        scenario.engine,
        max_batched_tokens=script.budget // (pool.attn_dp if script.shared else 1),
        stream_interval=script.stream_interval,
    )
    if m.pools is not None:
        tokens = m.pools.tokens if prefills else None
        engine = replace(
            engine,
            max_batched_tokens=tokens or engine.max_batched_tokens,
            drafts=0 if prefills else m.pools.drafts,
            draft_acceptance=fitted_of_versions()["draft_acceptance"] if m.pools.drafts and not prefills else 0.0,
        )
    if prefills and script.prefill_ahead is not None:
        engine = replace(engine, steps_ahead=script.prefill_ahead)
    if m.engine == "trtllm" and case.hardware in BLACKWELL:
        grouped = pool.attn_dp > 1
        engine = replace(
            engine,
            expert_kernels="cutlass" if grouped and m.precision == "fp8" else "generated",
            exchange="alltoall" if grouped and case.hardware in RACKS else engine.exchange,
        )
    law = read_law(load_hardware(case.hardware).efficiency)
    law = in_engine(law, engine, scenario.accelerator, scenario.model)
    return Pool(replace(scenario, engine=engine, law=law), case.plan, pool.workers or 1)


def _version(m: Measurement) -> str:
    known = version_of(m)
    return m.version if known is None or m.engine != "trtllm" else f"{known[0]}.{known[1]}.0"
