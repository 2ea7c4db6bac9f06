"""What a launch command means here: a layout in our words, a batch, and changes of the scenario."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from costmodel.architecture import Architecture
from search.base.errors import InputError
from search.commands.audit.command import Command, whole
from search.inputs.config import read_hardware, read_model
from search.inputs.engine_defaults import (
    SGLANG_PREFILL_TOKENS,
    SGLANG_REQUESTS,
    VLLM_MEMORY,
    sglang_chunk,
    vllm_budgets,
    vllm_graphs,
)
from search.inputs.hardware_catalog import load_engine
from search.inputs.schema import Config
from search.render.launch.flags import HOLDS

# SGLang's all-to-all backends that spread the experts over the whole stage (srt/arg_groups/moe_hook.py, 0.5.23).
SPREADING = ("deepep", "deepep_v2", "mooncake", "nixl", "mori", "ascend_fuseep", "megamoe", "pplx")
FP8_CACHE = ("fp8", "fp8_e4m3", "fp8_e5m2")
# Weight formats that an engine makes of a checkpoint that has none.
ONLINE = {"fp8": "fp8", "fp8_per_tensor": "fp8", "fp8_per_channel": "fp8", "fp8_per_block": "fp8_block"}


@dataclass(frozen=True)
class Launched:
    """A command in our words. ``layout`` degrees but the batch; ``batch`` sequences that a replica may run at most;
    ``config`` the scenario's configuration with the command's settings; ``settings`` a line each, with the flag or
    the default that it comes from; ``unmodelled`` flags that may change the figures; ``findings`` why it does not
    start or serve the workload; ``static`` SGLang's share of memory for weights and cache."""

    config: Config
    layout: dict[str, int]
    batch: int
    settings: tuple[str, ...]
    unmodelled: tuple[tuple[str, str], ...]
    findings: tuple[str, ...]
    static: float | None = None


def launched(command: Command, config: Config, replicas: int) -> Launched:
    """Read ``command`` against ``config``, whose model is the command's."""
    config = with_engine(config, command.engine)
    reader = _Reader(command, config, read_model(config.model).architecture)
    return reader.vllm(replicas) if command.engine == "vllm" else reader.sglang(replicas)


def with_engine(config: Config, engine: str) -> Config:
    """The engine's own constants, unless the configuration has some of the same engine."""
    if config.engine.name == engine:
        return config
    return replace(config, engine=load_engine(engine))


