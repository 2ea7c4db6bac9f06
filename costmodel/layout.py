"""What one rank holds and computes: the degrees of the plans as the operations see them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel.plans import IntArray, Plans, distinct

EVEN_BELOW = 0.01  # a skew that is none: even choice is within half a per cent of it
# How much more skewed routers without a correction bias are. With one, training itself evens the load out (DeepSeek-V3,
# arXiv:2412.19437, section 2.1.2); without, an auxiliary loss does so over a whole batch, and experts are left to their
# domains (Qwen3: arXiv:2501.11873). The ratio is that of the power laws by which AIConfigurator 0.12 draws their loads,
# alpha 1.2 for Qwen3 and 1.01 for DeepSeek-V3 between 1 and 0.8 of the tokens, at 2048 tokens: 5.1 / 2.8.
UNCORRECTED = 1.8


@dataclass(frozen=True)
class Routing:
    """How tokens meet experts in an engine. ``imbalance``: rows of the busiest expert-parallel rank over the mean,
    beyond what ``skew`` and drawing make of it. ``skew``: how unevenly experts are chosen, the squared coefficient of
    variation of their popularity (0: all alike), by a router with a correction bias (``of_router``). ``tile_rows``:
    rows to which the kernels pad every local expert, hit or not; 0: only those that are hit are touched."""

    imbalance: float = 1.0
    skew: float = 0.0
    tile_rows: float = 0.0

    @property
    def even(self) -> bool:
        """True where all experts are chosen alike: the mean expert and the mean rank stand for all."""
        return self.skew < EVEN_BELOW

    def of_router(self, corrected: bool) -> Routing:
        """With the skew of a router that has a correction bias, or has none."""
        return self if corrected else replace(self, skew=self.skew * UNCORRECTED)

    def touched(self, share: float, tokens: Any) -> Any:
        """Share of the experts that ``tokens`` choose, each taking ``share`` of all (top_k / experts), shape of
        ``tokens``:

            1 - (1 - share)^tokens                                       all equally popular
            1 - G(b + tokens) G(a + b) / (G(b) G(a + b + tokens))        a = 1 / skew, b = a (1 - share) / share

        The second is the mean of 1 - (1 - p)^tokens over the chance p that a token takes an expert, where that is beta
        distributed with mean ``share`` (a beta-binomial's chance of being hit at all): one token touches exactly its
        top_k, however uneven. Few of many experts is the limit of a gamma distributed popularity with variance
        ``skew``. G(x + a) / G(x) is ((x + (a - 1) / 2)^2 + (1 - a^2) / 12)^(a / 2) (Tricomi and Erdelyi, Pacific J.
        Math. 1, 1951), within 0.3 % from one token on while a token takes a quarter of the experts at most. Where it
        takes nearly all, there is nothing to be uneven about."""
        if self.even or share > 0.9:
            return 1.0 - (1.0 - share) ** tokens
        a = 1.0 / self.skew
        b = a * (1.0 - share) / share
        middle = tokens + (b + (a - 1.0) / 2.0)
        ratio = a / 2.0 * np.log(middle * middle + (1.0 - a * a) / 12.0)
        return (1.0 - np.exp(math.lgamma(a + b) - math.lgamma(b) - ratio)) * (tokens > 0)


@dataclass(frozen=True)
class Layout:
    """Degrees as arrays of shape (n,) (or scalars), and the places of the ranks.

    Ranks are numbered with ``tp`` innermost, then ``sp``, ``attn_dp``, ``pp``, ``dp`` (the order of
    vllm/distributed/parallel_state.py, vLLM 0.33, and of Megatron). So the members of a tp group are neighbours, those
    of an sp group stand ``tp`` apart, of an attention-DP group ``tp * sp``, of a pipeline ``width``.
    ``dense_tp`` says how many ways dense FFNs and shared experts are split, ``routing`` is the engine's.
    """

    tp: Any
    sp: Any
    ep: Any
    attn_dp: Any
    moe_tp: Any
    pp: Any
    gpus: Any
    dense_tp: Any
    routing: Routing = Routing()

    def of_plans(self, places: IntArray) -> Layout:
        """The layouts of the plans at ``places``."""
        arrays = {f.name: getattr(self, f.name)[places] for f in fields(self) if f.name != "routing"}
        return Layout(**arrays, routing=self.routing)

    @property
    def numbered(self) -> NDArray[np.uint64]:
        """A number for each, the same for neighbours that are equal."""
        arrays = [getattr(self, f.name) for f in fields(self) if f.name != "routing"]
        changes = np.any([np.diff(values, prepend=values[:1]) != 0 for values in arrays], axis=0)
        return np.cumsum(changes).astype(np.uint64)

    @property
    def width(self) -> Any:
        return self.tp * self.sp * self.attn_dp

    @cached_property
    def _largest(self) -> Any:
        """Where the largest of ``ep`` normal draws lies, in standard deviations, 0 for one: the quantile
        (ep - 3/8) / (ep + 1/4) (Blom, Statistical Estimates and Transformed Beta-Variables, 1958)."""
        degrees, place = distinct(np.ravel(self.ep))
        normal = NormalDist()
        return np.array([normal.inv_cdf((n - 0.375) / (n + 0.25)) for n in degrees])[place].reshape(np.shape(self.ep))

    def local_experts(self, experts: int) -> Any:
        """How many of ``experts`` the fullest expert-parallel rank holds."""
        return np.ceil(experts / self.ep)

    def busiest_rows(self, rows: Any, experts: int, top_k: float, routing: Routing) -> Any:
        """Rows of the busiest expert-parallel rank where the mean rank has ``rows``, each token taking ``top_k`` of
        ``experts``. A rank's popularity is the mean of its experts', so its variance is skew over their number; which
        of them a token takes is drawn besides: a hypergeometric count, of variance rows (1 - 1/ep) (E - k) / (E - 1).
        """
        if not routing.even:
            popular = rows * rows * (routing.skew / self.local_experts(experts))
            drawn = rows * (1.0 - 1.0 / self.ep) * ((experts - top_k) / max(experts - 1, 1))
            rows = rows + np.sqrt(popular + drawn) * self._largest
        return rows * np.where(self.ep > 1, routing.imbalance, 1.0)

    def busiest_share(self, touched: Any, experts: int, routing: Routing) -> Any:
        """Share of its experts that are hit on the rank where most are, where the mean rank has ``touched``: each is
        hit or not, so their number has the variance of as many coins."""
        if routing.even:
            return touched
        spread = np.sqrt(touched * (1.0 - touched) / self.local_experts(experts))
        return np.minimum(touched + spread * self._largest, 1.0)

    @classmethod
    def single(cls) -> Layout:
        """One accelerator that holds everything: parameters and minimal work are counted on it."""
        one = np.ones(1)
        return cls(one, one, one, one, one, one, one, one)

    @classmethod
    def of(cls, plans: Plans, dense_split: str, routing: Routing) -> Layout:
        """The layout of each plan; ``dense_split`` is ``tp`` or ``stage`` (the engine's rule)."""
        dense_tp = plans.tp if dense_split == "tp" else plans.stage_width
        return cls(
            tp=plans.tp.astype(float),
            sp=plans.sp.astype(float),
            ep=plans.ep.astype(float),
            attn_dp=plans.attn_dp.astype(float),
            moe_tp=plans.moe_tp.astype(float),
            pp=plans.pp.astype(float),
            gpus=plans.gpus.astype(float),
            dense_tp=dense_tp.astype(float),
            routing=routing,
        )
