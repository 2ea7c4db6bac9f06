"""From a start log to the scenario, plan and server settings that predict it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from costmodel.architecture import Architecture
from costmodel.blocks.delta_attention import KimiDeltaAttention
from costmodel.blocks.delta_net import GatedDeltaNet
from costmodel.blocks.mamba import Mamba2
from costmodel.blocks.mla import LatentAttention
from costmodel.formats import BF16, FORMATS
from costmodel.hardware import Accelerator
from costmodel.launches import in_engine
from costmodel.lengths import FixedLengths
from costmodel.memory import Server
from costmodel.plans import Plans
from costmodel.scenario import Limits, Scenario
from costmodel.working_memory import GIB
from search.base.errors import InputError
from search.evidence.start_logs.cards import card_of, shared_memory
from search.evidence.start_logs.models import architecture_of, encoder_bytes_of, table_bytes_of, whole_bytes_of
from search.evidence.start_logs.rows import StartLog
from search.evidence.start_logs.versions import sglang_memory, vllm_of
from search.inputs.config import read_cluster, read_engine
from search.inputs.efficiency_laws import load_law
from search.inputs.engine_defaults import TRTLLM_MEMORY, sglang_chunk, sglang_graphs, sglang_static, vllm_budgets
from search.inputs.engine_versions import LATEST, unlike_blocks, version_of, vllm_memory, vllm_share
from search.inputs.hardware_catalog import load_cluster, load_engine
from search.inputs.models.catalog import plain

ENGINES = {"vllm": "vllm", "sglang": "sglang", "tensorrtllm": "trtllm", "trtllm": "trtllm"}
DS_MLA = replace(
    FORMATS["fp8"], scale_bytes_per_element=80 / 576
)  # 656 bytes a token: fp8_ds_mla's scales and bf16 keys
MAMBA_RATIO = 0.9  # sglang --mamba-full-memory-ratio: states' share of the pool over that of tokens (0.5.23)
VERIFIED = 4  # tokens at once: three steps of a drafter and the model's own (sglang/srt/server_args.py, 0.5.23)
ASSUMED_LENGTH = 8192
# assumption: a DFlash drafter has five layers as wide as the model (12 width^2 parameters each), its tables and head
# being the model's; 1.0 billion beside a width of 4096.
DFLASH_LAYERS = 5
UNPRINTED, UNIFIED_SPREAD = 0.02, 0.04


@dataclass(frozen=True)
class Case:
    """What predicts a log. ``cache_share``: the part of the free memory that is for cached tokens (the rest for
    recurrent states, where an engine keeps them apart). ``drafter_bytes``: loaded beside the counted model, of one
    rank."""

    scenario: Scenario
    plan: Plans
    server: Server
    cache_share: float = 1.0
    drafter_bytes: float = 0.0


def case_of(row: StartLog, models: Path | None = None) -> Case:
    """The case of a log; ``InputError`` says why there is none."""
    name = ENGINES.get(plain(row.engine))
    if name is None:
        raise InputError(f"engine {row.engine!r} is not known")
    card = card_of(row.gpu, row.gpu_gib)
    if shared_memory(row.gpu) and name != "vllm":
        raise InputError(f"{row.gpu}: what the host leaves of a shared memory is not known")
    version = vllm_of(row.version) if name == "vllm" else version_of(row.version) or LATEST
    model = _model(row, models)
    plan = _plan(row, model, name)
    engine = read_engine(load_engine(name))
    if name == "vllm":
        engine = replace(engine, memory=unlike_blocks(vllm_memory(engine.memory, version), model, version))
    if name == "sglang":
        engine = replace(engine, memory=sglang_memory(engine.memory, row.version))
    if name == "trtllm":
        engine = replace(engine, memory=replace(engine.memory, paging="whole"))
    server = {"vllm": _vllm, "sglang": _sglang, "trtllm": _trtllm}[name](row, card, model, plan, version)
    drafter = server.draft_bytes + whole_bytes_of(row.model)
    server = replace(server, draft_bytes=drafter + _table(row), unsure_bytes=_unsure(row, card))
    scenario = Scenario(
        model=model,
        accelerator=card,
        cluster=read_cluster(load_cluster("single8"), card.link_bytes_per_s or 64e9),
        engine=replace(engine, max_batched_tokens=int(server.tokens)),
        lengths=FixedLengths(max(int(server.length) - 1, 1), 1),
        limits=Limits(memory_fraction=server.fraction, memory_of=server.share),
        law=in_engine(load_law("class_default"), engine, card, model),
    )
    if name == "sglang" and model.has_mixer(GatedDeltaNet, KimiDeltaAttention, Mamba2):
        return Case(scenario, plan, *_with_states(row, scenario, plan, server), drafter)
    return Case(scenario, plan, server, drafter_bytes=drafter)


def _model(row: StartLog, models: Path | None) -> Architecture:
    model = architecture_of(row.model, row.weights, models)
    if "language-model-only" in row.flags.lower():
        model = replace(model, vision_parameters=0)
    if "mm-encoder-tp-mode data" in row.flags.lower():  # whole on every rank
        model = replace(model, vision_parameters=model.vision_parameters * (row.tp or 1))
    text = row.cache_format.lower()
    if "nvfp4" in text:
        return replace(model, kv_format=FORMATS["nvfp4"])
    if "fp8" in text:
        latent = model.has_mixer(LatentAttention) and ("ds_mla" in text)
        return replace(model, kv_format=DS_MLA if latent else FORMATS["fp8"])
    if (not text or "auto" in text) and "modelopt" in row.weights.lower():
        # NVIDIA's tool writes that the cache is FP8, which both engines follow (get_kv_cache_quant_algo_string,
        # vllm/utils/torch_utils.py; configure_kv_cache_dtype, sglang/srt/model_executor/model_runner.py).
        return replace(model, kv_format=FORMATS["fp8"])
    return replace(model, kv_format=BF16) if text and "auto" not in text else model


def _plan(row: StartLog, model: Architecture, engine: str) -> Plans:
    """The layout; degrees that the log does not give are taken from its number of accelerators."""
    tp = row.tp or max((row.gpus or 1) // (row.pp * row.dp), 1)
    groups = row.dp if model.has_experts or row.attention_dp else 1
    if engine != "vllm" and row.attention_dp:
        if tp % groups:
            raise InputError(f"attention data parallel {groups} does not divide tp {tp}")
        tp //= groups
    elif engine != "vllm":
        groups = 1
    width = tp * groups
    ep = width if row.ep and model.has_experts else 1
    if model.layer_count < row.pp:
        raise InputError(f"pp {row.pp} is more than the model's {model.layer_count} layers")
    return Plans.of(gpus=width * row.pp, dp=1, pp=row.pp, tp=tp, ep=ep, batch=(row.sequences or 256) * groups)


def _captured(row: StartLog) -> int | None:
    """Largest captured batch, where a flag says it."""
    found = re.search(
        r"(?:capture[-_ ]sizes?(?: up to|=| )+|graph(?:s| )?[-a-z ]*(?:up to|to|bs)[-a-z]* )(\d+)", row.flags
    )
    return int(found[1]) if found else None


def _draft(row: StartLog, model: Architecture) -> float:
    """Bytes of a drafter: the checkpoint's own module for predicting further tokens."""
    if re.search(r"\bno (mtp|speculation)", row.flags, re.I):
        return 0.0
    if re.search(r"\bmtp\b|eagle|dspark|speculative", row.flags, re.I) or _draft_layers(row):
        # Quantisers to four bits leave the module in bf16; experts released in four bits are so there too.
        stored = model.quantization.default
        kept = model.quantization.of("experts.down") if model.has_experts and stored.bits > 4 else stored
        parameters = model.mtp_parameters * max(_draft_layers(row), 1)
        return parameters * (kept if stored.bits > 4 else BF16).bytes_per_element
    if re.search(r"dflash", row.flags, re.I):
        return DFLASH_LAYERS * 12.0 * model.hidden**2 * BF16.bytes_per_element
    return 0.0


