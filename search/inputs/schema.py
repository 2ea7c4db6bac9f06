"""The shape of every configuration file. A key that is not here is an error wherever it is given.

Hydra composes these groups without a schema; ``search.inputs.typed`` merges the result into ``Config``. (With the
schema in the defaults list Hydra 1.3 would take an added key such as ``+modle=x`` in silence.) Units are SI and stand
in the names. ``docs/configuration.md`` explains the keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class ModelConfig:
    name: str = MISSING
    aliases: list[str] = field(default_factory=list)
    source: str = ""
    config: str | None = None  # path to a config.json; wins over ``published``
    weights: str | None = None  # format to cast linear layers to; null: as published
    kv_cache: str | None = None  # format of the cache; null: as published
    published: dict[str, Any] = field(default_factory=dict)


@dataclass
class HardwareConfig:
    name: str = MISSING
    vendor: str = ""
    aliases: list[str] = field(default_factory=list)
    memory_bytes: float = MISSING
    datasheet_memory_bytes: float | None = None
    memory_bytes_per_s: float = MISSING
    peak_flops: dict[str, float] = MISSING
    link_bytes_per_s: float | None = None
    power_w: float | None = None
    price_per_hour: float | None = None
    price_as_of: str | None = None
    dependent_launch: bool = True  # False: no programmatic dependent launch (AMD; NVIDIA before Hopper)
    efficiency: dict[str, Any] = MISSING
    sources: dict[str, str] = field(default_factory=dict)


@dataclass
class TierConfig:
    name: str = MISSING
    size: int = MISSING
    latency_s: float = MISSING
    bytes_per_s: float | None = None  # null: the accelerator's own link
    efficiency: float = 1.0  # share of bytes_per_s that a collective achieves
    oversubscription: float = 1.0
    switch_latency_s: float = 0.0  # 0: the switch adds nothing up
    source: dict[str, str] = field(default_factory=dict)


@dataclass
class ClusterConfig:
    name: str = MISSING
    source: str = ""
    tiers: list[TierConfig] = MISSING


@dataclass
class EngineConfig:
    name: str = MISSING  # any | vllm | sglang | trtllm
    version: str = ""
    max_batched_tokens: int = 8192
    block_tokens: int = 16
    output_reserved: float = 1.0
    reserve_bytes: float = MISSING
    dense_split: str = "tp"
    exchange: str = "allgather"
    expert_imbalance: float = 1.0
    expert_skew: float = 0.0
    expert_tile_rows: float = 0.0
    expert_stretch: float = 1.0
    expert_kernels: str = "any"
    expert_rows: str = "local"
    attention_format: str = "bf16"
    comm_overlap: float = 0.0
    all_reduce: str = "custom"
    all_reduce_norm: str = "apart"
    one_pass_tokens: int = 0
    shared_stream_tokens: int = 0
    launch_share: float = 1.0
    unfused_launches: float = 1.0
    input_quantisation: str = "apart"
    fp8_products: str = "cutlass"
    step_overhead_s: float = 0.0
    layer_overhead_s: float = 0.0
    sequence_overhead_s: float = 0.0
    request_overhead_s: float = 0.0
    prompt_token_s: float = 0.0
    eager_launch_s: float = 0.0
    eager_layers: str = "experts"
    eager_experts_s: float = 0.0
    captured_tokens: int = 0
    prefill_graphs: str = "counted"
    stream_token_s: float = 0.0
    stream_interval: int = 1
    steps_ahead: float = 0.0
    hold_steps: float = 0.0
    memory: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass
class WorkloadConfig:
    isl: int = MISSING
    osl: int = MISSING
    prefix_hit: float = 0.0


@dataclass
class LimitsConfig:
    memory_fraction: float = 0.9
    ttft_s: float | None = None
    ttft_statistic: str = "mean"
    tpot_s: float | None = None
    min_requests_per_s: float | None = None


@dataclass
class SpaceConfig:
    """Each axis: one number, a range such as "8:512:8" (last included) or "1:64:x2", or a list of both."""

    gpus: Any = MISSING
    dp: Any = 1
    pp: Any = 1
    sp: Any = 1
    tp: Any = MISSING
    ep: Any = 1
    batch: Any = MISSING


@dataclass
class ObjectiveConfig:
    columns: dict[str, str] = MISSING  # column: max | min
    recommend: dict[str, str] = MISSING  # one column: max | min
    ties: dict[str, str] = field(default_factory=dict)  # then these, in order


@dataclass
class StrategyConfig:
    sampler: str = "nsga2"
    n_trials: int = 1000
    seed: int = 0
    population: int = 50
    exact_limit: int = 5_000_000  # legal plans up to which the exact front is computed


@dataclass
class RangeConfig:
    low: float = 1.0  # factors on the configured value
    high: float = 1.0
    source: str = ""


@dataclass
class SensitivityConfig:
    enabled: bool = False
    ranges: dict[str, RangeConfig] = field(default_factory=dict)  # by input
    draws: int = 0
    seed: int = 0
    most_ranked: int = 500  # plans ranked again in every situation


@dataclass
class OutputConfig:
    max_candidates: int = 20_000


@dataclass
class ReportConfig:
    kind: str = "html"  # html | none
    max_points: int = 2500  # scored plans in the picture of the front, beside the front itself


@dataclass
class PlanConfig:
    """A plan as it stands in ``plan.yaml``, in ``baselines`` and in later inputs."""

    name: str = MISSING
    layout: dict[str, int] = MISSING
    batch: int = MISSING
    claims: dict[str, float] = field(default_factory=dict)  # figure: claimed value, SI units as in pareto.csv


@dataclass
class Config:
    name: str = "plan"
    model: ModelConfig = field(default_factory=ModelConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    workload: WorkloadConfig = field(default_factory=WorkloadConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    space: SpaceConfig = field(default_factory=SpaceConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    sensitivity: SensitivityConfig = field(default_factory=SensitivityConfig)
    baselines: list[Any] = field(default_factory=list)  # PlanConfig once ``search.inputs.config.typed`` has read them
    assumptions: list[str] = field(default_factory=list)
