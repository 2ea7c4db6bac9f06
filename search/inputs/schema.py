"""The shape of every configuration file. A key that is not here is an error wherever it is given.

Hydra composes these groups without a schema; ``search.inputs.typed`` merges the result into ``Config``. (With the
schema in the defaults list Hydra 1.3 would take an added key such as ``+modle=x`` in silence.) Units are SI and stand
in the names. ``docs/configuration.md`` explains the keys. Hardware, clusters and engines have the fields of the cost
model's records, which are declared there and nowhere else; what stands here is what the cost model does not ask for.
What a value may be stands with its field alone: ``search.inputs.derived.check_ranges`` checks it, help prints it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from omegaconf import MISSING

from costmodel.cluster import Cluster, Tier
from costmodel.engine import Engine
from costmodel.fields import Choice, Quantity
from costmodel.hardware import Accelerator
from costmodel.scenario import STATISTICS
from costmodel.serving.split.journey import Transfer
from costmodel.serving.traffic import ARRIVALS, LENGTHS
from costmodel.working_memory import WorkingMemory
from search.base.workers.local import KINDS
from search.inputs.derived import Derived, after, schema_of

MOST_TOKENS = 10_000_000
LARGEST_SEED = 2**32 - 1
WIDEST = 100  # factor between an uncertain input and an end of its range
TOKENS = Quantity("tokens", 1, MOST_TOKENS)
DRAFTS = Quantity("drafts of a sequence and pass", 1, 16)
CHANCES = Quantity("chances of acceptance by position", 0, 1)


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
    kind: Annotated[str, Choice("how requests arrive; closed: another one when one ends", ARRIVALS)] = "closed"
    cv: Annotated[float, Quantity("variation of the gaps between requests, for gamma", 0, 100, above=True)] = 1.0
    speed: Annotated[float, Quantity("of a trace that is replayed", 0, 1_000_000, above=True)] = 1.0


@dataclass
class LengthConfig:
    """Bounds and spread (standard deviation of the logarithm) of a length whose mean is ``isl`` or ``osl``, or its
    histogram."""

    low: Annotated[int, TOKENS] = 1
    high: Annotated[int | None, TOKENS] = None
    spread: Annotated[float, Quantity("of the logarithm", 0, 5)] = 0.0
    edges: Annotated[list[int], TOKENS] = field(default_factory=list)  # of a histogram, one more than shares
    shares: Annotated[list[float], Quantity("of the requests from an edge up to below the next", 0, 1, above=True)] = (
        field(default_factory=list)
    )


@dataclass
class LengthsConfig:
    kind: Annotated[str, Choice("of the requests' lengths; trace: those of a file", LENGTHS)] = "fixed"
    prompt: LengthConfig = field(default_factory=LengthConfig)
    answer: LengthConfig = field(default_factory=LengthConfig)
    trace: str | None = None  # path of a CSV or JSONL file
    hashes: bool = True  # of a trace that has them: what a plan's own cache holds is found; else ``prefix_hit`` is
    longest: Annotated[
        int | None, Quantity("of a trace: requests of more tokens, prompt and answer, are left out", 2, 2 * MOST_TOKENS)
    ] = None


@dataclass
class WorkloadConfig:
    isl: Annotated[int, Quantity("prompt tokens of a request", 1, MOST_TOKENS)] = MISSING
    osl: Annotated[int, Quantity("answer tokens of a request", 1, MOST_TOKENS)] = MISSING
    prefix_hit: Annotated[float, Quantity("share of the prompt that is found in the prefix cache", 0, 0.999)] = 0.0
    requests_per_s: Annotated[
        float | None, Quantity("rate of the whole deployment, for arrivals that have one", 0, 1_000_000, above=True)
    ] = None
    arrivals: ArrivalsConfig = field(default_factory=ArrivalsConfig)
    lengths: LengthsConfig = field(default_factory=LengthsConfig)


@dataclass
class LimitsConfig:
    """The largest are the largest that can be meant: no one waits ten minutes for a first token, or ten seconds for
    each further one."""

    memory_fraction: Annotated[
        float, Quantity("most of the accelerator's memory that may be used", 0, 1, above=True)
    ] = 0.9
    ttft_s: Annotated[float | None, Quantity("most seconds to the first token", 0, 600, above=True)] = None
    ttft_statistic: Annotated[
        str,
        Choice("which TTFT that bounds; burst: of the last of a batch that comes at once", ("burst", *STATISTICS)),
    ] = "mean"
    tpot_s: Annotated[float | None, Quantity("most seconds between tokens", 0, 10, above=True)] = None
    tpot_statistic: Annotated[str, Choice("which TPOT that bounds", STATISTICS)] = "mean"
    e2e_s: Annotated[float | None, Quantity("most seconds to the last token, at a rate", 0, 100_000, above=True)] = None
    e2e_statistic: Annotated[str, Choice("which of them that bounds", STATISTICS)] = "mean"
    goodput: Annotated[
        float | None, Quantity("share of requests that keep every limit on a latency", 0, 1, above=True)
    ] = None
    overflow_risk: Annotated[
        float | None, Quantity("chance that the caches in flight outgrow the memory", 0, 1, above=True)
    ] = None
    min_requests_per_s: Annotated[
        float | None, Quantity("least requests a second of the whole deployment", 0, 10_000_000, above=True)
    ] = None


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

    tokens: Annotated[Any, DRAFTS] = field(default_factory=lambda: [1, 2, 3])
    mtp: Annotated[Any, CHANCES] = None
    eagle3: Annotated[Any, CHANCES] = None
    ngram: Annotated[Any, CHANCES] = None  # to be given


@dataclass
class PoolConfig:
    """What a pool of split plans has of its own; null: as the search has it."""

    hardware: HardwareConfig | None = None  # or an option of the catalog: ``search.inputs.split.machines``
    cluster: ClusterConfig | None = None  # likewise; null: the one that the hardware comes with
    engine: dict[str, Any] | None = None  # some keys of ``engine``
    memory_fraction: Annotated[
        float | None, Quantity("most of the accelerator's memory that may be used", 0, 1, above=True)
    ] = None
    gpus: Any = None  # of all its instances together: an axis; null: whatever the other pool leaves


@schema_of(Transfer)
class SplitConfig(Derived):
    """Of ``space.serving: [aggregated, split]``."""

    prefill_gpus: Any = None  # of an instance; null: as many as replicas have, and powers of two
    decode_gpus: Any = None
    prefill_used: Annotated[Any, Quantity("of its capacity", 0, 0.99, above=True)] = field(
        default_factory=lambda: [0.3, 0.5, 0.7, 0.8, 0.9, 0.95]
    )
    prefill_tokens: Any = None  # new tokens of a pass; null: engine.max_batched_tokens
    prefill: PoolConfig = field(default_factory=PoolConfig)
    decode: PoolConfig = field(default_factory=PoolConfig)


@dataclass
class ObjectiveConfig:
    columns: dict[str, str] = MISSING  # column: max | min
    recommend: dict[str, str] = MISSING  # one column: max | min
    ties: dict[str, str] = field(default_factory=dict)  # then these, in order
    confidence: Annotated[
        float | None,
        Quantity("share of draws that must keep every limit; null: limits hold as predicted", 0, 1, above=True),
    ] = None


@dataclass
class StrategyConfig:
    sampler: str = "nsga2"
    n_trials: Annotated[int, Quantity("plans that the sampler may ask for", 1, 1_000_000)] = 1000
    seed: Annotated[int, Quantity("of the study and of the sample of candidates", 0, LARGEST_SEED)] = 0
    population: Annotated[int, Quantity("plans scored together", 2, 100_000)] = 50
    exact_limit: Annotated[int, Quantity("legal plans up to which the exact front is computed", 0, 50_000_000)] = (
        5_000_000
    )
    storage: str | None = None  # of a study that several processes share: a journal file, or a database's URL


@dataclass
class ComputeConfig:
    """Where it is computed: no part of what is computed, and of no run's ``config.yaml``."""

    kind: Annotated[str, Choice("who scores; the result is the same", KINDS)] = "local"
    workers: Annotated[int | None, Quantity("how many work at once; null: one a core", 1, 4096)] = None
    address: str | None = None  # of a Ray cluster


