"""From the typed configuration to frozen records. Every value is checked once, here."""

from __future__ import annotations

from costmodel.all_reduce import KERNELS
from costmodel.architecture import Architecture
from costmodel.cluster import Cluster, Tier
from costmodel.engine import ENGINES, Engine
from costmodel.graphs import PREFILL_GRAPHS
from costmodel.hardware import Accelerator
from costmodel.launches import EXPERT_KERNELS, FP8_PRODUCTS, INPUT_QUANTISATION, in_engine
from costmodel.lengths import FixedLengths
from costmodel.scenario import Limits, Scenario
from search.base.errors import InputError
from search.inputs.checks import choice, number
from search.inputs.efficiency_laws import read_law
from search.inputs.memory_terms import read_memory
from search.inputs.models import ConfigError, ReadModel, load_config_json, read_architecture
from search.inputs.schema import (
    ClusterConfig,
    Config,
    EngineConfig,
    HardwareConfig,
    LimitsConfig,
    ModelConfig,
    ReportConfig,
    StrategyConfig,
    WorkloadConfig,
)


def read_model(config: ModelConfig) -> ReadModel:
    """From a ``config.json`` if one is named, else from the fields in the catalog file."""
    try:
        fields = load_config_json(config.config) if config.config else config.published
        name = config.config if config.config else config.name
        return read_architecture(fields, name=name, weights=config.weights, kv_cache=config.kv_cache)
    except ConfigError as error:
        raise InputError(f"model: {error}") from error


def read_hardware(config: HardwareConfig) -> Accelerator:
    if not config.peak_flops:
        raise InputError("hardware.peak_flops: {} is empty; give dense FLOP/s by dtype, bf16 at least")
    peaks = {k: number(f"hardware.peak_flops.{k}", v, 0) for k, v in config.peak_flops.items()}
    if "bf16" not in peaks:
        raise InputError(f"hardware.peak_flops: {sorted(peaks)} lacks bf16, which every engine falls back to")

    def optional(name: str) -> float | None:
        value = getattr(config, name)
        return None if value is None else number(f"hardware.{name}", value, 0)

    return Accelerator(
        name=config.name,
        memory_bytes=number("hardware.memory_bytes", config.memory_bytes, 0),
        memory_bytes_per_s=number("hardware.memory_bytes_per_s", config.memory_bytes_per_s, 0),
        peak_flops=peaks,
        link_bytes_per_s=optional("link_bytes_per_s"),
        datasheet_memory_bytes=optional("datasheet_memory_bytes"),
        power_w=optional("power_w"),
        price_per_hour=optional("price_per_hour"),
        dependent_launch=config.dependent_launch,
        vendor=config.vendor,
    )


def read_cluster(config: ClusterConfig, link_bytes_per_s: float | None) -> Cluster:
    if not config.tiers:
        raise InputError("cluster.tiers: [] is empty; give at least the tier of a node")
    tiers: list[Tier] = []
    for i, tier in enumerate(config.tiers):
        key = f"cluster.tiers[{i}]"
        speed = tier.bytes_per_s if tier.bytes_per_s is not None else link_bytes_per_s
        if speed is None:
            raise InputError(f"{key}.bytes_per_s: null means the accelerator's own link, and it states none")
        number(f"{key}.size", tier.size, tiers[-1].size if tiers else 0)
        tiers.append(
            Tier(
                tier.name,
                tier.size,
                number(f"{key}.latency_s", tier.latency_s, 0, 1, open_low=False),
                number(f"{key}.bytes_per_s", speed, 0),
                number(f"{key}.efficiency", tier.efficiency, 0, 1),
                number(f"{key}.oversubscription", tier.oversubscription, 1, open_low=False),
                number(f"{key}.switch_latency_s", tier.switch_latency_s, 0, 1, open_low=False),
            )
        )
    return Cluster(config.name, tuple(tiers))


