"""How the public InferenceX benchmark launched the servers that it measured.

A row of results names the engine and the layout, not the flags that decide how prompts are batched, what the cache
holds and how tokens are sent; the benchmark's launch scripts do. What stands below was read in them (repository
SemiAnalysisAI/InferenceX, folder ``benchmarks``, by model: ``70b_*``, ``dsr1_*``, ``gptoss_*``, ``minimaxm2.5_*``,
``kimik2.5_*``, ``glm5_*``), and when it changed in ``perf-changelog.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from costmodel.engine import Engine
from costmodel.scenario import Limits
from search.evidence.measured.rows import Measurement
from search.evidence.measured.versions import SERIAL_STEP_S, fitted_of_versions, version_of
from search.inputs.models.catalog import plain

OfRow = Callable[[Measurement], float]
T = TypeVar("T")


@dataclass(frozen=True)
class Recipe:
    """A launch script: the rows that it made, then what it sets; ``None`` and "" leave what the engine does by itself.

    ``models`` are the beginnings of plain names, ``versions`` the first and last (major, minor) of the engine,
    ``since`` the first date of measurement, ``precision`` the beginning of the weights' format. ``budget`` of new
    tokens in a pass, ``held`` steps of a prompt, the ``captured`` rows of the largest pass with prompts that replays a
    graph and the ``expert_kernels`` are functions of the row; ``waves`` of requests over the concurrency.
    ``balance`` steps that prompts wait for other attention groups; ``drafts`` that the model's module proposes;
    ``serial_s`` of the host in the open; ``until`` the last date, ``only`` rows that the script can have made.
    ``reduced_norms``: all-reduces do the norm after them; ``tensor_parallel``: the script can pass no other split;
    ``expert_parallel``: it always (never) asks for that, whatever the row says."""

    engine: str
    models: tuple[str, ...]
    hardware: tuple[str, ...]
    versions: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (99, 0))
    since: str = ""
    precision: str = ""
    budget: OfRow | None = None
    kv_cache: str = ""
    memory_fraction: float | None = None
    stream_interval: int = 1
    captured: OfRow | None = None
    expert_kernels: Callable[[Measurement], str] | None = None
    eager_layers: str = "experts"
    held: OfRow | None = None
    waves: float | None = None
    steps_ahead: float | None = None
    balance: float = 0.0
    drafts: OfRow | None = None
    serial_s: float = 0.0
    only: Callable[[Measurement], bool] | None = None
    until: str = ""
    reduced_norms: bool = False
    tensor_parallel: bool = False
    expert_parallel: bool | None = None

    def launched(self, m: Measurement, engine: str, hardware: str) -> bool:
        """True if the script made the row."""
        first, last = self.versions
        return (
            self.engine == engine
            and hardware in self.hardware
            and plain(m.model.rsplit("/", 1)[-1]).startswith(self.models)
            and first <= (version_of(m) or (0, 0)) <= last
            and m.date >= self.since
            and (not self.until or m.date <= self.until)
            and (self.only is None or self.only(m))
            and m.precision.startswith(self.precision)
        )

    def engine_of(self, engine: Engine, m: Measurement) -> Engine:
        """The engine as it was launched."""
        if self.captured:
            engine = replace(engine, prefill_graphs="counted", captured_tokens=int(self.captured(m)))
        return replace(
            engine,
            max_batched_tokens=int(self.budget(m)) if self.budget else engine.max_batched_tokens,
            all_reduce_norm="fused" if self.reduced_norms else engine.all_reduce_norm,
            stream_interval=self.stream_interval,
            eager_layers=self.eager_layers,
            expert_kernels=self.expert_kernels(m) if self.expert_kernels else engine.expert_kernels,
            step_overhead_s=self.serial_s or engine.step_overhead_s,
            balance_steps=self.balance,
            drafts=int(self.drafts(m)) if self.drafts else 0,
            draft_acceptance=fitted_of_versions()["draft_acceptance"] if self.drafts and self.drafts(m) else 0.0,
            hold_steps=self.held(m) if self.held else engine.hold_steps,
            steps_ahead=engine.steps_ahead if self.steps_ahead is None else self.steps_ahead,
        )

    def row_of(self, m: Measurement) -> Measurement:
        """The row with the split and the cache's format that the script gives it."""
        width, tp, attn_dp, ep = (m.tp or 1) * (m.attn_dp or 1), m.tp, m.attn_dp, m.ep
        if self.tensor_parallel:
            tp, attn_dp = width, 1
        if self.expert_parallel is not None:
            ep = width if self.expert_parallel else 1
        cache, waves = m.kv_precision or self.kv_cache, m.waves or self.waves
        return replace(m, kv_precision=cache, waves=waves, tp=tp, attn_dp=attn_dp, ep=ep)

    def limits_of(self, limits: Limits) -> Limits:
        """The share of the memory that the script gives the engine."""
        return replace(limits, memory_fraction=self.memory_fraction or limits.memory_fraction)


