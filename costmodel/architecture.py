"""A language model as a sequence of layer kinds. No special case by name: what differs is composed from blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from costmodel.formats import BF16, WeightFormat
from costmodel.layout import Layout
from costmodel.lengths import FixedLengths
from costmodel.operations import ACTIVATION_BYTES, Collective, Elementwise, Gemm, Operation

# Modules that quantisers leave alone unless a config says otherwise (vllm/model_executor/layers/quantization/fp8.py
# and compressed_tensors, vLLM 0.33: only linear layers and experts are converted; the gate is ReplicatedLinear without
# a quantisation config in every MoE model file).
UNQUANTISED = ("embedding", "head", "norm", "router")


@dataclass(frozen=True)
class Quantization:
    """Which format each module's weights are stored in. The longest prefix of an operation's name decides:
    ``{"attention": BF16}`` keeps all of ``attention.qkv``, ``attention.output`` in bf16."""

    default: WeightFormat = BF16
    modules: Mapping[str, WeightFormat] = field(default_factory=dict)

    @classmethod
    def linear_layers(cls, format: WeightFormat, **kept: WeightFormat) -> Quantization:
        """``format`` for linear layers and experts; embeddings, head, norms and router stay in bf16."""
        return cls(format, dict.fromkeys(UNQUANTISED, BF16) | kept)

    @cached_property
    def _known(self) -> dict[str, WeightFormat]:
        return {}

    def of(self, name: str) -> WeightFormat:
        found = self._known.get(name)
        if found is None:
            matching = [m for m in self.modules if name == m or name.startswith(m + ".")]
            found = self._known[name] = self.modules[max(matching, key=len)] if matching else self.default
        return found

    def changed(self, formats: Sequence[tuple[str, WeightFormat]]) -> Quantization:
        """The same with these modules in other formats."""
        return replace(self, modules={**self.modules, **dict(formats)}) if formats else self


Formats = tuple[tuple[str, WeightFormat], ...]  # of modules that a checkpoint stores otherwise


@dataclass(frozen=True)
class Setting:
    """What a block is told when it lists its operations: the model's width, the layout, formats, lengths, the
    engine's way of exchanging tokens between attention groups (``allgather`` or ``alltoall``), and which rows its
    experts' kernels walk (``local`` or ``all``: also those whose experts are on other ranks). ``attention_dtype`` that
    attention multiplies in, and ``latent_prompts`` that latent attention does for prompts."""

    hidden: int
    layout: Layout
    quantization: Quantization
    kv_bytes: float
    attention_dtype: str
    lengths: FixedLengths
    exchange: str = "allgather"
    expert_rows: str = "local"
    latent_prompts: str = "bf16"

    @classmethod
    def single(cls, architecture: Architecture, lengths: FixedLengths = FixedLengths(1, 2)) -> Setting:
        """Everything on one accelerator, with two bytes for an element of the cache."""
        return cls(architecture.hidden, Layout.single(), architecture.quantization, ACTIVATION_BYTES, "bf16", lengths)

    @cached_property
    def _listed(self) -> dict[tuple[Block, Formats], list[Operation]]:
        return {}

    def operations(self, block: Block, formats: Formats) -> list[Operation]:
        """A block's operations, listed once for all layers that have it."""
        found = self._listed.get((block, formats))
        if found is None:
            own = replace(self, quantization=self.quantization.changed(formats)) if formats else self
            found = self._listed[block, formats] = list(block.operations(own))
        return found


class Block(Protocol):
    """A mixer (attention, state space) or a feed-forward part."""

    def operations(self, setting: Setting) -> Iterator[Operation]:
        """One rank's operations, in order, both phases."""
        ...


class Mixer(Block, Protocol):
    @property
    def split_heads(self) -> tuple[int, ...]:
        """Head counts that tp must divide."""
        ...

    def cache_bytes(self, setting: Setting, tokens: Any) -> Any:
        """Bytes on one rank that a sequence of ``tokens`` cached tokens holds in one layer (growing part)."""
        ...

    def state_bytes(self, setting: Setting) -> Any:
        """Bytes on one rank that a sequence holds in one layer whatever its length."""
        ...


