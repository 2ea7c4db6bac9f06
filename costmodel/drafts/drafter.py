"""What proposes tokens that the model then checks, and how many of them it accepts.

``mtp``: the model's own prediction module, a layer like its last one behind a projection of twice its width
(DeepSeek-V3, arXiv:2412.19437, section 2.2). ``eagle3``: one dense layer of the model's width in bf16 behind a
projection of three hidden states (EAGLE-3, arXiv:2503.01840, section 3; the layer's shape is that of Llama 3.1 8B at
this width: heads of 128, 8 KV heads, an inner width of 3.5 times, a vocabulary of 32,000: assumption). ``ngram``:
tokens that followed the same words before; nothing is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from costmodel.architecture import Architecture, Layer, Quantization
from costmodel.blocks.dense import DenseFfn
from costmodel.blocks.gqa import GroupedQueryAttention

KINDS = ("mtp", "eagle3", "ngram")
EAGLE3_HEAD_DIM, EAGLE3_KV_HEADS, EAGLE3_INNER, EAGLE3_VOCABULARY = 128, 8, 3.5, 32_000


@dataclass(frozen=True)
class Drafter:
    """``acceptance`` by position: the chance that a draft is accepted once all before it were."""

    kind: Literal["mtp", "eagle3", "ngram"]
    acceptance: tuple[float, ...]

    @property
    def tokens(self) -> int:
        """Drafts of a sequence and pass."""
        return len(self.acceptance)

    @property
    def gained(self) -> float:
        """Tokens of a sequence and pass: 1 + a1 + a1 a2 + ... (Leviathan et al., arXiv:2211.17192, eq. 1, with a chance
        of its own for each position)."""
        return 1.0 + float(np.sum(np.cumprod(self.acceptance)))

    @property
    def even(self) -> float:
        """The chance, the same at each position, that gains as many tokens."""

        def excess(chance: float) -> float:
            return float(sum(chance**i for i in range(self.tokens + 1))) - self.gained

        from scipy.optimize import brentq  # a third of a second, which no search without drafts needs

        if excess(1.0) <= 0.0:
            return 1.0
        return float(brentq(excess, 0.0, 1.0, xtol=1e-14)) if excess(0.0) < 0.0 else 0.0

    def layer(self, model: Architecture) -> Layer | None:
        """The drafter's layer; ``None`` where nothing is computed."""
        match self.kind:
            case "mtp":
                return model.kinds[model.sequence[-1]]
            case "eagle3":
                heads = max(model.hidden // EAGLE3_HEAD_DIM, 1)
                mixer = GroupedQueryAttention(heads, min(EAGLE3_KV_HEADS, heads), EAGLE3_HEAD_DIM)
                return Layer(mixer, DenseFfn(round(EAGLE3_INNER * model.hidden)))
            case _:
                return None

    def fused(self, model: Architecture) -> int:
        """Width of what the projection before the layer takes."""
        return {"mtp": 2, "eagle3": 3, "ngram": 0}[self.kind] * model.hidden

    def quantization(self, model: Architecture) -> Quantization:
        return model.quantization if self.kind == "mtp" else Quantization()