def read_engine(config: EngineConfig) -> Engine:
    choice("engine.name", config.name, ("any", *ENGINES))
    overheads = (
        "step_overhead_s", "layer_overhead_s", "sequence_overhead_s", "request_overhead_s", "prompt_token_s",
        "eager_launch_s", "eager_experts_s", "stream_token_s",
    )  # fmt: skip
    return Engine(
        name=config.name,
        max_batched_tokens=int(number("engine.max_batched_tokens", config.max_batched_tokens, 0)),
        block_tokens=int(number("engine.block_tokens", config.block_tokens, 0)),
        output_reserved=number("engine.output_reserved", config.output_reserved, 0, 1, open_low=False),
        shared_stream_tokens=int(number("engine.shared_stream_tokens", config.shared_stream_tokens, 0, open_low=False)),
        launch_share=number("engine.launch_share", config.launch_share, 0, 10, open_low=False),
        unfused_launches=number("engine.unfused_launches", config.unfused_launches, 0, 10),
        input_quantisation=choice("engine.input_quantisation", config.input_quantisation, tuple(INPUT_QUANTISATION)),
        fp8_products=choice("engine.fp8_products", config.fp8_products, tuple(FP8_PRODUCTS)),
        reserve_bytes=number("engine.reserve_bytes", config.reserve_bytes, 0, open_low=False),
        dense_split=choice("engine.dense_split", config.dense_split, ("tp", "stage")),
        exchange=choice("engine.exchange", config.exchange, ("allgather", "alltoall")),
        expert_imbalance=number("engine.expert_imbalance", config.expert_imbalance, 1, open_low=False),
        expert_skew=number("engine.expert_skew", config.expert_skew, 0, 100, open_low=False),
        expert_tile_rows=number("engine.expert_tile_rows", config.expert_tile_rows, 0, 1024, open_low=False),
        expert_rows=choice("engine.expert_rows", config.expert_rows, ("local", "all")),
        attention_format=choice("engine.attention_format", config.attention_format, ("bf16", "cache")),
        eager_layers=choice("engine.eager_layers", config.eager_layers, ("experts", "all")),
        captured_tokens=int(number("engine.captured_tokens", config.captured_tokens, 0, open_low=False)),
        prefill_graphs=choice("engine.prefill_graphs", config.prefill_graphs, PREFILL_GRAPHS),
        stream_interval=int(number("engine.stream_interval", config.stream_interval, 0)),
        steps_ahead=number("engine.steps_ahead", config.steps_ahead, 0, 10, open_low=False),
        hold_steps=number("engine.hold_steps", config.hold_steps, 0, 1000, open_low=False),
        expert_kernels=choice("engine.expert_kernels", config.expert_kernels, tuple(EXPERT_KERNELS)),
        expert_stretch=number("engine.expert_stretch", config.expert_stretch, 0, 10),
        all_reduce=choice("engine.all_reduce", config.all_reduce, tuple(KERNELS)),
        all_reduce_norm=choice("engine.all_reduce_norm", config.all_reduce_norm, ("apart", "experts", "fused")),
        one_pass_tokens=int(number("engine.one_pass_tokens", config.one_pass_tokens, 0, open_low=False)),
        comm_overlap=number("engine.comm_overlap", config.comm_overlap, 0, 1, open_low=False),
        memory=read_memory(config.memory),
        **{o: number(f"engine.{o}", getattr(config, o), 0, 10, open_low=False) for o in overheads},
    )


def read_workload(config: WorkloadConfig) -> FixedLengths:
    number("workload.isl", config.isl, 0, 10_000_000)
    number("workload.osl", config.osl, 0, 10_000_000)
    hit = number("workload.prefix_hit", config.prefix_hit, 0, open_low=False)
    if hit >= 1:
        raise InputError(f"workload.prefix_hit: {hit} is not allowed; give a share from 0 to below 1")
    return FixedLengths(config.isl, config.osl, hit)


def read_limits(config: LimitsConfig) -> Limits:
    def optional(name: str) -> float | None:
        value = getattr(config, name)
        return None if value is None else number(f"limits.{name}", value, 0)

    return Limits(
        memory_fraction=number("limits.memory_fraction", config.memory_fraction, 0, 1),
        ttft_s=optional("ttft_s"),
        ttft_statistic=choice("limits.ttft_statistic", config.ttft_statistic, ("burst", "mean")),
        tpot_s=optional("tpot_s"),
        min_requests_per_s=optional("min_requests_per_s"),
    )


def read_scenario(config: Config, model: Architecture) -> Scenario:
    """Everything that a plan is scored against."""
    accelerator = read_hardware(config.hardware)
    engine = read_engine(config.engine)
    return Scenario(
        model=model,
        accelerator=accelerator,
        cluster=read_cluster(config.cluster, accelerator.link_bytes_per_s),
        engine=engine,
        lengths=read_workload(config.workload),
        limits=read_limits(config.limits),
        law=in_engine(read_law(config.hardware.efficiency), engine, accelerator, model),
    )


def check_strategy(config: StrategyConfig) -> None:
    """Ranges of the search's own settings; the sampler's name is checked where it is looked up."""
    number("strategy.n_trials", config.n_trials, 0, 1_000_000)
    number("strategy.seed", config.seed, 0, 2**32 - 1, open_low=False)
    number("strategy.population", config.population, 2, 100_000, open_low=False)
    number("strategy.exact_limit", config.exact_limit, 0, 50_000_000, open_low=False)


def check_report(config: ReportConfig) -> None:
    """Which pages a run writes."""
    choice("report.kind", config.kind, ("html", "none"))
    number("report.max_points", config.max_points, 0, 100_000, open_low=False)
