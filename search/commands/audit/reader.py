"""What the commands of all engines have in common: a layout in our words, a batch, and changes of the scenario."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from costmodel.architecture import Architecture
from costmodel.blocks import GroupedQueryAttention
from costmodel.blocks.decode_context import widths
from costmodel.blocks.parallel import mixers_of
from costmodel.drafts.drafter import Drafter
from search.commands.audit.command import Command, whole
from search.commands.audit.drafts import drafting_of
from search.commands.audit.passed import BYTES, CACHE, TIMES
from search.commands.audit.pools import KEYS, Pool, pool_of
from search.inputs.config import read_hardware
from search.inputs.models.positions import longest_context
from search.inputs.schema import Config
from search.optimizer.speculation.rules import beside_dealt

FP8_CACHE = ("fp8", "fp8_e4m3", "fp8_e5m2")
# Weight formats that an engine makes of a checkpoint that has none.
ONLINE = {"fp8": "fp8", "fp8_per_tensor": "fp8", "fp8_per_channel": "fp8", "fp8_per_block": "fp8_block"}
GIB = 2.0**30
LARGEST_NODE = 16  # a larger innermost tier is a rack with links of its own, which nodes do not cut
# Variables that let a sequence have more tokens than the model has positions (vllm/envs.py, 0.33; sglang environ.py).
LONGER = {"vllm": "VLLM_ALLOW_LONG_MAX_MODEL_LEN", "sglang": "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN"}


@dataclass(frozen=True)
class Told:
    """What the engine checks at its start. ``length`` tokens that a sequence may have, ``None`` where the engine takes
    what fits; ``positions`` of the model, rope scaling counted, 0 where they are not checked; ``sequences`` and
    ``budget`` (new tokens a pass) of an attention group; ``chunked``: a prompt may take several passes. Of the cache:
    ``cache_bytes`` or ``cache_blocks`` that the command fixes, ``most_tokens`` that it allows; ``shared_over`` ranks
    that each hold a part of a token's cache (decode context parallelism); ``host_bytes`` of weights in host memory;
    ``captured``: rows of the largest graph of decode batches; ``eager``: no graphs; ``vision``: the encoder is loaded;
    ``memory_of`` and ``fraction``: whose share of the memory is given (``costmodel.scenario.Limits``), and how much."""

    length: int | None = 0
    positions: int = 0
    sequences: int = 1
    budget: int = 1
    chunked: bool = True
    cache_bytes: float | None = None
    cache_blocks: int | None = None
    most_tokens: int | None = None
    shared_over: int = 1
    host_bytes: float = 0.0
    captured: int | None = None
    eager: bool = False
    vision: bool = True
    memory_of: Literal["all", "free", "static"] = "all"
    fraction: float = 0.9


@dataclass(frozen=True)
class Launched:
    """A command in our words. ``layout`` degrees but the batch; ``batch`` sequences that a replica may run at most;
    ``config`` the scenario's configuration with the command's settings; ``settings`` a line each, with the flag or
    the default that it comes from; ``unmodelled`` flags that may change the figures; ``findings`` why it does not
    serve the workload; ``told`` what start-up checks look at; ``open_figures`` those that a flag changes by more than
    the model can say; ``refused`` rules about flags that are broken, with the arithmetic; ``drafter`` and
    ``decode_ranks`` as in ``costmodel.scenario.Scenario``, where they are modelled; ``pool`` of a split plan."""

    config: Config
    layout: dict[str, int]
    batch: int
    settings: tuple[str, ...]
    unmodelled: tuple[tuple[str, str], ...]
    findings: tuple[str, ...]
    told: Told = Told()
    open_figures: dict[str, str] = field(default_factory=dict)
    refused: tuple[tuple[str, str], ...] = ()
    drafter: Drafter | None = None
    decode_ranks: int = 1
    pool: str | None = None


class Reader(ABC):
    """Collects lines on the way."""

    @abstractmethod
    def read(self, replicas: int) -> Launched:
        """``replicas`` servers of the command."""

    def __init__(self, command: Command, config: Config, model: Architecture, pool: str | None = None) -> None:
        self.command, self.config, self.model, self.asked = command, config, model, pool
        self.accelerator = read_hardware(config.hardware)
        self.settings: list[str] = []
        self.unmodelled = list(command.unmodelled)
        self.findings: list[str] = []
        self.refused: list[tuple[str, str]] = []
        self.open_figures = dict(command.open_figures)
        self.deals = False  # whether decode context parallelism has terms for this model
        self.told = Told(positions=self._positions())

    def launched(self, layout: dict[str, int], batch: int) -> Launched:
        """Everything that was collected."""
        pool = self._pool(layout["tp"], layout["pp"])
        drafts = drafting_of(self.command, self.config, self.model, layout)
        self.settings += drafts.settings
        self.refused += drafts.refused
        for flag, reason, figures in drafts.opened:
            self._open(flag, reason, figures)
        ranks = self.told.shared_over
        if ranks > 1 and drafts.drafter is not None:
            kind, engine = drafts.drafter.kind, self.command.engine
            apart = beside_dealt(kind, engine, pools=pool is not None)
            if apart is not None:
                self._open(self.command.flag("decode_cp"), apart, [*TIMES, *CACHE])
                ranks = 1
        return Launched(
            self.config, layout, batch, tuple(self.settings), tuple(self.unmodelled), tuple(self.findings), self.told,
            self.open_figures, tuple(self.refused), drafts.drafter, ranks if self.deals else 1,
            pool.name if pool is not None else None,
        )  # fmt: skip

    def _pool(self, tp: int, pp: int) -> Pool | None:
        """A server of a split plan: its times are those of both pools together, and prompts need no answers' cache."""
        pool = pool_of(self.command, self.asked, tp, pp, self.told.shared_over, self.model)
        if pool is None:
            if "transfer" in self.command.given and self.command.engine == "vllm":
                self._open(self.command.flag("transfer"), "cache that moves", TIMES)
            return None
        self.refused += pool.refused
        self.unmodelled = [(f, why) for f, why in self.unmodelled if f.split(".")[0] != KEYS]
        self.open_figures = {f: flag for f, flag in self.open_figures.items() if flag.split(".")[0] != KEYS}
        if pool.name is None:
            self._open(pool.flag, "does not say which pool; --pool prefill or --pool decode does", TIMES)
            return pool
        self.settings.append(f"a server of a split plan that {pool.name}s ({pool.flag})")
        self._open(pool.flag, "times are those of both pools together", TIMES)
        workload = self.config.workload
        if pool.name == "prefill" and workload.lengths.kind == "fixed":
            self.config = replace(self.config, workload=replace(workload, osl=1))
            self.settings.append("workload.osl 1: answers are the other pool's")
        if self.command.engine == "sglang":  # cuda_graph_hook.py apply_cuda_graph_disaggregation_roles, 0.5.23
            if pool.name == "prefill":
                self._tell(eager=True)
            else:
                self._engine(prefill_graphs="counted", captured_tokens=0)
        return pool

    def _count(self, name: str, default: int, what: str) -> int:
        value = self.command.whole(name, default)
        origin = self.command.flag(name) if name in self.command.given else f"{self.command.engine}'s default"
        self.settings.append(f"{value} {what} ({origin})")
        return value

    def _tokens(self, tokens: int) -> None:
        self._engine(max_batched_tokens=max(tokens, 1))

    def _engine(self, **changes: Any) -> None:
        self.config = replace(self.config, engine=replace(self.config.engine, **changes))

    def _memory(self, share: float | None, default: float) -> None:
        origin = f"{self.command.engine}'s default" if share is None else self.command.flag("memory")
        self.config = replace(self.config, limits=replace(self.config.limits, memory_fraction=share or default))
        self._tell(memory_of="all", fraction=share or default)
        self.settings.append(f"limits.memory_fraction {share or default:g} ({origin})")

    def _formats(self) -> None:
        """Weights and cache. A checkpoint that is quantised stays what it is."""
        c, model = self.command, self.config.model
        cache = c.given.get("kv_cache", "auto").lower()
        formats = {**dict.fromkeys(FP8_CACHE, "fp8"), "bfloat16": "bf16", "bf16": "bf16", "float16": "fp16"}
        formats["nvfp4"] = "nvfp4"
        if cache in formats:
            model = replace(model, kv_cache=formats[cache])
            self.settings.append(f"cache in {formats[cache]} ({c.flag('kv_cache')})")
        elif cache != "auto":
            reason = f"format {cache[:40]!r} is not known; figures for the published"
            self._open(c.flag("kv_cache"), reason, [*TIMES, *BYTES])
        weights = c.given.get("weights", "").lower()
        stored = model.weights or self._stored()
        if weights in ONLINE and stored is None:
            model = replace(model, weights=ONLINE[weights])
            self.settings.append(f"weights cast to {ONLINE[weights]} ({c.flag('weights')})")
        elif weights and stored is None:
            reason = f"{weights[:40]!r}: the published model is not quantised so; figures for the published weights"
            self._open(c.flag("weights"), reason, [*TIMES, *BYTES])
        if c.given.get("dtype", "").lower() in ("float32", "float"):
            self._open(c.flag("dtype"), "float32 is not modelled; figures for the published", [*TIMES, *BYTES])
        self.config = replace(self.config, model=model)

    def _stored(self) -> str | None:
        """The format of a checkpoint that is quantised."""
        return next((name for name in self._weight_formats() if name not in ("bf16", "fp16", "fp32")), None)

    def _weight_formats(self) -> list[str]:
        quantization = self.model.quantization
        return [quantization.default.name, quantization.of("experts.up").name, quantization.of("dense.up").name]

    def _common(self) -> None:
        c = self.command
        for name, key in (("block", "block_tokens"), ("stream", "stream_interval")):
            if name in c.given:
                value = c.whole(name, 1)
                self._engine(**{key: value})
                self.settings.append(f"engine.{key} {value} ({c.flag(name)})")
        if c.given.get("prefix") == "no" or "no_prefix" in c.given:
            self.config = replace(self.config, workload=replace(self.config.workload, prefix_hit=0.0))
            self.settings.append("workload.prefix_hit 0 (no prefix cache)")
        self._length()
        for name in ("moe_dp", "dense_tp"):
            if c.given.get(name, "1") != "1" or (name == "dense_tp" and name in c.given):
                self._open(c.flag(name), "not modelled", TIMES)
        gib = c.amount("offload", 1e6) if "offload" in c.given else None
        if gib:
            self._tell(host_bytes=gib * GIB)
            self.settings.append(f"{gib:g} GiB of the weights in host memory ({c.flag('offload')})")
        if "eager" in c.given and c.on("eager"):
            self._tell(eager=True)
        if c.on("text_only") or _no_pictures(c.given.get("pictures", "")):
            self._tell(vision=False)
            self.settings.append("no encoder of pictures is loaded")

    def _length(self) -> None:
        """Tokens of a sequence: the flag's, else the model's positions."""
        c, lengths = self.command, self.config.workload
        text, total = c.given.get("length", ""), lengths.isl + lengths.osl
        if text in ("auto", "-1"):
            self._tell(length=None)
            self.settings.append(f"sequences as long as the cache holds ({c.flag('length')} {text})")
            return
        if text:
            longest = whole(c.flag("length"), text)
            origin = c.flag("length")
            if longest < total:
                self.findings.append(f"{origin} {longest}: requests of {lengths.isl} + {lengths.osl} tokens do not fit")
        else:
            longest, origin = self.told.positions or self.model.max_position or total, "the model's positions"
        variable = LONGER.get(c.engine, "")
        if c.set_in_environment(variable):
            self._tell(positions=0)
            self.settings.append(f"positions are not checked ({variable})")
        self._tell(length=longest)
        self.settings.append(f"sequences of up to {longest} tokens ({origin})")

    def _positions(self) -> int:
        """The model's own, or with the rope scaling that the command gives it."""
        given = self.command.overridden()
        inner = given.get("text_config")
        given = {**given, **inner} if isinstance(inner, dict) else given
        own = given.get("max_position_embeddings", self.model.max_position)
        own = own if isinstance(own, int) and 0 <= own <= 10**9 else self.model.max_position
        return longest_context(given, "", own)

    def _context_parallel(self, tp: int) -> None:
        """Ranks that share a token's cache (vllm/config/parallel.py and model.py, 0.33; SGLang's for latent caches)."""
        c = self.command
        ranks = c.whole("decode_cp", 1)
        if ranks == 1:
            return
        mixers = mixers_of(self.model)
        grouped = [m for m in mixers if isinstance(m, GroupedQueryAttention)]
        heads = [m.kv_heads for m in grouped]
        if tp % ranks:
            self._refuse("decode_context_parallel", f"{c.flag('decode_cp')} {ranks}: tp {tp} is no multiple of it")
        elif heads and (tp <= max(heads) or ranks > tp // max(heads)):
            self._refuse(
                "decode_context_parallel",
                f"{c.flag('decode_cp')} {ranks}: at most tp / KV heads, {tp} / {max(heads)}, hold the same heads",
            )
        elif c.engine == "vllm" and any(m.heads // m.kv_heads % ranks for m in grouped):
            each = next(m.heads // m.kv_heads for m in grouped if m.heads // m.kv_heads % ranks)
            self._refuse("decode_context_parallel", f"{c.flag('decode_cp')} {ranks}: {each} heads share a KV head")
        elif "prefill_cp" in c.given and c.on("prefill_cp"):
            self._refuse("decode_context_parallel", f"{c.flag('decode_cp')} {ranks} beside {c.flag('prefill_cp')}")
        self._tell(shared_over=ranks)
        self.settings.append(f"a token's cache over {ranks} ranks of tp ({c.flag('decode_cp')})")
        self.deals = all(widths(m) is not None for m in mixers) and not self.refused
        if not self.deals:
            self._open(c.flag("decode_cp"), "its exchange is not modelled for this model", [*TIMES, *CACHE])

    def _nodes(self, ranks: int) -> None:
        """``--nnodes``: so many accelerators of a replica are on one node."""
        c = self.command
        nodes = c.whole("nodes", 1)
        if nodes == 1:
            return
        if ranks % nodes:
            self._refuse("nodes_divide", f"{c.flag('nodes')} {nodes}: {ranks} ranks do not divide over them")
            return
        tiers = self.config.cluster.tiers
        if tiers and tiers[0].size <= LARGEST_NODE and ranks // nodes < tiers[0].size:
            inner = replace(tiers[0], size=ranks // nodes)
            self.config = replace(self.config, cluster=replace(self.config.cluster, tiers=[inner, *tiers[1:]]))
            self.settings.append(f"cluster.tiers.0.size {inner.size} ({c.flag('nodes')} {nodes})")

    def _exchange(self, backend: str, spreading: tuple[str, ...]) -> bool:
        """Whether tokens go to their experts by an all-to-all."""
        c = self.command
        if backend in spreading and self.model.has_experts:
            self._engine(exchange="alltoall")
            self.settings.append(f"engine.exchange alltoall ({c.flag('exchange')} {backend})")
            return True
        return False

    def _refuse(self, rule: str, arithmetic: str) -> None:
        """A flag that the engine refuses with the others that are given."""
        self.refused.append((f"{self.command.engine}.{rule}", arithmetic))

    def _tell(self, **values: Any) -> None:
        self.told = replace(self.told, **values)

    def _open(self, flag: str, reason: str, figures: Sequence[str]) -> None:
        """A flag that changes figures by more than the model can say."""
        self.unmodelled.append((flag, reason))
        self.open_figures |= {f: flag for f in figures if f not in self.open_figures}


def _no_pictures(text: str) -> bool:
    """``--limit-mm-per-prompt`` with nothing of any kind."""
    return bool(re.search(r"\d", text)) and not re.search(r"[1-9]", text)