class _Reader:
    """Collects lines on the way."""

    def __init__(self, command: Command, config: Config, model: Architecture) -> None:
        self.command, self.config, self.model = command, config, model
        self.accelerator = read_hardware(config.hardware)
        self.settings: list[str] = []
        self.unmodelled = list(command.unmodelled)
        self.findings: list[str] = []

    def vllm(self, replicas: int) -> Launched:
        c = self.command
        tp, pp, sp, groups = (c.whole(name, 1) for name in ("tp", "pp", "sp", "attn_dp"))
        spread = c.given.get("ep") == ""
        if not self.model.has_experts:
            # Data-parallel ranks of a dense model have nothing to do with each other.
            if spread:
                self.findings.append(f"{c.flag('ep')}: vLLM refuses it for a model without experts")
            replicas, groups, spread = replicas * groups, 1, False
        width = tp * sp * groups
        layout = {"gpus": width * pp * replicas, "tp": tp, "ep": width if spread else 1}
        layout |= {"dp": replicas, "pp": pp, "sp": sp}
        tokens, sequences = vllm_budgets(self.accelerator)
        sequences = self._count("batch", sequences, "sequences an attention group")
        self._tokens(self._count("tokens", tokens, "new tokens a pass"))
        graphs = self._count("graphs", vllm_graphs(self.accelerator, sequences), "rows of the largest captured graph")
        self._engine(captured_tokens=graphs)
        self._memory(c.share("memory"), VLLM_MEMORY)
        self._formats()
        self._common()
        return self._launched(layout, sequences * groups)

    def sglang(self, replicas: int) -> Launched:
        c = self.command
        width, pp, sp, ep = (c.whole(name, 1) for name in ("width", "pp", "sp", "ep"))
        groups, copies = c.whole("attn_dp", 1), c.whole("dp", 1)
        if "old_attn_dp" in c.given and groups == 1:  # --dp-size meant attention groups (parallel_hook.py, 0.5.23)
            groups, copies = copies, 1
        if width % (groups * sp):
            raise InputError(
                f"{c.flag('width')}: {width} is not allowed; give a multiple of {c.flag('attn_dp')} {groups} times "
                f"{c.flag('sp')} {sp}"
            )
        backend = c.given.get("exchange", "none")
        if backend in SPREADING and self.model.has_experts:
            ep = width
            self._engine(exchange="alltoall")
            self.settings.append(f"ep {ep}, engine.exchange alltoall ({c.flag('exchange')} {backend})")
        elif backend != "none":
            self.unmodelled.append((c.flag("exchange"), f"engine.exchange {self.config.engine.exchange} is assumed"))
        dp = replicas * copies
        layout = {"gpus": width * pp * dp, "tp": width // (groups * sp), "ep": ep, "dp": dp, "pp": pp, "sp": sp}
        batch = self._count("batch", SGLANG_REQUESTS, "sequences a replica")
        self._tokens(self._chunk() // groups)
        self._prefill_graphs()
        if "hold" in c.given:
            interval = c.whole("hold", 1)
            self._engine(hold_steps=interval / HOLDS["sglang"] if interval > 1 else 0.0)
            self.settings.append(f"engine.hold_steps {self.config.engine.hold_steps:g} ({c.flag('hold')} {interval})")
        self._formats()
        self._common()
        static = c.share("memory")
        if static is None:
            self.settings.append(
                f"limits.memory_fraction {self.config.limits.memory_fraction:g} (the scenario's: SGLang takes what "
                "its own estimates of graphs and activations leave)"
            )
        return self._launched(layout, batch, static)

    def _launched(self, layout: dict[str, int], batch: int, static: float | None = None) -> Launched:
        return Launched(
            self.config, layout, batch, tuple(self.settings), tuple(self.unmodelled), tuple(self.findings), static
        )

    def _count(self, name: str, default: int, what: str) -> int:
        value = self.command.whole(name, default)
        origin = self.command.flag(name) if name in self.command.given else f"{self.command.engine}'s default"
        self.settings.append(f"{value} {what} ({origin})")
        return value

    def _chunk(self) -> int:
        given = self.command.given.get("tokens")
        if given == "-1":  # no chunks: a pass takes whole prompts
            most = self.command.whole("prefill_tokens", SGLANG_PREFILL_TOKENS)
            self.settings.append(f"whole prompts a pass, {most} tokens of them ({self.command.flag('tokens')} -1)")
            return max(most, self.config.workload.isl)
        return self._count("tokens", sglang_chunk(self.accelerator), "new tokens a pass of all attention groups")

    def _prefill_graphs(self) -> None:
        """Where the command counts them; else SGLang's own rules."""
        c = self.command
        for name, tokens in (("no_prefill_graphs", 0), ("prefill_graphs", c.whole("prefill_graphs", 1))):
            if name in c.given:
                self._engine(prefill_graphs="counted", captured_tokens=tokens)
                self.settings.append(f"engine.captured_tokens {tokens} ({c.flag(name)})")
                return

    def _tokens(self, tokens: int) -> None:
        self._engine(max_batched_tokens=max(tokens, 1))

    def _engine(self, **changes: Any) -> None:
        self.config = replace(self.config, engine=replace(self.config.engine, **changes))

    def _memory(self, share: float | None, default: float) -> None:
        origin = f"{self.command.engine}'s default" if share is None else self.command.flag("memory")
        self.config = replace(self.config, limits=replace(self.config.limits, memory_fraction=share or default))
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
            self.unmodelled.append(
                (c.flag("kv_cache"), f"format {cache[:40]!r} is not known; figures for the published")
            )
        weights = c.given.get("weights", "").lower()
        stored = model.weights or self._stored()
        if weights in ONLINE and stored is None:
            model = replace(model, weights=ONLINE[weights])
            self.settings.append(f"weights cast to {ONLINE[weights]} ({c.flag('weights')})")
        elif weights and stored is None:
            reason = f"{weights[:40]!r}: the published model is not quantised so; figures for the published weights"
            self.unmodelled.append((c.flag("weights"), reason))
        if c.given.get("dtype", "").lower() in ("float32", "float"):
            self.unmodelled.append((c.flag("dtype"), "float32 is not modelled; figures for the published"))
        self.config = replace(self.config, model=model)

    def _stored(self) -> str | None:
        """The format of a checkpoint that is quantised."""
        return next((name for name in self._weight_formats() if name not in ("bf16", "fp16", "fp32")), None)

    def _weight_formats(self) -> list[str]:
        quantization = self.model.quantization
        return [quantization.default.name, quantization.of("experts.up").name, quantization.of("dense.up").name]

    def _common(self) -> None:
        c, lengths = self.command, self.config.workload
        for name, key in (("block", "block_tokens"), ("stream", "stream_interval")):
            if name in c.given:
                value = c.whole(name, 1)
                self._engine(**{key: value})
                self.settings.append(f"engine.{key} {value} ({c.flag(name)})")
        if c.given.get("prefix") == "no" or "no_prefix" in c.given:
            self.config = replace(self.config, workload=replace(lengths, prefix_hit=0.0))
            self.settings.append("workload.prefix_hit 0 (no prefix cache)")
        length = c.given.get("length", "auto")
        if length not in ("auto", "-1"):
            longest = whole(c.flag("length"), length)
            if longest < lengths.isl + lengths.osl:
                self.findings.append(
                    f"{c.flag('length')} {longest}: requests of {lengths.isl} + {lengths.osl} tokens do not fit"
                )
        for name in ("decode_cp", "moe_dp", "dense_tp"):
            if c.given.get(name, "1") != "1" or (name == "dense_tp" and name in c.given):
                self.unmodelled.append((c.flag(name), "not modelled"))
