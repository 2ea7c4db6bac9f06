"""The shape of every configuration file. A key that is not here is an error wherever it is given.

Hydra composes these groups without a schema; ``search.inputs.typed`` merges the result into ``Config``. (With the
schema in the defaults list Hydra 1.3 would take an added key such as ``+modle=x`` in silence.) Units are SI and stand
in the names. ``docs/configuration.md`` explains the keys. Hardware, clusters and engines have the fields of the cost
model's records, which are declared there and nowhere else; what stands here is what the cost model does not ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from costmodel.cluster import Cluster, Tier
from costmodel.engine import Engine
from costmodel.hardware import Accelerator
from costmodel.working_memory import WorkingMemory
from search.inputs.derived import Derived, after, schema_of


@dataclass
class ModelConfig:
    name: str = MISSING
    aliases: list[str] = field(default_factory=list)
    source: str = ""
    config: str | None = None  # path to a config.json; wins over ``published``
    weights: str | None = None  # format to cast linear layers to; null: as published
    kv_cache: str | None = None  # format of the cache; null: as published
    text_only: bool = False  # plan the language model alone: vision and audio towers are not loaded
    published: dict[str, Any] = field(default_factory=dict)


@schema_of(Accelerator)
class HardwareConfig(Derived):
    aliases: list[str] = after("vendor", default_factory=list)
    peak_flops: dict[str, float] = MISSING
    cluster: str | None = after("link_bytes_per_s", default=None)  # the option of the cluster group it comes with
    price_as_of: str | None = after("price_per_hour", default=None)
    efficiency: dict[str, Any] = MISSING
    sources: dict[str, str] = field(default_factory=dict)


@schema_of(Tier)
class TierConfig(Derived):
    bytes_per_s: float | None = None  # null: the accelerator's own link
    source: dict[str, str] = field(default_factory=dict)


@schema_of(Cluster)
class ClusterConfig(Derived):
    vendors: list[str] = after("name", default_factory=list)  # whose accelerators are built in; none: anybody's
    source: str = after("vendors", default="")
    tiers: list[TierConfig] = MISSING


@schema_of(WorkingMemory)
class MemoryConfig(Derived):
    pass


@schema_of(Engine)
class EngineConfig(Derived):
    version: str = after("name", default="")
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    compare: list[str] = field(default_factory=list)  # of ``engine=compare``: the engines that are searched
    engines: dict[str, EngineConfig] = field(default_factory=dict)  # their constants, by name
    sources: dict[str, str] = field(default_factory=dict)


@dataclass
class ArrivalsConfig:
    kind: str = "closed"  # closed | constant | poisson | gamma | replay
    cv: float = 1.0  # of the gaps between requests, for gamma
    speed: float = 1.0  # of a trace that is replayed


@dataclass
class LengthConfig:
    """Bounds and spread (standard deviation of the logarithm) of a length whose mean is ``isl`` or ``osl``, or its
    histogram."""

    low: int = 1
    high: int | None = None
    spread: float = 0.0
    edges: list[int] = field(default_factory=list)  # of a histogram, one more than shares
    shares: list[float] = field(default_factory=list)  # of the requests from an edge up to below the next


@dataclass
class LengthsConfig:
    kind: str = "fixed"  # fixed | uniform | lognormal | histogram | trace
    prompt: LengthConfig = field(default_factory=LengthConfig)
    answer: LengthConfig = field(default_factory=LengthConfig)
    trace: str | None = None  # path of a CSV or JSONL file
    hashes: bool = True  # of a trace that has them: what a plan's own cache holds is found; else ``prefix_hit`` is
    longest: int | None = None  # of a trace: requests of more tokens, prompt and answer, are left out


@dataclass
class WorkloadConfig:
    isl: int = MISSING
    osl: int = MISSING
    prefix_hit: float = 0.0
    requests_per_s: float | None = None
    arrivals: ArrivalsConfig = field(default_factory=ArrivalsConfig)
    lengths: LengthsConfig = field(default_factory=LengthsConfig)


@dataclass
class LimitsConfig:
    memory_fraction: float = 0.9
    ttft_s: float | None = None
    ttft_statistic: str = "mean"
    tpot_s: float | None = None
    tpot_statistic: str = "mean"
    e2e_s: float | None = None
    e2e_statistic: str = "mean"
    goodput: float | None = None
    overflow_risk: float | None = None
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
    serving: Any = field(default_factory=lambda: ["aggregated"])  # and split: prefill and decode on pools of their own
    split: SplitConfig = field(default_factory=lambda: SplitConfig())
    speculation: Any = field(default_factory=lambda: ["none"])  # and mtp, eagle3, ngram: what drafts tokens
    draft: DraftConfig = field(default_factory=lambda: DraftConfig())
    decode_cp: Any = 1  # ranks of a tp group that share the cache of a sequence that decodes
    # Beside the plans (space=full); null: as the other groups say.
    engines: Any = None  # which to search, each with its own constants
    max_batched_tokens: Any = None  # token budgets of a pass: an axis
    weights: Any = None  # formats to cast linear layers to; given: as model says
    kv_cache: Any = None  # formats of the cache; given: as model says


@dataclass
class DraftConfig:
    """Of ``space.speculation``: chances of acceptance by position, each once all before were; null: assumed."""

    tokens: Any = field(default_factory=lambda: [1, 2, 3])  # of a sequence and pass
    mtp: Any = None
    eagle3: Any = None
    ngram: Any = None  # to be given


@dataclass
class SplitConfig:
    """Of ``space.serving: [aggregated, split]``."""

    prefill_gpus: Any = None  # of an instance; null: as many as replicas have, and powers of two
    decode_gpus: Any = None
    prefill_used: Any = field(default_factory=lambda: [0.3, 0.5, 0.7, 0.8, 0.9, 0.95])  # of its capacity
    prefill_tokens: Any = None  # new tokens of a pass; null: engine.max_batched_tokens
    transport: str = "auto"  # auto | rdma | host
    host_bytes_per_s: float = 5.4e10  # of an accelerator's copies to its host


@dataclass
class ObjectiveConfig:
    columns: dict[str, str] = MISSING  # column: max | min
    recommend: dict[str, str] = MISSING  # one column: max | min
    ties: dict[str, str] = field(default_factory=dict)  # then these, in order
    confidence: float | None = None  # share of draws that must keep every limit; null: limits hold as predicted


@dataclass
class StrategyConfig:
    sampler: str = "nsga2"
    n_trials: int = 1000
    seed: int = 0
    population: int = 50
    exact_limit: int = 5_000_000  # legal plans up to which the exact front is computed
    storage: str | None = None  # of a study that several processes share: a journal file, or a database's URL


@dataclass
class ComputeConfig:
    """Where it is computed: no part of what is computed, and of no run's ``config.yaml``."""

    kind: str = "local"  # local | processes | ray
    workers: int | None = None  # null: one a core
    address: str | None = None  # of a Ray cluster


@dataclass
class VerifyConfig:
    top: int | None = None  # plans that are simulated; null: 5 at a rate, 0 in the closed loop
    seeds: int = 3
    requests: int = 400  # of each simulation that count; others come before and after


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
    engine: str | None = None  # the engine that it is meant for; null: whichever
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
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    sensitivity: SensitivityConfig = field(default_factory=SensitivityConfig)
    baselines: list[Any] = field(default_factory=list)  # PlanConfig once ``search.inputs.config.typed`` has read them
    assumptions: list[str] = field(default_factory=list)
