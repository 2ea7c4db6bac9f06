"""What is known of versions of the engines, where it changes a prediction."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any, Literal

from costmodel.architecture import Architecture
from costmodel.blocks.delta_net import GatedDeltaNet
from costmodel.blocks.mamba import Mamba2
from costmodel.blocks.mla import LatentAttention
from costmodel.cluster import Cluster
from costmodel.engine import Engine
from costmodel.hardware import Accelerator
from search.base.paths import conf_dir
from search.evidence.measured.rows import Measurement
from search.inputs.catalog_yaml import data
from search.inputs.engine_defaults import sglang_chunk
from search.inputs.models.catalog import plain

VLLM_ON_AMD = 0.285  # share of the links' bytes/s
# Host seconds a step of SGLang where nothing hides them: read off 11 runs of Qwen3-Next (docs/published.md).
# Fixed costs of SGLang's kernels on MI300X and MI325X before 0.5.10, as ``engine.cdna_launches``: read off 24
# published rows (docs/published.md).
CDNA3_BEFORE_0_5_10 = 5.0
# Host seconds an operation of a dense layer that PyTorch launches: read off 114 published rows of vLLM of 2023,
# which take 43 ms a step on A100 and 30 on H100 whatever the split (docs/published.md).
EAGER_2023_S = 3.0e-5
SERIAL_STEP_S = 2.0e-3
DEEP_GEMM_ROWS = 128  # get_m_alignment_for_contiguous_layout of DeepGEMM (deep_gemm/utils, 2.1)


VERSION = r"(?<![\d.-])v?(\d{1,2})\.(\d+)"


@cache
def fitted_of_versions() -> dict[str, float]:
    """Constants of versions and launch scripts (``conf/versions.yaml``, docs/fidelity.md)."""
    loaded: Any = data(conf_dir() / "versions.yaml")
    return {name: float(loaded[name]) for name in ("expert_stretch", "draft_acceptance")}


def version_of(m: Measurement) -> tuple[int, int] | None:
    """Major and minor number of the engine's version; ``None`` where none is printed."""
    printed = re.search(VERSION, m.version)
    return None if printed is None else (int(printed[1]), int(printed[2]))


def release_of(m: Measurement) -> tuple[int, int, int] | None:
    """The version with its third number; ``None`` where it is not printed in full."""
    printed = re.search(VERSION + r"\.(\d+)", m.version)
    return None if printed is None else (int(printed[1]), int(printed[2]), int(printed[3]))


def engine_of_version(engine: Engine, m: Measurement, model: Architecture, accelerator: Accelerator) -> Engine:
    """The engine as its version was."""
    return {"vllm": _vllm, "sglang": _sglang, "trtllm": _trtllm}[engine.name](engine, m, model, accelerator)


def _trtllm(engine: Engine, m: Measurement, model: Architecture, accelerator: Accelerator) -> Engine:
    """Before 1.0 its kernels for an all-reduce had barriers and did no norm by default, and models were compiled into
    engines of TensorRT, which launch their kernels themselves (PyTorch is the default backend since). So were those
    of NIM 1.x, whose versions are its own, and of tables that print no version."""
    version = version_of(m)
    if m.drawn and (version is None or version < (1, 2)):
        engine = replace(engine, input_quantisation="fp8")
    if plain(model.name.rsplit("/", 1)[-1]).startswith("gptoss") and (version is None or version < (1, 2)):
        engine = replace(engine, all_reduce="custom", all_reduce_norm="apart")
    recent = "post-1" in m.version or (version >= (1, 0) if version else m.drawn or not m.printed)
    if recent and not plain(m.engine).startswith("nim"):
        return engine
    return replace(engine, all_reduce="custom", all_reduce_norm="apart", eager_launch_s=0.0, eager_experts_s=0.0)


