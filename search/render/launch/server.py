"""One server of a plan: the numbers that any engine has to be told, in our own words."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.memory.device import usable_bytes
from costmodel.plans import AXES, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.inputs.schema import Config
from search.render.launch.checkpoint import Checkpoint, checkpoint_of

# Some attention kernels keep the cache in blocks of up to this many tokens: lengths are whole blocks of any of them.
LARGEST_BLOCK = 64


@dataclass(frozen=True)
class Server:
    """A plan's replica and what was predicted of the plan.

    Degrees as in docs/words.md. ``group_batch`` sequences of an attention group; ``tokens`` new tokens a pass of an
    attention group; ``length`` tokens that a sequence may have; ``prefix`` prompt tokens that all requests share;
    ``positions`` that the model was made for, 0 if unknown; ``sparse``: an indexer picks what a token attends to;
    ``capacity_tokens`` that an attention group's cache should hold, ``cache_bytes`` of an accelerator;
    ``captured_tokens`` rows up to which a pass with prompts replays a graph where ``prefill_graphs`` counts them;
    ``generated_experts``: TensorRT-LLM's generated kernels compute the experts; ``stream_interval`` tokens that are
    sent at a time; ``hold_steps`` for which a prompt is held back at most.

    Shares of an accelerator's memory: ``memory_share`` for everything, ``static_share`` for weights and cache,
    ``free_share`` the cache's of what weights, activations and reserve leave."""

    model: str
    hardware: str
    vendor: str
    scored_for: str
    tp: int
    ep: int
    dp: int
    pp: int
    sp: int
    batch: int
    gpus: int
    attn_dp: int
    moe_tp: int
    group_batch: int
    tokens: int
    length: int
    isl: int
    osl: int
    prefix: int
    positions: int
    sparse: bool
    memory_share: float
    static_share: float
    free_share: float
    cache_bytes: float
    capacity_tokens: int
    state_blocks: int | None
    node_size: int
    captured_tokens: int
    prefill_graphs: str
    generated_experts: bool
    stream_interval: int
    hold_steps: float
    checkpoint: Checkpoint
    ttft_s: float
    tpot_s: float
    output_tokens_per_s: float

    @property
    def gpus_each(self) -> int:
        """Accelerators of one server."""
        return self.gpus // self.dp

    @property
    def width(self) -> int:
        """Accelerators of one stage."""
        return self.gpus_each // self.pp

    @property
    def nodes(self) -> int:
        """Nodes of one server."""
        return -(-self.gpus_each // self.node_size)

    @property
    def per_node(self) -> int:
        """Servers that share a node."""
        return max(min(self.node_size // self.gpus_each, self.dp), 1)

    @property
    def words(self) -> str:
        """The plan's axes in one line."""
        return ", ".join(f"{axis} {getattr(self, axis)}" for axis in AXES)


def server_of(config: Config, scenario: Scenario, plans: Plans, scores: Scores, row: int) -> Server:
    """Row ``row`` of plans that exist (``search.optimizer.legal``) and their scores."""
    plan, engine = plans.row(row), scenario.engine
    lengths, memory_bytes = scenario.lengths, usable_bytes(scenario.accelerator)
    attn_dp = int(plans.attn_dp[row])
    group_batch = -(-plan["batch"] // attn_dp)
    capacity = int(scores.kv_capacity_tokens[row])
    share = scenario.limits.memory_fraction
    working = float(scores.activation_bytes_per_gpu[row] + scores.reserve_bytes_per_gpu[row]) / memory_bytes
    weights = float(scores.weights_bytes_per_gpu[row]) / memory_bytes
    left = 1.0 - weights - working
    return Server(
        model=scenario.model.name,
        hardware=scenario.accelerator.name,
        vendor=scenario.accelerator.vendor,
        scored_for=engine.name,
        **plan,
        attn_dp=attn_dp,
        moe_tp=int(plans.moe_tp[row]) if scenario.model.has_experts else 1,
        group_batch=group_batch,
        tokens=max(engine.max_batched_tokens, group_batch),
        length=_length(lengths.total, capacity, scenario.model.max_position),
        isl=lengths.isl,
        osl=lengths.osl,
        prefix=round(lengths.cached),
        positions=scenario.model.max_position,
        sparse=scenario.model.sparse,
        memory_share=share,
        static_share=share - working,
        free_share=(share - weights - working) / left if left > 0.0 else 0.0,
        cache_bytes=max(share - weights - working, 0.0) * memory_bytes,
        capacity_tokens=capacity,
        state_blocks=None,
        node_size=scenario.cluster.node_size,
        captured_tokens=engine.captured_tokens,
        prefill_graphs=engine.prefill_graphs,
        generated_experts=_generated_experts(scenario),
        stream_interval=engine.stream_interval,
        hold_steps=engine.hold_steps,
        checkpoint=checkpoint_of(config.model, scenario.model.kv_format.name),
        ttft_s=float(scores.ttft_s[row]),
        tpot_s=float(scores.tpot_s[row]),
        output_tokens_per_s=float(scores.output_tokens_per_s[row]),
    )


def _generated_experts(scenario: Scenario) -> bool:
    """They are written for Blackwell alone."""
    asked = scenario.engine.expert_kernels == "generated" and scenario.model.has_experts
    return asked and scenario.accelerator.blackwell


def _length(total: int, capacity: int, positions: int) -> int:
    """Tokens of a request in whole blocks, and a block more: a tokenizer does not always hit a length exactly. Not more
    than the model can (``positions``, 0 if unknown) nor than the cache holds, which engines refuse at start."""
    roomy = (-(-total // LARGEST_BLOCK) + 1) * LARGEST_BLOCK
    most = min(roomy, positions) if positions else roomy
    return max(min(most, capacity // LARGEST_BLOCK * LARGEST_BLOCK), total)
