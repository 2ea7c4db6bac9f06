"""The parts that layers are composed of, one kind a file."""

from costmodel.blocks.delta_net import GatedDeltaNet
from costmodel.blocks.dense import DenseFfn
from costmodel.blocks.gqa import GroupedQueryAttention
from costmodel.blocks.mamba import Mamba2
from costmodel.blocks.mla import LatentAttention
from costmodel.blocks.moe import MoeFfn
from costmodel.blocks.sparse import Indexer

__all__ = [
    "DenseFfn",
    "GatedDeltaNet",
    "GroupedQueryAttention",
    "Indexer",
    "LatentAttention",
    "Mamba2",
    "MoeFfn",
]
