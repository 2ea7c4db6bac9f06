"""Number formats: how many bytes an element takes in memory, and in which precision it is multiplied.

Block scales are counted as bytes of the elements they belong to:

- ``fp8_block``: one fp32 scale for 128 x 128 weights (DeepSeek-V3 report, arXiv:2412.19437, section 3.3).
- ``mxfp4``, ``mxfp8``: one 8-bit scale for 32 elements (OCP Microscaling Formats v1.0, table 1).
- ``nvfp4``: one fp8 scale for 16 elements (NVIDIA Blackwell architecture brief, NVFP4).
- ``int4``: one bf16 scale and no zero point for 128 elements (symmetric GPTQ/AWQ group size 128; assumption
  where a config names another group size it is carried by ``WeightFormat.grouped``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class WeightFormat:
    """A storage format. ``compute`` names the peak of the accelerator's datasheet that its products run at.
    ``fusable``: engines have kernels that write a product's inputs in it right away (``Engine.input_quantisation``):
    norms, activations, all-reduces and attention with FP8 or NVFP4 outputs. Groups of 128 (``fp8_block``) are left to a
    kernel of their own in the engines that were measured. ``blocks``: weights share a scale in blocks, which tensor
    cores do not apply by themselves."""

    name: str
    bits: float
    scale_bytes_per_element: float
    compute: str
    fusable: bool = False
    blocks: bool = False

    @property
    def bytes_per_element(self) -> float:
        return self.bits / 8 + self.scale_bytes_per_element

    def grouped(self, scale_bytes: float, elements: int) -> WeightFormat:
        """The same elements with one scale of ``scale_bytes`` for every ``elements`` of them."""
        return replace(self, scale_bytes_per_element=scale_bytes / elements)


FORMATS: dict[str, WeightFormat] = {
    f.name: f
    for f in (
        WeightFormat("fp32", 32, 0.0, "fp32"),
        WeightFormat("bf16", 16, 0.0, "bf16"),
        WeightFormat("fp16", 16, 0.0, "bf16"),
        WeightFormat("fp8", 8, 0.0, "fp8", fusable=True),
        WeightFormat("fp8_block", 8, 4 / 128**2, "fp8", blocks=True),
        WeightFormat("mxfp8", 8, 1 / 32, "fp8", blocks=True),
        WeightFormat("int8", 8, 0.0, "int8"),
        WeightFormat("mxfp4", 4, 1 / 32, "fp4"),
        WeightFormat("nvfp4", 4, 1 / 16, "fp4", fusable=True),
        # Weight-only: dequantised on the way into a bf16 product (GPTQ, arXiv:2210.17323).
        WeightFormat("int4", 4, 2 / 128, "bf16"),
    )
}

BF16 = FORMATS["bf16"]
COMPUTE_DTYPES = frozenset(f.compute for f in FORMATS.values())  # that a datasheet may give a peak for


def weight_format(name: str) -> WeightFormat:
    """Look a format up by name; ``ValueError`` names the known ones."""
    if name not in FORMATS:
        raise ValueError(f"unknown number format {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]