def _vllm(engine: Engine, m: Measurement, model: Architecture, accelerator: Accelerator) -> Engine:
    """0.11 to 0.15 on Hopper multiplies block-scaled FP8 experts with DeepGEMM at any number of tokens (pull request
    26197: E8M0 scales by default, which ``triton_deep_gemm_moe.py`` takes as always valid), except at a tp of 8 (pull
    request 29346). Its contiguous layout holds ``DEEP_GEMM_ROWS`` rows for every local expert, hit or not; that all of
    them cost time is read off the runs (docs/fidelity.md). From 0.16 on another kernel is chosen (issue 34249). Before
    0.18 FP8 experts take ``expert_stretch`` times as long as after, on Hopper and on Blackwell alike.

    Before 0.14 a step is scheduled when the one before it has ended, unless told otherwise. From 0.17 on all-reduces
    do the norm after them (pull request 34299, February 2026), with data or pipeline parallelism from 0.21 on (41458);
    others' rows without a version are taken as older, a user's own as of today."""
    version = version_of(m)
    split = (m.attn_dp or 1) > 1 or m.pp > 1
    older = m.printed or m.drawn if version is None else version < ((0, 21) if split else (0, 17))
    if older:
        engine = replace(engine, all_reduce_norm="apart")
    if version is None:
        if "2023" in m.version:  # graphs of decode steps came with 0.3, January 2024
            engine = replace(engine, decode_graphs=0, eager_layers="all", steps_ahead=0.0, eager_launch_s=EAGER_2023_S)
        return engine
    if version < (0, 14):
        engine = replace(engine, steps_ahead=0.0)
    experts = model.quantization.of("experts.up").name if model.has_experts else ""
    if (0, 11) <= version <= (0, 15) and accelerator.hopper and experts == "fp8_block" and m.tp != 8:
        return replace(engine, expert_tile_rows=DEEP_GEMM_ROWS)
    if version <= (0, 17) and experts.startswith("fp8"):
        return replace(engine, expert_stretch=fitted_of_versions()["expert_stretch"])
    return engine


def _sglang(engine: Engine, m: Measurement, model: Architecture, accelerator: Accelerator) -> Engine:
    """From 0.5.6 (pull request 13057) to 0.5.13 (issue 27418) a step of a model with recurrent layers is scheduled when
    the one before it has ended, unless the prefix cache is off, as benchmarks of random prompts launch it; what the
    host does meanwhile, ``SERIAL_STEP_S``, is then in the open.

    Up to 0.5.13 it had the kernel with barriers (kernel tables: 0.5.10 and 0.5.14), and all-reduces did the norm from
    0.5.5 on for DeepSeek-V3's architecture and gpt-oss alone (pull request 12724).

    Passes with prompts replay captured graphs from 0.5.10 on (pull request 16331), until 0.5.13 by other rules than
    today (28053 and 29458, June 2026); others' rows without a version are taken as older, a user's own as of today.
    How much a pass takes is set by the accelerator's memory."""
    version = version_of(m)
    release = release_of(m) or (version and (*version, 0))
    engine = replace(engine, max_batched_tokens=sglang_chunk(accelerator))
    ungraphed = replace(engine, prefill_graphs="counted", captured_tokens=0)
    if release is None or release < (0, 5, 7):
        engine, ungraphed = (replace(e, fused_latent=0) for e in (engine, ungraphed))
    if release is None:
        return ungraphed if m.printed or m.drawn else engine
    if release < (0, 5, 10):
        engine = replace(ungraphed, cdna_launches=CDNA3_BEFORE_0_5_10)
    elif release < (0, 5, 14):
        engine = replace(engine, prefill_graphs="piecewise")
    if release < (0, 5, 14):
        fused = model.has_mixer(LatentAttention) or plain(model.name.rsplit("/", 1)[-1]).startswith("gptoss")
        norms = "fused" if fused and release >= (0, 5, 5) else "apart"
        engine = replace(engine, all_reduce="custom", all_reduce_norm=norms)
    if m.printed and (0, 5, 6) <= release <= (0, 5, 13) and model.has_mixer(GatedDeltaNet, Mamba2):
        engine = replace(engine, steps_ahead=0.0, step_overhead_s=SERIAL_STEP_S)
    return engine


def links_of_version(m: Measurement, cluster: Cluster, vendor: str) -> Cluster:
    """The node's links as an engine's all-reduce uses them. vLLM's two-stage kernel reached ``VLLM_ON_AMD`` of the
    links of AMD's mesh until it took AITER's (pull request 39080, April 2026: 24.2 us for 1.5 MB among 8 MI355X, 6.3 us
    of them latency, and 12.9 us after); SGLang and ATOM run AITER's."""
    version = version_of(m)
    if vendor != "AMD" or not plain(m.engine).startswith("vllm") or version is None or version >= (0, 20):
        return cluster
    node, *outer = cluster.tiers
    return replace(cluster, tiers=(replace(node, efficiency=VLLM_ON_AMD), *outer))


def memory_of(m: Measurement, engine: str) -> Literal["all", "free", "static"]:
    """What an engine's share of the memory is for (``costmodel.scenario.Limits``): SGLang's for weights and cache, that
    of TensorRT-LLM's cache of the memory that weights and activations leave (KvCacheConfig, free_gpu_memory_fraction).
    Assumption: not before 0.12 nor in tables without a version, whose engines sized their activations for the largest
    batch of the longest prompts, which is not modelled; there it is for everything."""
    version = version_of(m)
    if engine != "trtllm":
        return "static" if engine == "sglang" else "all"
    if version is None:
        return "free" if "post-1" in m.version or not m.printed else "all"
    return "free" if version >= (0, 12) else "all"
