"""From a measurement to the scenario and plan that predict it, through the same readers as the search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from costmodel.architecture import Architecture, Layer
from costmodel.blocks.gqa import GroupedQueryAttention
from costmodel.cluster import Cluster
from costmodel.efficiency import EfficiencyLaw
from costmodel.engine import Engine
from costmodel.formats import WeightFormat, weight_format
from costmodel.hardware import Accelerator
from costmodel.launches import in_engine
from costmodel.lengths import FixedLengths
from costmodel.plans import Plans
from costmodel.scenario import Limits, Scenario
from search.base.errors import InputError
from search.evidence.measured.recipes import recipe_of
from search.evidence.measured.rows import CUT_SHORT, Measurement
from search.evidence.measured.versions import engine_of_version, links_of_version, memory_of
from search.inputs.config import read_cluster, read_engine, read_hardware
from search.inputs.efficiency_laws import read_law
from search.inputs.engine_defaults import TRTLLM_MEMORY, VLLM_MEMORY, sglang_static
from search.inputs.hardware_catalog import find_hardware, load_cluster, load_engine, load_hardware
from search.inputs.models import ConfigError, ReadModel, find_model, load_config_json, read_architecture
from search.inputs.models.catalog import load_entry, plain
from search.inputs.schema import HardwareConfig

ENGINES = {
    "vllm": "vllm", "vllmrocm": "vllm", "vllmascend": "vllm", "deepspeedvllmerasplitwise": "vllm",
    "sglang": "sglang", "atom": "vllm",
    "trtllm": "trtllm", "trt": "trtllm", "tensorrtllm": "trtllm", "nimtensorrtllm": "trtllm",
}  # fmt: skip
# How a precision as printed maps to the format of linear layers; None leaves the published format.
FORMATS = {
    "bf16": "bf16", "fp16": "fp16", "fp16/bf16": "bf16", "bf16(default)": None, "fp8": "fp8",
    "fp8_block": "fp8_block", "fp4": "nvfp4", "nvfp4": "nvfp4", "mxfp4": "mxfp4", "int4": "int4", "int8": "int8",
    "": None,
}  # fmt: skip
FOUR_BITS = ("nvfp4", "mxfp4", "int4")
BLACKWELL = ("b200_sxm", "b300_sxm", "gb200", "gb300")
# Measured runs stand in the cluster that their accelerator comes with; the node tier alone matters within one node. The
# superchips' runs take up to eight GPUs, to which the constants of the HGX board were fitted.
MEASURED_IN = dict.fromkeys(("gb200", "gb300"), "hgx8_blackwell_400g")
# Public benchmarks send ten requests for each of the concurrent ones (InferenceX: num_prompts = 10 x concurrency); all
# begin at once. Where a source does not say, the same is assumed.
WAVES = 10.0
MOST = 1e7  # tokens, sequences or accelerators: beyond it a cell is a slip


@dataclass(frozen=True)
class Case:
    """What predicts a measurement. ``scenario`` has no limits but memory; ``replicas`` is the plan's dp."""

    scenario: Scenario
    plan: Plans
    hardware: str
    engine: str
    assumptions: tuple[str, ...]


def scenario_key(m: Measurement, case: Case) -> tuple[object, ...]:
    """Equal for measurements whose cases have the same scenario, so that their plans can be evaluated together."""
    s = case.scenario
    named = (m.model, case.hardware, m.precision, m.kv_precision)
    return (*named, s.engine, s.cluster, s.limits, s.lengths, s.synchronised, s.together, s.waves)


@cache
def read_named_model(name: str, weights: str | None, folder: Path | None) -> ReadModel:
    """A model of the catalog by any of its names, or a ``config.json`` in ``folder`` whose file name it is,
    or its folder's."""
    if folder is not None:
        for path in [*sorted(folder.glob("*.json")), *sorted(folder.glob("*/config.json"))]:
            own = path.parent.name if path.parent != folder else path.stem
            if plain(own) in (plain(name), plain(name.rsplit("/", 1)[-1])):
                return read_architecture(load_config_json(path), name=name, weights=weights)
    entry = load_entry(find_model(name))
    published = entry["published"]
    quantised = "quantization_config" in published or "quantization_config" in published.get("text_config", {})
    same = quantised and _same_bits(published, weights)
    cast = entry["weights"] or (None if same else weights)
    read = read_architecture(published, name=entry["name"], weights=cast, kv_cache=entry["kv_cache"])
    return _in_format(read, weights) if same and weights in FOUR_BITS else read


