"""The parts that layers are composed of, one kind a file."""

from costmodel.blocks.compressed import CompressedAttention, CompressedIndexer
from costmodel.blocks.cross import CrossAttentionLayer
from costmodel.blocks.delta_attention import KimiDeltaAttention
from costmodel.blocks.delta_net import GatedDeltaNet
from costmodel.blocks.dense import DenseFfn
from costmodel.blocks.gqa import GroupedQueryAttention
from costmodel.blocks.lightning import LightningAttention
from costmodel.blocks.mamba import Mamba2
from costmodel.blocks.mamba1 import Mamba1
from costmodel.blocks.mla import LatentAttention
from costmodel.blocks.moe import MoeFfn
from costmodel.blocks.parallel import ParallelMixers
from costmodel.blocks.residual import AttentionResiduals, HyperConnections
from costmodel.blocks.selector import BlockSelector
from costmodel.blocks.short_conv import ShortConvolution
from costmodel.blocks.sparse import Indexer

__all__ = [
    "AttentionResiduals",
    "BlockSelector",
    "CompressedAttention",
    "CompressedIndexer",
    "CrossAttentionLayer",
    "DenseFfn",
    "GatedDeltaNet",
    "GroupedQueryAttention",
    "HyperConnections",
    "Indexer",
    "KimiDeltaAttention",
    "LatentAttention",
    "LightningAttention",
    "Mamba1",
    "Mamba2",
    "MoeFfn",
    "ParallelMixers",
    "ShortConvolution",
]
