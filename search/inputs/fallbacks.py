"""What an accelerator cannot multiply, and what engines do instead."""

from __future__ import annotations

from costmodel.formats import WeightFormat
from costmodel.layout import Layout
from costmodel.operations import Core, Gemm, GroupedGemm
from costmodel.scenario import Scenario


def fallbacks(scenario: Scenario) -> list[str]:
    """One sentence for each dtype that the model's products want and the accelerator lacks; none if it has all.
    ``costmodel.hardware.FALLBACK`` says what they run in; weights stay stored as they are."""
    part = scenario.accelerator
    stored, cores = _wanted(scenario)
    sentences = []
    for wanted in dict.fromkeys([*stored, *cores]):
        used = part.compute_dtype(wanted)
        if used == wanted:
            continue
        sentence = f"{wanted} products run in {used}: {part.name} has no {wanted} units"
        kept = "; ".join(f"{name} weights stay at {_size(form)}" for name, form in stored.get(wanted, {}).items())
        sentences.append(f"{sentence}; {kept}" if kept else sentence)
    return sentences


def _wanted(scenario: Scenario) -> tuple[dict[str, dict[str, WeightFormat]], set[str]]:
    """Weight formats of the matrix products by the dtype they want, and the dtypes of attention's products."""
    setting = scenario.setting(Layout.single())
    model = scenario.model
    stored: dict[str, dict[str, WeightFormat]] = {}
    cores: set[str] = set()
    for op in [*model.head(setting), *(op for kind in model.kinds for op in kind.operations(setting))]:
        if isinstance(op, Gemm | GroupedGemm):
            stored.setdefault(op.format.compute, {})[op.format.name] = op.format
        elif isinstance(op, Core):
            cores.add(op.dtype)
    return stored, cores


def _size(form: WeightFormat) -> str:
    size = form.bits / 8
    text = f"{size:g} byte{'' if size == 1 else 's'}"
    return f"{text} and their scales" if form.scale_bytes_per_element else text
