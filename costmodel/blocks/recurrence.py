"""The kernel of a recurrent layer: one pass over the tokens that reads and writes a state of fixed size."""

from __future__ import annotations

from costmodel.architecture import Setting
from costmodel.operations import Core
from costmodel.plans import Array


def scan(
    name: str,
    setting: Setting,
    *,
    prefill_flops: Array,
    decode_flops: Array,
    state_bytes: Array,
    io_bytes: Array,
    heads: Array,
    context: float = 1.0,
) -> Core:
    """A rank's scan over its ``heads`` heads or channels, each figure for all of them together.

    ``prefill_flops`` are spent on a token of a prompt (taken in chunks of ``context`` tokens), ``decode_flops`` on one
    of an answer; ``io_bytes`` a token go in and out. A prompt begins from its state, a decode step reads it and writes
    it back.
    """
    return Core(
        name,
        "scan",
        dtype="bf16",
        flops_per_prompt=prefill_flops * setting.lengths.new,
        flops_per_decode=decode_flops,
        cache_read_per_prompt=state_bytes,
        cache_read_per_decode=2.0 * state_bytes,
        cache_write_per_token=0.0,
        io_per_token=io_bytes,
        heads=heads,
        context=context,
    )
