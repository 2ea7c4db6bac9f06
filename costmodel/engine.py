"""What the cost model needs to know of a serving engine. Legality rules are in ``search/optimizer/rules``."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.layout import Routing
from costmodel.working_memory import UNKNOWN_MEMORY, WorkingMemory

ENGINES = ("vllm", "sglang", "trtllm")


@dataclass(frozen=True)
class Engine:
    """``max_batched_tokens`` new tokens of one attention group in one pass; ``block_tokens`` of a KV block;
    ``output_reserved`` share of an answer's cache that is reserved when a request is admitted (1: nothing is ever
    evicted; 0: blocks are taken as tokens come, and sequences of all ages share the cache); ``reserve_bytes`` of an
    accelerator that are kept free beside all that ``memory`` names (``costmodel.working_memory``);
    ``dense_split`` ``tp`` or ``stage``; ``exchange`` ``allgather`` or ``alltoall``; ``expert_rows`` ``local``, or
    ``all``: portable kernels for experts walk the rows of other ranks' experts too; ``attention_format`` ``bf16``, or
    ``cache``: attention multiplies in FP8 where the cache is FP8; ``expert_imbalance``, ``expert_skew`` and
    ``expert_tile_rows`` are explained at ``costmodel.layout.Routing``; ``expert_stretch``: expert products take so many
    times the law's time, ``expert_kernels`` names what computes them (``costmodel.launches.EXPERT_KERNELS``);
    ``all_reduce`` names the kernel (``costmodel.all_reduce.KERNELS``) and ``all_reduce_norm``
    says whether it does the norm after it too: ``fused``, ``apart``, or ``experts``, in models with experts alone;
    ``one_pass_tokens``: all-reduces of up to so many rows take one pass even where two would be faster;
    ``comm_overlap`` share of communication hidden behind computation; ``shared_stream_tokens``: up to so many rows,
    shared experts run on a stream of their own beside the routed ones; ``launch_share`` share of the kernels' fixed
    costs that is left (CUDA graphs and dependent launches hide some), those of expert products apart, and
    ``unfused_launches`` times as much for models that the engine has no kernels of its own for;
    ``input_quantisation``: a kernel of its own quantises the input of a product (``apart``), or norms, activations and
    attention write it in FP8 or NVFP4 (``fused``; ``fp4_norms_apart``: norms in FP8 alone); ``fp8_products``:
    ``cublas``, or ``cutlass``, which takes whole tiles of rows on Hopper; overheads of the host:
    ``step_overhead_s`` a pass, ``layer_overhead_s`` a layer and pass, ``sequence_overhead_s`` a sequence and pass,
    ``request_overhead_s`` once a request (parsing, answering) and ``prompt_token_s`` once a token of its prompt
    (tokenising, copying); ``eager_launch_s`` an operation that is launched by itself: in passes with prompts of more
    rows than replay captured graphs (``prefill_graphs``: ``counted``, ``captured_tokens`` of them, or by the rules of
    ``costmodel.graphs``), in ``eager_layers``, those with ``experts``
    (which engines do not compile into few launches) or ``all``, and ``eager_experts_s`` a layer with experts besides;
    ``stream_token_s`` a token that is sent to its client (``serving.streaming``), ``stream_interval`` tokens of an
    answer being sent at a time; ``steps_ahead`` that are scheduled while one runs; ``hold_steps``: a prompt that could
    be prefilled is held back for up to so many steps, so that others join it."""

    name: str
    max_batched_tokens: int = 8192
    output_reserved: float = 1.0
    block_tokens: int = 16
    reserve_bytes: float = 0.0
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
    memory: WorkingMemory = UNKNOWN_MEMORY

    def request_s(self, prompt_tokens: float) -> float:
        """Seconds that the host spends on one request, beside the passes."""
        return self.request_overhead_s + self.prompt_token_s * prompt_tokens

    @property
    def routing(self) -> Routing:
        return Routing(self.expert_imbalance, self.expert_skew, self.expert_tile_rows)