def _in_format(read: ReadModel, weights: str) -> ReadModel:
    """A four-bit checkpoint in another four-bit format: the same modules are quantised, the others are left alone."""
    before, runs = read.architecture.quantization, read.architecture.runs

    def changed(kept: WeightFormat) -> WeightFormat:
        return weight_format(weights) if kept.name in FOUR_BITS else kept

    after = replace(before, default=changed(before.default), modules={m: changed(f) for m, f in before.modules.items()})
    own = [replace(run.layer, formats=tuple((m, changed(f)) for m, f in run.layer.formats)) for run in runs]
    runs = tuple(replace(run, layer=layer) for run, layer in zip(runs, own, strict=True))
    return replace(read, architecture=replace(read.architecture, quantization=after, runs=runs))


def _same_bits(published: dict, weights: str | None) -> bool:  # type: ignore[type-arg]
    """True if the checkpoint is published in the measured precision already."""
    config = published.get("quantization_config") or published.get("text_config", {}).get("quantization_config") or {}
    text = str(config).lower()
    if weights is None:
        return True
    if weights.startswith("fp8"):
        # Nobody casts a four-bit checkpoint to eight bits: the eight are those of activations or of the cache.
        return ("fp8" in text and "nvfp4" not in text) or "mxfp4" in text
    return weights in ("nvfp4", "mxfp4", "int4") and ("fp4" in text or "'num_bits': 4" in text)


def weights_of(m: Measurement) -> str | None:
    """The format of linear layers. Qwen's own FP8 checkpoints, which are served where a table says Qwen3 and fp8, have
    scales of blocks of 128 (``quantization_config`` of Qwen/Qwen3-32B-FP8 and its sisters)."""
    weights = FORMATS[m.precision]
    qwen = plain(m.model.rsplit("/", 1)[-1]).startswith("qwen3") and "nvidia/" not in m.model.lower()
    return "fp8_block" if weights == "fp8" and qwen else weights


def _complete(m: Measurement) -> None:
    """``InputError`` if the row lacks what its regime needs, or holds a size that no run has."""
    if m.problem == CUT_SHORT:
        raise InputError(m.problem)
    needs = m.regime not in ("max_throughput_offline", "disaggregated")
    if (needs or m.concurrency is not None) and not (m.concurrency is not None and 1 <= m.concurrency <= MOST):
        raise InputError(f"concurrency {m.concurrency} is not a number from 1 to {MOST:g}")
    sizes = (m.isl, m.osl, m.gpus, m.tp, m.pp, m.attn_dp, m.ep)
    if any(size is not None and not 0 <= size <= MOST for size in sizes):
        raise InputError(f"a length or degree is not within 0 and {MOST:g}")
    if m.problem:
        raise InputError(m.problem)


def case_of(
    m: Measurement, models: Path | None = None, *, scripted: bool = True, clusters: Mapping[str, str] = MEASURED_IN
) -> Case:
    """The case of a measurement; ``InputError`` says why there is none. ``scripted``: by a launch script of aggregated
    servers where one is known (``recipes``); ``clusters``: where accelerators stand, if not where they come with."""
    _complete(m)
    if m.regime == "disaggregated":
        known = "predicted by its pools, and in no fit" if m.pools else "and no layout of its pools is given"
        raise InputError(f"disaggregated, {known}")
    if m.note == "speculative decoding":
        raise InputError("speculative decoding is not modelled")
    engine_name = ENGINES.get(plain(m.engine))
    if engine_name is None:
        raise InputError(f"engine {m.engine!r} is not known")
    if m.precision not in FORMATS:
        raise InputError(f"precision {m.precision!r} is not known")
    if m.isl < 1 or m.osl < 1 or m.gpus < 1:
        raise InputError("lengths or GPUs are not given")
    try:
        read = read_named_model(m.model, weights_of(m), models)
    except ConfigError as error:
        raise InputError(f"model {m.model!r}: {error}") from error
    option = find_hardware(m.system)
    hardware, accelerator, law = _hardware(option)
    links = _cluster(clusters.get(option) or hardware.cluster or "single8", accelerator.link_bytes_per_s)
    engine = engine_of_version(_engine(engine_name), m, read.architecture, accelerator)
    limits = Limits(memory_fraction=_memory_fraction(m, engine_name, accelerator), memory_of=memory_of(m, engine_name))
    recipe = recipe_of(m, engine_name, option) if scripted else None
    if recipe is not None:
        engine, limits, m = recipe.engine_of(engine, m), recipe.limits_of(limits), recipe.row_of(m)
    architecture, kv_note = with_cache_format(m, read.architecture, engine_name, option)
    if engine_name == "trtllm":
        architecture = with_whole_cache(architecture)
    scenario = Scenario(
        model=architecture,
        accelerator=accelerator,
        cluster=links_of_version(m, links, hardware.vendor),
        engine=engine,
        lengths=FixedLengths(max(round(m.isl), 1), max(round(m.osl), 1)),
        limits=limits,
        law=in_engine(law, engine, accelerator, architecture),
        waves=m.waves or WAVES,
        synchronised=not m.varied,
        together=m.together,
    )
    plan = plan_of(m, read.architecture.has_experts)
    return Case(scenario, plan, option, engine_name, (*read.assumptions, *kv_note, *([m.note] if m.note else [])))


