"""Efficiency laws whose achieved rates depend on the shape of the work (docs/laws.md)."""

from costmodel.laws.attention import DecodeLaw, PrefillLaw
from costmodel.laws.products import ExpertsLaw, GemmLaw
from costmodel.laws.shaped import ShapedLaw
from costmodel.laws.streaming import StreamLaw

__all__ = ["DecodeLaw", "ExpertsLaw", "GemmLaw", "PrefillLaw", "ShapedLaw", "StreamLaw"]