def fixed(value: T) -> Callable[[Measurement], T]:
    return lambda m: value


def twice_prompt(m: Measurement) -> int:
    """--max-num-batched-tokens "$((ISL * 2))"."""
    return 2 * m.nominal[0]


def prompt_and_batch(m: Measurement) -> int:
    """--max_num_tokens for a prompt and the decodes beside it, rounded up to 64, at least 8192."""
    return max((int(m.concurrency or 0) + m.nominal[0] + 127) // 64 * 64, 8192)


def one_prompt(m: Measurement) -> int:
    """MAX_NUM_TOKENS=$(( (CONC+ISL+64+63)/64*64 )) of TensorRT-LLM 1.1: one prompt beside the decodes."""
    return (int(m.concurrency or 0) + m.nominal[0] + 127) // 64 * 64


def one_prompt_of_drafts(m: Measurement) -> int:
    """The same of the scripts with MTP: the longest prompt of --random-range-ratio 0.8, and the drafts of a batch."""
    batch = int(m.concurrency or 0) // (m.attn_dp or 1)
    return int((1 + predicted_ahead(m)) * batch + 1.8 * m.nominal[0] + 127) // 64 * 64


def predicted_ahead(m: Measurement) -> float:
    """num_nextn_predict_layers: 1 with attention data parallelism, else 3."""
    return 1.0 if (m.attn_dp or 1) > 1 else 3.0


def in_one_part(m: Measurement) -> bool:
    """A tp of 8 and an ep of 1, as the script with --speculative-num-steps 2 is run."""
    return m.tp == 8 and (m.ep or 1) == 1


def held_below_tp8(m: Measurement) -> float:
    """batch_wait_timeout_iters: 20 for prompts and answers of 1024 tokens below a tp of 8."""
    return 20.0 if m.nominal == (1024, 1024) and (m.tp or 8) < 8 else 0.0


def held_deepseek(m: Measurement) -> float:
    """batch_wait_timeout_iters: 40 for prompts and answers of 1024 tokens at 64 to 255 in flight."""
    return 40.0 if m.nominal == (1024, 1024) and 64 <= (m.concurrency or 0) < 256 else 0.0


def polled(few: float, below: int) -> OfRow:
    """--scheduler-recv-interval: SGLang looks for requests every ``few`` decode steps below so many in flight, else
    every 30 (sglang/srt/managers/scheduler_recv_skipper.py). One waits for half an interval."""
    return lambda m: (few if (m.concurrency or 0) < below else 30.0) / 2.0


def graphs_from_64(m: Measurement) -> int:
    """PIECEWISE_CUDA_GRAPHS of DeepSeek in FP8: passes of any size, with answers of 1024 and 64 in flight or more."""
    return prompt_and_batch(m) if m.nominal[1] == 1024 and (m.concurrency or 0) >= 64 else 0


def graphs_of_eight(m: Measurement) -> int:
    """The same in FP4: with prompts and answers of 1024 tokens on 8 GPUs with as many parts of the experts."""
    return prompt_and_batch(m) if m.nominal == (1024, 1024) and m.gpus == m.ep == 8 else 0


def generated_in_one_group(m: Measurement) -> str:
    """MOE_BACKEND="TRTLLM", and CUTLASS with attention data parallelism."""
    return "generated" if (m.attn_dp or 1) == 1 else "cutlass"


def by_tp(four: int, eight: int) -> OfRow:
    return lambda m: four if m.tp == 4 else eight


def more_from_64(m: Measurement) -> int:
    """MAX_NUM_BATCHED_TOKENS of MiniMax on H200 from vLLM 0.19 on."""
    return 16384 if (m.concurrency or 0) < 64 else 32768


HOPPER, BLACKWELL = ("h100_sxm", "h200_sxm"), ("b200_sxm", "b300_sxm")
LLAMA, MINIMAX, KIMI = ("llama3170b",), ("minimax",), ("kimi",)
DEEPSEEK_R1 = ("deepseekr1",)
DEEPSEEK, GLM, GPT_OSS, QWEN = ("deepseek",), ("glm5",), ("gptoss",), ("qwen35397b",)
CDNA3 = ("mi300x", "mi325x")
UP_TO_1_1 = ((0, 0), (1, 1))
UP_TO_0_17, FROM_0_18, FROM_0_19 = ((0, 0), (0, 17)), ((0, 18), (99, 0)), ((0, 19), (99, 0))
# Pull request 392 added scripts with multi-token prediction. No row says which script made it: those of DeepSeek-R1 of
# the days after it have 0.52 to 0.78 of the TPOT of the same layouts and version a month earlier.
MTP_RUNS = ("2026-01-14", "2026-01-14")
FLAGS_OF_1047 = "2026-04-15"  # pull request 1047 gave Kimi's script its token budget, cache format and graphs

# The first that fits a row made it.
RECIPES = (
    # cudagraph_mode FULL_DECODE_ONLY: no pass with prompts replays a graph; enable_fi_allreduce_fusion.
    Recipe("vllm", LLAMA, BLACKWELL, budget=fixed(8192), kv_cache="fp8", memory_fraction=0.9, captured=fixed(0),
           eager_layers="all", reduced_norms=True, steps_ahead=1.0),
    # It says --config=config.yaml, which vLLM takes and does not read (issue 43252): no FP8 cache, no async-scheduling.
    Recipe("vllm", LLAMA, ("h100_sxm",), budget=fixed(8192), kv_cache="bf16", memory_fraction=0.9, steps_ahead=0.0),
    Recipe("vllm", LLAMA, ("h200_sxm",), budget=fixed(8192), kv_cache="fp8", memory_fraction=0.9, steps_ahead=1.0),
    Recipe("vllm", GPT_OSS, BLACKWELL, budget=fixed(8192), kv_cache="fp8", memory_fraction=0.9, captured=fixed(2048),
           reduced_norms=True, steps_ahead=1.0),
    Recipe("vllm", GPT_OSS, HOPPER, budget=fixed(8192), kv_cache="bf16", memory_fraction=0.9, captured=fixed(2048),
           steps_ahead=1.0),
    # Rows of this script that name attention data parallelism repeat the figures of their tensor-parallel twins.
    Recipe("vllm", MINIMAX, BLACKWELL, FROM_0_18, precision="fp8", budget=twice_prompt, kv_cache="fp8",
           memory_fraction=0.9, stream_interval=20, captured=fixed(2048), tensor_parallel=True),
    Recipe("vllm", MINIMAX, BLACKWELL, FROM_0_18, budget=twice_prompt, kv_cache="fp8", memory_fraction=0.9,
           stream_interval=20, captured=fixed(2048)),
    Recipe("vllm", MINIMAX, BLACKWELL, UP_TO_0_17, kv_cache="bf16", memory_fraction=0.95, tensor_parallel=True,
           expert_parallel=True),
    # Experts of 1536 do not split eight ways into blocks of 128: tp 8 came with --enable-expert-parallel.
    Recipe("vllm", MINIMAX, ("h200_sxm",), ((0, 18), (0, 18)), kv_cache="bf16", memory_fraction=0.95,
           expert_parallel=True),
    Recipe("vllm", MINIMAX, ("h200_sxm",), FROM_0_19, budget=more_from_64, kv_cache="fp8", memory_fraction=0.95),
    Recipe("vllm", MINIMAX, ("h200_sxm",), kv_cache="bf16", memory_fraction=0.95),
    Recipe("vllm", MINIMAX, ("mi355x",), FROM_0_19, kv_cache="fp8", memory_fraction=0.8),
    Recipe("vllm", MINIMAX, (*CDNA3, "mi355x"), kv_cache="bf16", memory_fraction=0.95),
    Recipe("vllm", MINIMAX, ("h100_sxm",), kv_cache="bf16", memory_fraction=0.9, tensor_parallel=True),
    Recipe("vllm", KIMI, BLACKWELL, since=FLAGS_OF_1047, precision="fp4", budget=twice_prompt, kv_cache="fp8",
           memory_fraction=0.9, stream_interval=20, captured=fixed(2048)),
    Recipe("vllm", KIMI, BLACKWELL, precision="fp4", memory_fraction=0.9, tensor_parallel=True, expert_parallel=False),
    Recipe("vllm", KIMI, ("h200_sxm",), precision="int4", memory_fraction=0.95, reduced_norms=True),
    Recipe("vllm", KIMI, CDNA3, precision="int4", memory_fraction=0.95),
    Recipe("vllm", KIMI, BLACKWELL, precision="int4", memory_fraction=0.95, reduced_norms=True),
    Recipe("sglang", DEEPSEEK, ("h200_sxm",), budget=fixed(32768), kv_cache="bf16", memory_fraction=0.82,
           stream_interval=10),
    # EAGLE with MTP's module, two steps (pull request 626), at a tp of 8. SGLANG_ENABLE_SPEC_V2 is set and not
    # exported, so no step is scheduled ahead.
    Recipe("sglang", DEEPSEEK_R1, BLACKWELL, since="2026-02-01", precision="fp8", budget=fixed(16384), kv_cache="fp8",
           memory_fraction=0.82, stream_interval=30, held=polled(10, below=16), drafts=fixed(2.0), only=in_one_part,
           steps_ahead=0.0, serial_s=SERIAL_STEP_S),
    Recipe("sglang", DEEPSEEK, BLACKWELL, precision="fp8", budget=by_tp(8192, 32768), kv_cache="fp8",
           memory_fraction=0.82, stream_interval=30, held=polled(10, below=16)),
    Recipe("sglang", DEEPSEEK, BLACKWELL, precision="fp4", budget=fixed(16384), kv_cache="fp8", memory_fraction=0.85,
           stream_interval=10, captured=fixed(0), held=polled(10, below=16)),
    Recipe("sglang", GLM, BLACKWELL, precision="fp4", budget=fixed(32768), kv_cache="fp8", memory_fraction=0.9,
           stream_interval=30, held=polled(10, below=10**6)),
    Recipe("sglang", GLM, BLACKWELL, budget=fixed(32768), kv_cache="fp8", memory_fraction=0.85, stream_interval=30),
    Recipe("sglang", GLM, ("h200_sxm",), memory_fraction=0.85, waves=5.0),
    Recipe("sglang", QWEN, BLACKWELL, precision="bf16", budget=fixed(32768), kv_cache="bf16", memory_fraction=0.82,
           stream_interval=30, held=polled(10, below=16), reduced_norms=True),
    Recipe("sglang", QWEN, BLACKWELL, budget=fixed(16384), kv_cache="fp8", memory_fraction=0.8, stream_interval=50,
           held=polled(10, below=5)),
    Recipe("sglang", QWEN, ("h200_sxm",), budget=fixed(16384), kv_cache="fp8", memory_fraction=0.8,
           stream_interval=50, reduced_norms=True),
    Recipe("sglang", DEEPSEEK, CDNA3, budget=fixed(131072), kv_cache="fp8", memory_fraction=0.8),
    Recipe("sglang", DEEPSEEK, ("mi355x",), budget=fixed(196608), memory_fraction=0.8),
    Recipe("trtllm", LLAMA, ("h200_sxm", *BLACKWELL), budget=fixed(16384), kv_cache="fp8", stream_interval=10,
           held=held_below_tp8),
    Recipe("trtllm", DEEPSEEK_R1, BLACKWELL, UP_TO_1_1, since=MTP_RUNS[0], until=MTP_RUNS[1], precision="fp8",
           budget=one_prompt_of_drafts, kv_cache="fp8", memory_fraction=0.8, stream_interval=10, balance=60.0,
           drafts=predicted_ahead),
    Recipe("trtllm", DEEPSEEK_R1, BLACKWELL, UP_TO_1_1, since=MTP_RUNS[0], until=MTP_RUNS[1],
           budget=one_prompt_of_drafts, kv_cache="fp8", memory_fraction=0.8, stream_interval=10, balance=60.0,
           drafts=predicted_ahead, expert_kernels=generated_in_one_group),
    Recipe("trtllm", DEEPSEEK, BLACKWELL, ((1, 2), (99, 0)), precision="fp8", budget=prompt_and_batch,
           kv_cache="fp8", memory_fraction=0.8, stream_interval=10, held=held_deepseek, captured=graphs_from_64,
           balance=60.0, expert_kernels=fixed("generated")),
    Recipe("trtllm", DEEPSEEK, BLACKWELL, precision="fp8", budget=one_prompt, kv_cache="fp8", memory_fraction=0.8,
           stream_interval=10, balance=60.0),
    Recipe("trtllm", DEEPSEEK, BLACKWELL, ((1, 2), (99, 0)), budget=prompt_and_batch, kv_cache="fp8",
           memory_fraction=0.8, stream_interval=10, captured=graphs_of_eight, balance=60.0,
           expert_kernels=generated_in_one_group),
    Recipe("trtllm", DEEPSEEK, BLACKWELL, budget=one_prompt, kv_cache="fp8", memory_fraction=0.8, stream_interval=10,
           balance=60.0, expert_kernels=generated_in_one_group),
    Recipe("trtllm", DEEPSEEK_R1, ("h200_sxm",), since=MTP_RUNS[0], until=MTP_RUNS[1], budget=one_prompt_of_drafts,
           kv_cache="fp8", memory_fraction=0.75, stream_interval=10, balance=60.0, drafts=predicted_ahead),
    # Rows with an ep of 1 repeat the figures of those with 8: the script's EP_SIZE was that of tp.
    Recipe("trtllm", DEEPSEEK, ("h200_sxm",), budget=one_prompt, kv_cache="fp8", memory_fraction=0.75,
           stream_interval=10, balance=60.0, expert_parallel=True),
    Recipe("trtllm", GPT_OSS, BLACKWELL, budget=fixed(20000), kv_cache="fp8", memory_fraction=0.85,
           stream_interval=20, expert_kernels=fixed("generated")),
    Recipe("trtllm", GPT_OSS, ("h200_sxm",), budget=fixed(20000), kv_cache="bf16", memory_fraction=0.85,
           stream_interval=20, expert_kernels=fixed("triton")),
)  # fmt: skip


def recipe_of(m: Measurement, engine: str, hardware: str) -> Recipe | None:
    """The script that launched a row's server; ``None`` where none is known, as for rows of other benchmarks."""
    if not m.drawn:
        return None
    return next((r for r in RECIPES if r.launched(m, engine, hardware)), None)
