"""What a model is in numbers: parameters, bytes by format, cache and state of a sequence. Everything is read off the
operations on one accelerator, so that a count that is right says that the operations are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from costmodel.architecture import Architecture, Layer, Setting
from costmodel.operations import Collective, Core, Gemm, GroupedGemm, Operation


def _setting(architecture: Architecture) -> Setting:
    return replace(Setting.single(architecture), kv_bytes=architecture.kv_format.bytes_per_element)


def _layers(architecture: Architecture) -> list[tuple[int, Layer]]:
    counts = Counter(architecture.sequence)
    return [(counts[i], kind) for i, kind in enumerate(architecture.kinds)]


def _weighted(architecture: Architecture) -> Iterator[tuple[int, Operation]]:
    """Each operation with weights and how often it occurs. A tied head is the embedding table."""
    setting = _setting(architecture)
    yield from ((1, op) for op in architecture.embedding(setting))
    for count, layer in _layers(architecture):
        yield from ((count, op) for op in layer.operations(setting))
    for op in architecture.head(setting):
        if architecture.tied_embeddings and isinstance(op, Gemm) and op.name == "head":
            op = replace(op, k=0.0)  # its bias, if it has one, is its own
        yield 1, op


def _number(value: object) -> float:
    return float(np.sum(np.asarray(value, dtype=float)))


def parameters(architecture: Architecture) -> int:
    """Parameters of the language model and its head, without vision and multi-token-prediction modules; buffers
    (a router's correction vector) are not parameters, as in transformers' ``num_parameters``."""
    return round(sum(count * _number(op.weights) for count, op in _weighted(architecture)))


def active_parameters(architecture: Architecture) -> int:
    """Parameters that one token goes through: all but the experts it is not sent to (embedding and head included, as
    model cards count)."""
    total = 0.0
    for count, op in _weighted(architecture):
        share = op.top_k / op.experts_total if isinstance(op, GroupedGemm) else 1.0
        total += count * share * _number(op.weights)
    return round(total)


def weight_bytes(architecture: Architecture) -> dict[str, float]:
    """Bytes of the parameters above by number format, block scales included."""
    total: dict[str, float] = {}
    for count, op in _weighted(architecture):
        if isinstance(op, (Collective, Core)):
            continue
        total[op.format.name] = total.get(op.format.name, 0.0) + count * _number(op.weight_bytes)
    return {name: size for name, size in total.items() if size}


def kv_bytes_per_sequence(architecture: Architecture, tokens: int) -> float:
    """Bytes of cache that ``tokens`` tokens of one sequence hold over all layers, in the model's cache format."""
    setting = _setting(architecture)
    mixers = [(count, layer.mixer) for count, layer in _layers(architecture) if layer.mixer is not None]
    return sum(count * _number(mixer.cache_bytes(setting, float(tokens))) for count, mixer in mixers)


def kv_bytes_per_token(architecture: Architecture) -> float:
    """Bytes that a token adds while every window still has room."""
    return kv_bytes_per_sequence(architecture, 1)


def state_bytes_per_sequence(architecture: Architecture) -> float:
    """Bytes that a sequence holds whatever its length (linear attention, state space)."""
    setting = _setting(architecture)
    mixers = [(count, layer.mixer) for count, layer in _layers(architecture) if layer.mixer is not None]
    return sum(count * _number(mixer.state_bytes(setting)) for count, mixer in mixers)