@dataclass(frozen=True)
class Layer:
    """A mixer and a feed-forward part, either may be absent; ``norms`` RMS norms of the hidden width, with weights or
    without (``norm_weights``). ``extra_parameters`` stand beside them: biases of norms, trained scalars. ``formats``
    of those of its modules that a checkpoint with mixed precision stores otherwise than most layers do.
    ``residual``: what joins layers beyond an addition (``blocks/residual.py``)."""

    mixer: Mixer | None
    ffn: Block | None
    norms: int = 2
    extra_parameters: int = 0
    norm_weights: bool = True
    formats: Formats = ()
    residual: Block | None = None

    @property
    def has_experts(self) -> bool:
        """True if the feed-forward part is a mixture of experts."""
        return hasattr(self.ffn, "experts")

    def operations(self, setting: Setting) -> Iterator[Operation]:
        for block in (self.mixer, self.ffn, self.residual):
            if block is not None:
                yield from setting.operations(block, self.formats)
        # A fused residual add and norm reads and writes both streams (vllm csrc/layernorm_kernels.cu, 0.33).
        moved = 4.0 * setting.hidden * ACTIVATION_BYTES
        quantization = setting.quantization.changed(self.formats)
        for n in range(self.norms):
            weights = self.norm_weights * setting.hidden + (0 if n else self.extra_parameters)
            yield Elementwise("norm", quantization.of("norm"), moved, weights, after_reduce=True)

    def host_launches(self, setting: Setting) -> int:
        """What the host launches where no graph does: the operations, and those that a mixer does not list because
        they take no time worth a term."""
        return sum(1 for _ in self.operations(setting)) + getattr(self.mixer, "unlisted_operations", 0)


@dataclass(frozen=True)
class LayerRun:
    """``count`` equal layers in a row."""

    layer: Layer
    count: int


@dataclass(frozen=True)
class Architecture:
    """``runs`` from the embedding to the head. ``vision_parameters`` and ``mtp_parameters`` are counted apart: the
    first are resident in memory (``whole_towers``: of vLLM on every rank), the second, of ``mtp_modules``, are loaded
    only for speculative decoding."""

    name: str
    hidden: int
    vocabulary: int
    runs: tuple[LayerRun, ...]
    tied_embeddings: bool
    quantization: Quantization = Quantization()
    vision_parameters: int = 0
    whole_towers: bool = False
    mtp_parameters: int = 0
    mtp_modules: int = 0
    max_position: int = 0
    final_norm: bool = True
    kv_format: WeightFormat = BF16
    final_norm_bias: int = 0  # parameters of a final LayerNorm beyond its weight
    norm_weights: bool = True  # False: the final norm has no weight (OLMo 1)
    embedding_parameters: int = 0  # beside the table: a norm of the embeddings, learned positions
    head_bias: bool = False

    @property
    def layer_count(self) -> int:
        return sum(run.count for run in self.runs)

    @cached_property
    def has_experts(self) -> bool:
        """True if some layer is a mixture of experts."""
        return any(kind.has_experts for kind in self.kinds)

    @property
    def sparse(self) -> bool:
        """True if an indexer chooses what some layer attends to."""
        return any(getattr(kind.mixer, "indexer", None) is not None for kind in self.kinds)

    def has_mixer(self, *mixers: type) -> bool:
        """True if some layer's mixer is one of these."""
        return any(isinstance(kind.mixer, mixers) for kind in self.kinds)

    @cached_property
    def kinds(self) -> tuple[Layer, ...]:
        """The different layers, in order of first appearance."""
        return tuple(dict.fromkeys(run.layer for run in self.runs))

    @cached_property
    def sequence(self) -> list[int]:
        """The kind (index into ``kinds``) of each layer, from first to last."""
        kinds = self.kinds
        return [kinds.index(run.layer) for run in self.runs for _ in range(run.count)]

    def embedding(self, setting: Setting) -> Iterator[Operation]:
        """The first stage's own operations: the table is split over tp by rows, each rank adds what it holds."""
        tp = setting.layout.tp
        size = self.vocabulary * self.hidden / tp
        row = 2.0 * self.hidden * ACTIVATION_BYTES
        yield Elementwise("embedding", setting.quantization.of("embedding"), row, size, reads_weights=False)
        if self.embedding_parameters:
            yield Elementwise("norm.embedding", setting.quantization.of("norm"), row, self.embedding_parameters)
        yield Collective("embedding.all_reduce", "all_reduce", self.hidden * ACTIVATION_BYTES, tp, 1)

    def head(self, setting: Setting) -> Iterator[Operation]:
        """The last stage's own operations: final norm and the product with the vocabulary, for sampled rows alone."""
        tp = setting.layout.tp
        of = setting.quantization.of
        if self.final_norm:
            weights = self.norm_weights * self.hidden + self.final_norm_bias
            yield Elementwise("norm.final", of("norm"), 4.0 * self.hidden * ACTIVATION_BYTES, weights)
        width = self.vocabulary / tp
        yield Gemm("head", of("head"), self.hidden, width, "samples", bias=width if self.head_bias else 0.0)
        yield Collective("head.all_gather", "all_gather", self.vocabulary * ACTIVATION_BYTES, tp, 1, "samples")