def _table(row: StartLog) -> float:
    """Bytes of a table of embeddings a layer, whole on every rank, which is in host memory unless a log says that it is
    not."""
    return table_bytes_of(row.model) if re.search(r"table on the GPU", row.flags) else 0.0


def _unsure(row: StartLog, card: Accelerator) -> float:
    """One standard deviation of what lies outside of any term: a share that the log does not show (2 % of the memory),
    a host in the same memory (4 %, of the starts of DeepSeek-V4 and Qwen3 on GB10)."""
    unprinted, shared = row.fraction is None, shared_memory(row.gpu)
    return float(np.hypot(UNPRINTED * unprinted, UNIFIED_SPREAD * shared) * card.memory_bytes)


def _offloaded(row: StartLog) -> float:
    """Bytes of the weights in host memory, of one rank (``--cpu-offload-gb``)."""
    given = re.search(r"cpu.offload.gb[= ](\d+(?:\.\d+)?)", row.flags, re.I)
    if given is None and re.search(r"(?<!kv.)(?<!ple.cpu.)offload", row.flags, re.I):
        raise InputError("weights in host memory are not modelled")
    return float(given[1]) * GIB if given else 0.0


def _vllm(row: StartLog, card: Accelerator, model: Architecture, plan: Plans, version: tuple[int, int]) -> Server:
    tokens, sequences = vllm_budgets(card)
    length = float(row.length or model.max_position or ASSUMED_LENGTH)
    if version < (0, 9):
        sequences, tokens = 256, max(2048, round(length)) if length <= 32768 else 2048
    ranks = re.search(r"decode_context_parallel_size=(\d+)", row.flags)
    return Server(
        fraction=row.fraction or vllm_share(version),
        sequences=float(row.sequences or sequences),
        tokens=float(row.tokens or tokens),
        length=length,
        captured=_captured(row),
        eager=row.eager,
        cache_ranks=int(ranks[1]) if ranks else 1,
        draft_bytes=_draft(row, model) / float(plan.tp[0]),
        draft_tokens=_drafted(row),
        draft_layers=_draft_layers(row),
        encoder_bytes=encoder_bytes_of(row.model),
        host_bytes=_offloaded(row),
        shortens=row.length is None,  # a flag that the log does not show may have set it
    )