@dataclass
class VerifyConfig:
    top: Annotated[
        int | None, Quantity("plans that are simulated; null: 5 at a rate, 0 in the closed loop", 0, 1000)
    ] = None
    seeds: Annotated[int, Quantity("runs of each", 1, 100)] = 3
    requests: Annotated[int, Quantity("of a run that count; others come before and after", 100, 1_000_000)] = 400


@dataclass
class RangeConfig:
    low: Annotated[float, Quantity("factor on the configured value", 0, 1, above=True)] = 1.0
    high: Annotated[float, Quantity("likewise", 1, WIDEST)] = 1.0
    source: str = ""


@dataclass
class SensitivityConfig:
    enabled: bool = False
    ranges: dict[str, RangeConfig] = field(default_factory=dict)  # by input
    draws: Annotated[int, Quantity("draws over all uncertain inputs at once", 0, 100_000)] = 0
    seed: Annotated[int, Quantity("of the draws", 0, LARGEST_SEED)] = 0
    most_ranked: Annotated[int, Quantity("plans ranked again in every situation", 1, 1_000_000)] = 500


@dataclass
class OutputConfig:
    max_candidates: Annotated[int, Quantity("rows of candidates.csv.gz, written in one piece", 1, 5_000_000)] = 20_000


@dataclass
class ReportConfig:
    kind: Annotated[str, Choice("whether a run writes its page and picture", ("html", "none"))] = "html"
    max_points: Annotated[int, Quantity("scored plans in the picture of the front beside the front", 0, 100_000)] = 2500


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
