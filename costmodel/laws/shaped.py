"""The law that hands each kind of work to the law of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from costmodel.efficiency import ALIKE, NONE, USUAL, ExpertKernels, Inputs, ProductKernels, Times
from costmodel.hardware import Accelerator
from costmodel.laws.attention import DecodeLaw, PrefillLaw
from costmodel.laws.products import ExpertsLaw, GemmLaw
from costmodel.laws.rates import HALVINGS, Rates
from costmodel.laws.streaming import StreamLaw
from costmodel.operations import Work

# The field of ShapedLaw that answers for a kind of work.
ROOM = {
    "gemm": "gemm",
    "experts": "experts",
    "prefill_attention": "prefill",
    "decode_attention": "decode",
    "mla_decode": "mla",
    "scan": "scan",
    "elementwise": "elementwise",
}


LAUNCHES = ("launch_s", "split_s", "quantise_s", "fp4_quantise_s")

PARTS: dict[str, type] = {
    "rates": Rates,
    "gemm": GemmLaw,
    "experts": ExpertsLaw,
    "prefill": PrefillLaw,
    "decode": DecodeLaw,
    "mla": DecodeLaw,
    "scan": StreamLaw,
    "elementwise": StreamLaw,
}


@dataclass(frozen=True)
class ShapedLaw:
    """An ``EfficiencyLaw``: achieved rates depend on the shape. ``name`` says whose constants these are."""

    name: str
    rates: Rates
    gemm: GemmLaw
    experts: ExpertsLaw
    prefill: PrefillLaw
    decode: DecodeLaw
    mla: DecodeLaw
    scan: StreamLaw
    elementwise: StreamLaw

    @classmethod
    def from_constants(cls, name: str, constants: Mapping[str, Mapping[str, float]]) -> ShapedLaw:
        """From nested mappings, as in ``conf/law/*.yaml``. ``ValueError`` names missing or unknown constants, and
        those outside their range: shares in (0, 1], rates above 0, everything else 0 or more."""
        _same(f"law {name}", set(PARTS), set(constants))
        parts: dict[str, Any] = {}
        for part, kind in PARTS.items():
            _same(f"law {name}, {part}", {f.name for f in fields(kind) if f.default is MISSING}, set(constants[part]))
            values = {key: float(value) for key, value in constants[part].items()}
            for key, value in values.items():
                if not _plausible(key, value):
                    raise ValueError(f"law {name}: {part}.{key} = {value} is out of range")
            parts[part] = kind(**values)
        return cls(name, **parts)

    def times(self, work: Work, accelerator: Accelerator) -> Times:
        """Seconds of a call by the law of its kind; zero where ``work.m`` is zero."""
        law = getattr(self, ROOM[work.kind])
        result: Times = law.times(work, accelerator, self.rates)
        return result

    def with_launches(
        self, share: float, *, fused: Inputs = NONE, even: Inputs = NONE, experts: ExpertKernels = USUAL,
        products: ProductKernels = ALIKE,
    ) -> ShapedLaw:  # fmt: skip
        """Fixed seconds a call (``LAUNCHES``) scaled by ``share``. Those of experts stay: routing, sorting and adding
        up are kernels that wait for each other in every engine, as in the tables, but where ``experts`` says so."""
        scaled = {part: _scaled(getattr(self, part), share) for part in PARTS if part != "experts"}
        scaled["gemm"] = replace(scaled["gemm"], fused=fused, even=even, block_bytes=products.block_bytes)
        scaled["rates"] = self.rates.quicker(products.rate)
        scaled["experts"] = replace(self.experts, kernels=experts)
        return replace(self, **scaled)

    def sustained(self, share: float) -> ShapedLaw:
        """The same law with products at ``share`` of the rates that were measured one by one (``Rates``)."""
        return replace(self, rates=replace(self.rates, sustained_share=share))

    def ceilings(self, accelerator: Accelerator, dtype: str) -> tuple[float, float]:
        """The largest FLOP/s that any kind of work is granted in ``dtype``, and bytes/s of a long stream.

        ``elementwise`` work has no products and sets no ceiling."""
        halved = self.rates.halving_share ** HALVINGS.get(accelerator.compute_dtype(dtype), 0)
        products = max(self.gemm.peak_share, self.experts.peak_share) * self.rates.sustained_share * halved
        cores = max(law.peak_share for law in (self.prefill, self.decode, self.mla, self.scan))
        return accelerator.peak(dtype) * max(products, cores), self.rates.bytes_per_s(accelerator)


def _scaled(law: Any, share: float) -> Any:
    return replace(law, **{f.name: getattr(law, f.name) * share for f in fields(law) if f.name in LAUNCHES})


def _plausible(key: str, value: float) -> bool:
    if key.endswith("_share"):
        return 0.0 < value <= 1.0
    return value > 0.0 if key.endswith("_per_s") else value >= 0.0


def _same(where: str, wanted: set[str], given: set[str]) -> None:
    if wanted != given:
        missing, unknown = sorted(wanted - given), sorted(given - wanted)
        raise ValueError(f"{where}: missing {missing}, unknown {unknown}")