def _sglang(row: StartLog, card: Accelerator, model: Architecture, plan: Plans, version: tuple[int, int]) -> Server:
    _offloaded(row)
    width = int(plan.stage_width[0])
    default = sglang_static(card, width, row.pp)
    return Server(
        fraction=row.fraction or default,
        share="static",
        sequences=float(row.sequences or sglang_graphs(card, width)),
        tokens=float(row.tokens or sglang_chunk(card)),
        length=float(row.length or model.max_position or ASSUMED_LENGTH),
        captured=_captured(row) or sglang_graphs(card, width),
        shortens=True,
        eager=row.eager,
        draft_bytes=_draft(row, model) / float(plan.tp[0]),
    )


def _trtllm(row: StartLog, card: Accelerator, model: Architecture, plan: Plans, version: tuple[int, int]) -> Server:
    _offloaded(row)
    return Server(
        fraction=row.fraction or TRTLLM_MEMORY,
        share="free",
        sequences=float(row.sequences or 2048),
        tokens=float(row.tokens or 8192),
        length=float(row.length or model.max_position or ASSUMED_LENGTH),
        captured=_captured(row),
        shortens=True,
        eager=row.eager,
        draft_bytes=_draft(row, model) / float(plan.tp[0]),
    )


def _with_states(row: StartLog, scenario: Scenario, plan: Plans, server: Server) -> tuple[Server, float]:
    """SGLang keeps recurrent states in a pool of their own, of as many as a flag says or of a share of the memory
    (sglang/srt/model_executor/model_runner_kv_cache_mixin.py, 0.5.23): the server, and the share left for tokens."""
    slots = re.search(r"max.mamba.cache.size (\d+)|(\d+) state slots", row.flags)
    setting = scenario.setting(scenario.layout(plan))
    states = [k.mixer.state_bytes(setting) for k in scenario.model.kinds if k.mixer is not None]
    counts = [scenario.model.sequence.count(i) for i, k in enumerate(scenario.model.kinds) if k.mixer is not None]
    held = sum(n * float(np.sum(state)) for n, state in zip(counts, states, strict=True))
    if _draft_layers(row):  # states after each token that is verified (MambaPool, sglang/srt/mem_cache/memory_pool.py)
        running = min(server.sequences, float(server.captured or server.sequences))
        server = replace(server, draft_bytes=server.draft_bytes + running * VERIFIED * held)
    if slots:
        return replace(server, draft_bytes=server.draft_bytes + int(slots[1] or slots[2]) * held), 1.0
    found = re.search(r"mamba_full_memory_ratio (\d+(?:\.\d+)?)", row.flags)
    return server, 1.0 / (1.0 + (float(found[1]) if found else MAMBA_RATIO))


def _draft_layers(row: StartLog) -> int:
    """Layers of a drafter whose windows share DeepSeek-V4's pool: DSpark has three (its 46 windows are dealt by 23, as
    1.93 GiB for 262,144 tokens and 143,599 tokens of 8.07 GiB in start logs say), a module for further tokens one."""
    if re.search(r"\bno (mtp|speculation)", row.flags, re.I):
        return 0
    if re.search(r"dspark", f"{row.flags} {row.model}", re.I):
        return 3
    return int(re.search(r"\bmtp\b", row.flags, re.I) is not None)


def _drafted(row: StartLog) -> int:
    found = re.search(r"(?:mtp|dspark|eagle|draft)\w* (\d+) tokens?", row.flags, re.I)
    return int(found[1]) if found else 0
