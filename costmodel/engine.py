"""What the cost model needs to know of a serving engine. Legality rules are in ``search/optimizer/rules``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from costmodel.fields import Choice, Quantity
from costmodel.layout import Routing
from costmodel.working_memory import UNKNOWN_MEMORY, WorkingMemory

ENGINES = ("vllm", "sglang", "trtllm")
ALL_REDUCE = ("custom", "trtllm", "sglang")  # costmodel.all_reduce.KERNELS
EXPERT_KERNELS = ("any", "vllm", "sglang", "cutlass", "generated", "triton")  # costmodel.launches.EXPERT_KERNELS
INPUT_QUANTISATION = ("apart", "fused", "fp8", "fp4_norms_apart")  # costmodel.launches.INPUT_QUANTISATION
FP8_PRODUCTS = ("cutlass", "cublas")  # costmodel.launches.FP8_PRODUCTS
PREFILL_GRAPHS = ("counted", "breakable", "piecewise")  # costmodel.graphs.captured_tokens


@dataclass(frozen=True)
class Engine:
    """An engine's constants, declared once: the configuration's keys, their ranges and the reader that checks them
    follow from this list (``costmodel.fields``, ``search.inputs.derived``)."""

    name: Annotated[str, Choice("whose rules a plan must keep", ("any", *ENGINES))]
    max_batched_tokens: Annotated[int, Quantity("new tokens of one attention group in one pass", 1)] = 8192
    block_tokens: Annotated[int, Quantity("tokens of a KV block", 1)] = 16
    output_reserved: Annotated[
        float,
        Quantity(
            "share of an answer's cache that is reserved when a request is admitted (1: nothing is ever evicted; 0: "
            "blocks are taken as tokens come, and sequences of all ages share the cache)",
            0,
            1,
        ),
    ] = 1.0
    reserve_bytes: Annotated[
        float,
        Quantity(
            "of an accelerator that are kept free beside all that memory names",
            stated=True,
        ),
    ] = 0.0
    dense_split: Annotated[str, Choice("how many ways dense FFNs and shared experts are split", ("tp", "stage"))] = "tp"
    exchange: Annotated[
        str, Choice("how tokens reach experts of other attention groups", ("allgather", "alltoall"))
    ] = "allgather"
    # Of these three: costmodel.layout.Routing.
    expert_imbalance: Annotated[float, Quantity("rows of the busiest expert-parallel rank over the mean", 1, 1e4)] = 1.0
    expert_skew: Annotated[float, Quantity("variance of the experts' popularity over its mean squared", 0, 100)] = 0.0
    expert_tile_rows: Annotated[
        float, Quantity("rows to which every local expert is padded; 0: only experts that are hit are touched", 0, 1024)
    ] = 0.0
    expert_stretch: Annotated[
        float, Quantity("expert products take so many times the law's time", 0, 10, above=True)
    ] = 1.0
    expert_kernels: Annotated[str, Choice("what computes experts", EXPERT_KERNELS)] = "any"
    expert_rows: Annotated[
        str, Choice("all: portable kernels for experts walk the rows of other ranks' experts too", ("local", "all"))
    ] = "local"
    attention_format: Annotated[
        str, Choice("cache: attention multiplies in FP8 where the cache is FP8", ("bf16", "cache"))
    ] = "bf16"
    comm_overlap: Annotated[float, Quantity("share of communication hidden behind computation", 0, 1)] = 0.0
    all_reduce: Annotated[str, Choice("the kernel of all-reduces within a node", ALL_REDUCE)] = "custom"
    all_reduce_norm: Annotated[
        str,
        Choice(
            "whether that kernel does the norm after it too (experts: in models with experts alone)",
            ("apart", "experts", "fused"),
        ),
    ] = "apart"
    one_pass_tokens: Annotated[
        int, Quantity("all-reduces of up to so many rows take one pass even where two would be faster")
    ] = 0
    shared_stream_tokens: Annotated[
        int, Quantity("up to so many rows, shared experts run on a stream of their own beside the routed ones")
    ] = 0
    launch_share: Annotated[
        float,
        Quantity(
            "share of the kernels' fixed costs that is left (CUDA graphs and dependent launches hide some), those of "
            "expert products apart",
            0,
            10,
        ),
    ] = 1.0
    unfused_launches: Annotated[
        float,
        Quantity("times as much of them for models that the engine has no kernels of its own for", 0, 10, above=True),
    ] = 1.0
    input_quantisation: Annotated[
        str,
        Choice(
            "apart: a kernel of its own quantises the input of a product; fused: norms, activations and attention "
            "write it in FP8 or NVFP4; fp8: in FP8 alone; fp4_norms_apart: norms in FP8 alone",
            INPUT_QUANTISATION,
        ),
    ] = "apart"
    fp8_products: Annotated[
        str, Choice("cutlass takes whole tiles of rows on Hopper, cublas does not", FP8_PRODUCTS)
    ] = "cutlass"
    block_input_bytes: Annotated[
        float,
        Quantity(
            "an element that quantising inputs of products scaled in blocks moves on Hopper; 0: the law's", 0, 100
        ),
    ] = 0.0
    blackwell_products: Annotated[
        float,
        Quantity("rate of matrix products on Blackwell over sustained_share, up to that of the law", 0, 10, above=True),
    ] = 1.0
    step_overhead_s: Annotated[float, Quantity("host, a pass", 0, 10)] = 0.0
    layer_overhead_s: Annotated[float, Quantity("a layer and pass", 0, 10)] = 0.0
    sequence_overhead_s: Annotated[float, Quantity("host, a sampled sequence and pass", 0, 10)] = 0.0
    request_overhead_s: Annotated[float, Quantity("host, once a request (parsing, answering)", 0, 10)] = 0.0
    prompt_token_s: Annotated[
        float, Quantity("host, once a token of a request's prompt (tokenising, copying)", 0, 10)
    ] = 0.0
    eager_launch_s: Annotated[
        float,
        Quantity(
            "host, an operation that is launched by itself: in passes with prompts of more rows than replay captured "
            "graphs",
            0,
            10,
        ),
    ] = 0.0
    eager_layers: Annotated[
        str,
        Choice("the layers whose operations are launched so; engines compile dense ones into few", ("experts", "all")),
    ] = "experts"
    eager_experts_s: Annotated[
        float, Quantity("host, a layer with experts in such a pass, beside its operations", 0, 10)
    ] = 0.0
    captured_tokens: Annotated[
        int, Quantity("rows of the largest pass with prompts that replays a graph, where prefill_graphs counts them")
    ] = 0
    prefill_graphs: Annotated[
        str, Choice("counted: captured_tokens; the others by the rules of costmodel.graphs", PREFILL_GRAPHS)
    ] = "counted"
    stream_token_s: Annotated[
        float, Quantity("a token that is sent to its client, one after the other in a replica", 0, 10)
    ] = 0.0
    stream_interval: Annotated[int, Quantity("tokens of an answer that are sent at a time", 1)] = 1
    steps_ahead: Annotated[float, Quantity("steps that are scheduled while one runs", 0, 10)] = 0.0
    hold_steps: Annotated[
        float,
        Quantity("steps that a prompt is held back for, so that others join it", 0, 1000),
    ] = 0.0
    balance_steps: Annotated[
        float, Quantity("steps for which a prompt waits at most until every attention group has one", 0, 1000)
    ] = 0.0
    prefill_first: Annotated[int, Quantity("1: nobody decodes while a prompt can be prefilled", 0, 1)] = 0
    drafts: Annotated[
        int, Quantity("tokens that the model's own prediction module proposes a sequence and pass", 0, 16)
    ] = 0
    draft_acceptance: Annotated[float, Quantity("chance that such a token is accepted", 0, 1)] = 0.0
    fused_latent: Annotated[int, Quantity("1: kernels for DeepSeek-V3's shape run on Blackwell too", 0, 1)] = 1
    decode_graphs: Annotated[int, Quantity("1: decode steps replay captured graphs", 0, 1)] = 1
    cdna_launches: Annotated[
        float, Quantity("times the kernels' fixed costs on AMD's MI300X and MI325X", 0, 20, above=True)
    ] = 1.0
    memory: WorkingMemory = UNKNOWN_MEMORY

    def request_s(self, prompt_tokens: float) -> float:
        """Seconds that the host spends on one request, beside the passes."""
        return self.request_overhead_s + self.prompt_token_s * prompt_tokens

    @property
    def tokens_a_step(self) -> float:
        """Tokens that a decoding sequence gains in a pass: one, and of the drafts those before the first that is
        rejected, 1 + p + ... + p^drafts (Leviathan et al., arXiv:2211.17192, eq. 1)."""
        return float(sum(self.draft_acceptance**i for i in range(self.drafts + 1)))

    @property
    def routing(self) -> Routing:
        return Routing(self.expert_imbalance, self.expert_skew, self.expert_tile_rows)