# A file of 100,000 rows has a handful of accelerators and engines.
@cache
def _hardware(option: str) -> tuple[HardwareConfig, Accelerator, EfficiencyLaw]:
    config = load_hardware(option)
    return config, read_hardware(config), read_law(config.efficiency)


@cache
def _cluster(option: str, link_bytes_per_s: float | None) -> Cluster:
    return read_cluster(load_cluster(option), link_bytes_per_s)


@cache
def _engine(name: str) -> Engine:
    return read_engine(load_engine(name))


def _memory_fraction(m: Measurement, engine: str, accelerator: Accelerator) -> float:
    """The engines' defaults."""
    if engine == "sglang":
        return sglang_static(accelerator, (m.tp or 1) * (m.attn_dp or 1), m.pp)
    return {"vllm": VLLM_MEMORY, "trtllm": TRTLLM_MEMORY}[engine]


def with_cache_format(
    m: Measurement, architecture: Architecture, engine: str, hardware: str
) -> tuple[Architecture, list[str]]:
    """The cache format that a run most likely used: as printed, else FP8 where quantised checkpoints are served with
    it by default (TensorRT-LLM takes the checkpoint's kv_cache_quant_algo, which NVIDIA's FP8 and FP4 checkpoints set;
    vLLM recipes for Blackwell set it), else the model's own."""
    printed = {"fp8": "fp8", "bf16": "bf16", "fp16": "bf16"}.get(m.kv_precision.lower())
    if printed is not None:
        return replace(architecture, kv_format=weight_format(printed)), []
    quantised = FORMATS[m.precision] in ("fp8", "fp8_block", "nvfp4", "mxfp4")
    if quantised and (engine == "trtllm" or (engine == "vllm" and hardware in BLACKWELL)):
        return replace(architecture, kv_format=weight_format("fp8")), ["the KV cache is taken as FP8"]
    return architecture, []


def with_whole_cache(architecture: Architecture) -> Architecture:
    """TensorRT-LLM's cache keeps all tokens of layers with a window or chunks unless ``max_attention_window`` is set
    (KvCacheConfig, TensorRT-LLM 1.0, "the maximum attention window size; full if unset")."""

    def whole(layer: Layer) -> Layer:
        seen = isinstance(layer.mixer, GroupedQueryAttention)
        return replace(layer, mixer=replace(layer.mixer, keeps_all=True)) if seen else layer  # type: ignore[type-var]

    return replace(architecture, runs=tuple(replace(run, layer=whole(run.layer)) for run in architecture.runs))


def spread_by_default(m: Measurement) -> bool:
    """TensorRT-LLM's published tables of MoE models do not print ep and attention DP; their benchmarks' notes say that
    both span all GPUs."""
    unprinted = m.ep is None and m.attn_dp is None and m.moe_tp is None
    return unprinted and m.pp == 1 and m.gpus > 1 and ENGINES.get(plain(m.engine)) == "trtllm"


def plan_of(m: Measurement, experts: bool) -> Plans:
    """The layout, with what the source leaves out filled in: tp as wide as the GPUs, one replica, no expert
    parallelism."""
    attn_dp = m.attn_dp or 1
    tp = m.tp or max(m.gpus // (m.pp * attn_dp), 1)
    if tp * attn_dp * m.pp > m.gpus == tp * m.pp and tp % attn_dp == 0:
        tp //= attn_dp  # SGLang prints the whole stage's width as its tp
    ep = m.ep
    if experts and spread_by_default(m):
        tp, attn_dp, ep = 1, m.gpus, m.gpus
    width = tp * attn_dp if experts else tp
    if not experts:
        attn_dp = 1
    ep = min(ep or 1, width) if experts else 1
    replicas = max(m.gpus // (width * m.pp), 1)
    if replicas * width * m.pp != m.gpus or width % ep:
        raise InputError(f"layout tp {tp}, pp {m.pp}, attn_dp {attn_dp}, ep {ep} does not fill {m.gpus} GPUs")
    batch = max(round((m.concurrency or 1) / replicas), 1)
    return Plans.of(gpus=m.gpus, dp=replicas, pp=m.pp, tp=tp, ep=ep, batch=batch)
