"""What makes one run like another: engine, accelerator, kind of model, precision and layout."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache

from costmodel.architecture import Architecture
from costmodel.blocks.delta_attention import KimiDeltaAttention
from costmodel.blocks.delta_net import GatedDeltaNet
from costmodel.blocks.lightning import LightningAttention
from costmodel.blocks.mamba import Mamba2
from costmodel.blocks.mamba1 import Mamba1
from costmodel.blocks.mla import LatentAttention
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from search.inputs.models.catalog import plain

RECURRENT = (GatedDeltaNet, KimiDeltaAttention, LightningAttention, Mamba1, Mamba2)
# A checkpoint in another format, or trained further, is the same model to run.
ENDINGS = ("fp8kv", "fp8", "instruct", "nvfp4", "mxfp4", "bf16", "0528", "hf", "base")
# Formats that take as many bits; kernels differ within a group less than between two.
PRECISIONS = {"fp8_block": "fp8", "nvfp4": "fp4", "mxfp4": "fp4", "fp16": "bf16"}
DEGREES = ("tp", "attn_dp", "ep", "pp")


@dataclass(frozen=True)
class Likeness:
    """``None`` is unknown, and like everything. ``accelerator`` is its name in ``conf/hardware``, ``precision`` the
    bits of the experts' weights, or of the linear layers' where there are none."""

    engine: str | None
    accelerator: str | None
    model: str | None
    kind: str | None
    precision: str | None
    tp: int | None = None
    attn_dp: int | None = None
    ep: int | None = None
    pp: int | None = None

    def shares(self, other: Likeness, names: tuple[str, ...]) -> bool:
        """Whether both have the same of each of ``names``, as far as both say."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in names)
        return all(a is None or b is None or a == b for a, b in pairs)

    def unlike(self, other: Likeness) -> int:
        """In how many of all things they differ."""
        return sum(not self.shares(other, (field.name,)) for field in fields(self))


@cache
def model_name(name: str) -> str:
    """A model by its name, without owner and format: DeepSeek-R1 is DeepSeek-V3's architecture."""
    short = plain(name.rsplit("/", 1)[-1]).removeprefix("meta")
    changed = True
    while changed:
        changed = False
        for ending in ENDINGS:
            if short.endswith(ending) and short != ending:
                short, changed = short.removesuffix(ending), True
    return "deepseekv3" if short.startswith("deepseekr1") else short


def kind_of(model: Architecture) -> str:
    """``dense`` or ``experts``; with latent attention and with recurrent layers apart."""
    words = ["experts" if model.has_experts else "dense"]
    if model.has_mixer(LatentAttention):
        words.append("latent attention")
    if model.has_mixer(*RECURRENT):
        words.append("recurrent layers")
    return " and ".join(words)


def precision_of(model: Architecture) -> str:
    """The group of formats of the matrices that most of a model's bytes are in."""
    formats = model.quantization
    name = formats.of("experts.up").name if model.has_experts else formats.default.name
    return PRECISIONS.get(name, name)


def model_likeness(model: Architecture, engine: str | None = None, accelerator: str | None = None) -> Likeness:
    """Of a model, whatever its layout; ``any`` is no engine."""
    engine = None if engine == "any" else engine
    return Likeness(engine, accelerator, model_name(model.name), kind_of(model), precision_of(model))


def likeness(scenario: Scenario, plan: Plans) -> Likeness:
    """Of one plan."""
    of = model_likeness(scenario.model, scenario.engine.name, scenario.accelerator.name)
    degrees = (int(getattr(plan, name)[0]) for name in DEGREES)
    return Likeness(of.engine, of.accelerator, of.model, of.kind, of.precision, *degrees)
