"""The parts that layers are composed of, one kind a file."""

from costmodel.blocks.dense import DenseFfn
from costmodel.blocks.gqa import GroupedQueryAttention
from costmodel.blocks.moe import MoeFfn

__all__ = ["DenseFfn", "GroupedQueryAttention", "MoeFfn"]
