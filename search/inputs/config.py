"""From the typed configuration to frozen records. Every value is checked once, here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from costmodel.architecture import Architecture
from costmodel.cluster import Cluster, Tier
from costmodel.efficiency import EfficiencyLaw
from costmodel.engine import Engine
from costmodel.formats import COMPUTE_DTYPES, FORMATS
from costmodel.hardware import Accelerator
from costmodel.launches import in_engine
from costmodel.lengths import FixedLengths
from costmodel.scenario import Demand, Limits, Scenario
from costmodel.working_memory import WorkingMemory
from search.base.errors import InputError
from search.inputs.checks import number
from search.inputs.derived import check_ranges, checked, not_empty
from search.inputs.efficiency_laws import read_law
from search.inputs.engine_versions import of_version
from search.inputs.hardware_catalog import load_engine
from search.inputs.models import ConfigError, ReadModel, read_architecture, read_checkpoint
from search.inputs.schema import (
    ClusterConfig,
    Config,
    EngineConfig,
    HardwareConfig,
    LimitsConfig,
    ModelConfig,
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
    traffic = read_traffic(config)
    return traffic.lengths(), traffic.demand()


def read_limits(config: LimitsConfig) -> Limits:
    check_ranges("limits", config)
    return Limits(**vars(config))


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


@dataclass(frozen=True)
class Machine:
    """What a model is served on: ``accelerator`` with its ``law``, ``cluster``, ``engine`` of a ``version``."""

    accelerator: Accelerator
    cluster: Cluster
    engine: Engine
    law: EfficiencyLaw
    version: str = ""

    def serving(self, model: Architecture) -> dict[str, Any]:
        """The fields of a ``Scenario`` that it makes with ``model``."""
        engine = self.engine
        if engine.name == "vllm" and self.version:
            usual = read_engine(load_engine("vllm")).memory
            engine = of_version(engine, self.version, model, usual)
        law = in_engine(self.law, engine, self.accelerator, model)
        return {"accelerator": self.accelerator, "cluster": self.cluster, "engine": engine, "law": law}


def read_machine(config: Config) -> Machine:
    """Of the groups ``hardware``, ``cluster`` and ``engine``."""
    accelerator, engine = read_hardware(config.hardware), read_engine(config.engine)
    cluster = read_cluster(config.cluster, accelerator.link_bytes_per_s)
    return Machine(accelerator, cluster, engine, read_law(config.hardware.efficiency), config.engine.version)


def read_scenario(config: Config, model: Architecture) -> Scenario:
    """Everything that a plan is scored against."""
    machine = read_machine(config)
    lengths, demand = read_workload(config.workload)
    check_context(config.workload, lengths, model.max_position)
    limits = read_limits(config.limits)
    return Scenario(model=model, lengths=lengths, limits=limits, demand=demand, **machine.serving(model))


def check_search(config: Config) -> None:
    """The search's own settings and what it writes; the sampler's name is checked where it is looked up."""
    for group in ("strategy", "report", "output", "verify", "sensitivity", "objective"):
        check_ranges(group, getattr(config, group))
