"""Attention of prompts and of decoding sequences, with ``torch.nn.functional.scaled_dot_product_attention`` in 16 bits.

Prompts: causal, as many KV heads as heads (the law sees KV heads only as bytes). Decode: the heads that share a KV head
stand as the rows of one query block, ``q [batch, kv_heads, heads / kv_heads, d]``, so that the cache is read once on
any backend; contiguous caches, where engines gather pages. Only the bare kernel is timed, without rotary embedding and
cache write. torch chooses the backend.
"""

from __future__ import annotations

from itertools import product

from search.commands.measure.bench import Case
from search.commands.measure.device import Device
from search.commands.measure.records import Timing
from search.commands.measure.timing import Call

KERNEL = "torch scaled_dot_product_attention"
HALF_BYTES = 2.0

PROMPT_HEADS = ((8, 64), (8, 128), (32, 128), (64, 128))  # (heads, head_dim)
PROMPT_LENGTHS = (128, 512, 2048, 8192, 16384)
PROMPT_BATCHES = (1, 4, 16)
QUICK_PROMPT_HEADS = ((2, 64), (4, 128), (8, 128))
QUICK_PROMPT_LENGTHS = (64, 128, 256, 512, 1024)
QUICK_PROMPT_BATCHES = (1, 4)

DECODE_HEADS = ((8, 1, 128), (32, 8, 128), (64, 8, 128), (16, 2, 64))  # (heads, kv_heads, head_dim)
CONTEXTS = (16, 64, 256, 1024, 4096, 16384, 65536)  # short ones tell the launch from the second kernel
DECODE_BATCHES = (1, 4, 16, 64, 256)
QUICK_DECODE_HEADS = ((8, 2, 64), (8, 1, 128), (16, 8, 128))
QUICK_CONTEXTS = (16, 128, 512, 2048)
QUICK_DECODE_BATCHES = (1, 8, 32)


def prefill_cases(quick: bool) -> list[Case]:
    heads = QUICK_PROMPT_HEADS if quick else PROMPT_HEADS
    lengths = QUICK_PROMPT_LENGTHS if quick else PROMPT_LENGTHS
    batches = QUICK_PROMPT_BATCHES if quick else PROMPT_BATCHES
    return [_prefill(b, h, d, length) for b, (h, d), length in product(batches, heads, lengths)]


def decode_cases(quick: bool) -> list[Case]:
    heads = QUICK_DECODE_HEADS if quick else DECODE_HEADS
    contexts = QUICK_CONTEXTS if quick else CONTEXTS
    batches = QUICK_DECODE_BATCHES if quick else DECODE_BATCHES
    return [_decode(b, h, kv, d, length) for b, (h, kv, d), length in product(batches, heads, contexts)]


def _prefill(batch: int, heads: int, d: int, length: int) -> Case:
    def make(device: Device) -> Call:
        query, key, value = (device.random(device.half, batch, heads, length, d) for _ in range(3))
        attend = device.torch.nn.functional.scaled_dot_product_attention
        return lambda: attend(query, key, value, is_causal=True)

    moved = 4.0 * batch * heads * length * d * HALF_BYTES
    shape = Timing("prefill", KERNEL, "bf16", batch=batch, heads=heads, kv_heads=heads, head_dim=d, length=length)
    return Case(shape, 2.0 * heads * d * batch * length * (length + 1), moved, make)


def _decode(batch: int, heads: int, kv_heads: int, d: int, context: int) -> Case:
    def make(device: Device) -> Call:
        query = device.random(device.half, batch, kv_heads, heads // kv_heads, d)
        key, value = (device.random(device.half, batch, kv_heads, context, d) for _ in range(2))
        attend = device.torch.nn.functional.scaled_dot_product_attention
        return lambda: attend(query, key, value)

    moved = 2.0 * batch * d * HALF_BYTES * (kv_heads * context + heads)
    shape = Timing("decode", KERNEL, "bf16", batch=batch, heads=heads, kv_heads=kv_heads, head_dim=d, length=context)
    return Case(shape, 4.0 * heads * d * context * batch, moved, make)
