"""From the typed configuration to frozen records. Every value is checked once, here."""

from __future__ import annotations

from typing import Any

from costmodel.architecture import Architecture
from costmodel.cluster import Cluster, Tier
from costmodel.engine import Engine
from costmodel.formats import COMPUTE_DTYPES, FORMATS
from costmodel.hardware import Accelerator
from costmodel.launches import in_engine
from costmodel.lengths import FixedLengths
from costmodel.scenario import STATISTICS, Demand, Limits, Scenario
from costmodel.working_memory import WorkingMemory
from search.base.errors import InputError
from search.inputs.checks import choice, number
from search.inputs.derived import checked, not_empty
from search.inputs.efficiency_laws import read_law
from search.inputs.engine_versions import of_version
from search.inputs.hardware_catalog import load_engine
from search.inputs.meant import meant
from search.inputs.models import ConfigError, ReadModel, read_architecture, read_checkpoint
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
from search.inputs.traffic import check_context, read_traffic

CAST = " cast to "


def read_model(config: ModelConfig) -> ReadModel:
    """From a ``config.json`` if one is named, else from the fields in the catalog file."""
    try:
        cast: Any = {"weights": config.weights, "kv_cache": config.kv_cache, "text_only": config.text_only}
        if config.config:
            return read_checkpoint(config.config, name=_name(config), **cast)
        return read_architecture(config.published, name=_name(config), **cast)
    except ConfigError as error:
        raise InputError(f"model: {error}") from error


def _name(config: ModelConfig) -> str:
    """A name may say what weights are cast to; where something else was asked for, it says that."""
    base, said, cast = config.name.rpartition(CAST)
    if said and config.weights and cast.lower() in FORMATS:
        return f"{base}{CAST}{config.weights.upper()}"
    return config.name


def read_hardware(config: HardwareConfig) -> Accelerator:
    not_empty("hardware.peak_flops", config.peak_flops, "dense FLOP/s by dtype, bf16 at least")
    if "bf16" not in config.peak_flops:
        raise InputError(
            f"hardware.peak_flops: {sorted(config.peak_flops)} lacks bf16, which every engine falls back to"
        )
    unknown = sorted(set(config.peak_flops) - COMPUTE_DTYPES)
    if unknown:
        raise InputError(
            f"hardware.peak_flops: {unknown[0]!r} is not allowed; dtypes: {', '.join(sorted(COMPUTE_DTYPES))}"
        )
    return Accelerator(**checked(Accelerator, config, "hardware"))


def read_cluster(config: ClusterConfig, link_bytes_per_s: float | None) -> Cluster:
    not_empty("cluster.tiers", config.tiers, "at least the tier of a node")
    tiers: list[Tier] = []
    for i, tier in enumerate(config.tiers):
        key = f"cluster.tiers[{i}]"
        speed = tier.bytes_per_s if tier.bytes_per_s is not None else link_bytes_per_s
        if speed is None:
            raise InputError(f"{key}.bytes_per_s: null means the accelerator's own link, and it states none")
        number(f"{key}.size", tier.size, tiers[-1].size if tiers else 0)
        tiers.append(Tier(**checked(Tier, tier, key, bytes_per_s=speed)))
    return Cluster(config.name, tuple(tiers))


def read_engine(config: EngineConfig) -> Engine:
    memory = WorkingMemory(**checked(WorkingMemory, config.memory, "engine.memory"))
    return Engine(**checked(Engine, config, "engine", memory=memory))


def read_workload(config: WorkloadConfig) -> tuple[FixedLengths, Demand | None]:
    """The lengths of the requests, and how they arrive: ``None`` in the closed loop."""
    number("workload.isl", config.isl, 0, 10_000_000)
    number("workload.osl", config.osl, 0, 10_000_000)
    hit = number("workload.prefix_hit", config.prefix_hit, 0, open_low=False)
    if hit >= 1:
        hint = meant("workload.prefix_hit", hit, 0, 1)
        said = f"; {hint}" if hint else ""
        raise InputError(f"workload.prefix_hit: {hit} is not allowed; give a share from 0 to below 1{said}")
    traffic = read_traffic(config)
    return traffic.lengths(), traffic.demand()


# The largest limits that can be meant: no one waits ten minutes for a first token, or ten seconds for each further one.
LARGEST_TTFT_S = 600.0
LARGEST_TPOT_S = 10.0
LARGEST_E2E_S = 1e5
MOST_REQUESTS_PER_S = 1e7


def read_limits(config: LimitsConfig) -> Limits:
    def optional(name: str, most: float) -> float | None:
        value = getattr(config, name)
        return None if value is None else number(f"limits.{name}", value, 0, most)

    return Limits(
        memory_fraction=number("limits.memory_fraction", config.memory_fraction, 0, 1),
        ttft_s=optional("ttft_s", LARGEST_TTFT_S),
        ttft_statistic=choice("limits.ttft_statistic", config.ttft_statistic, ("burst", *STATISTICS)),
        tpot_s=optional("tpot_s", LARGEST_TPOT_S),
        tpot_statistic=choice("limits.tpot_statistic", config.tpot_statistic, STATISTICS),
        e2e_s=optional("e2e_s", LARGEST_E2E_S),
        e2e_statistic=choice("limits.e2e_statistic", config.e2e_statistic, STATISTICS),
        goodput=optional("goodput", 1.0),
        overflow_risk=optional("overflow_risk", 1.0),
        min_requests_per_s=optional("min_requests_per_s", MOST_REQUESTS_PER_S),
    )


def check_rate(scenario: Scenario) -> None:
    """``InputError`` in the closed loop for the first limit that only requests at a rate can keep."""
    limits = scenario.limits
    if scenario.demand is not None:
        return
    asked = {f"{name}_statistic": getattr(limits, f"{name}_statistic") for name in ("ttft", "tpot", "e2e")}
    wrong = {key: value for key, value in asked.items() if value not in ("mean", "burst")}
    wrong |= {
        key: getattr(limits, key) for key in ("e2e_s", "goodput", "overflow_risk") if getattr(limits, key) is not None
    }
    for key, value in wrong.items():
        raise InputError(
            f"limits.{key}: {value} is not known in the closed loop; set workload.requests_per_s and "
            "workload.arrivals.kind, as poisson"
        )


def read_scenario(config: Config, model: Architecture) -> Scenario:
    """Everything that a plan is scored against."""
    accelerator = read_hardware(config.hardware)
    engine = read_engine(config.engine)
    if engine.name == "vllm" and config.engine.version:
        usual = read_engine(load_engine("vllm")).memory
        engine = of_version(engine, config.engine.version, model, usual)
    lengths, demand = read_workload(config.workload)
    check_context(config.workload, lengths, model.max_position)
    limits = read_limits(config.limits)
    return Scenario(
        model=model,
        accelerator=accelerator,
        cluster=read_cluster(config.cluster, accelerator.link_bytes_per_s),
        engine=engine,
        lengths=lengths,
        limits=limits,
        law=in_engine(read_law(config.hardware.efficiency), engine, accelerator, model),
        demand=demand,
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
