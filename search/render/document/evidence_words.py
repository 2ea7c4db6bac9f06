"""Evidence beside a prediction, in a line or two: which measured runs are like the plan, how far off predictions were
on them, and whose residuals its intervals are."""

from __future__ import annotations

from costmodel.plans import Plans
from costmodel.scenario import Scenario
from search.evidence.measured.intervals import KEYS
from search.evidence.near.classes import FIGURES, RunClass, pooled
from search.evidence.near.likeness import DEGREES, likeness
from search.evidence.near.nearest import KIND, LAYOUT, MODEL, Ring, narrowest, rings
from search.render.document.formats import percent, plural, signed_percent, span

TITLES = {"ttft": "TTFT", "tpot": "TPOT", "speed": "tokens/s/GPU"}
ENGINE_NAMES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM"}
WHOSE = {
    "covered": "all closed loops on accelerators whose kernels were measured",
    "waiting": "runs that wait for a place in the cache, the widest of those on measured accelerators",
    "engine": "runs on measured accelerators, wider for an engine that is not known",
    "accelerator": "published runs on accelerators without kernel tables, and what not knowing kernels changes",
    "accelerator_amd": "published runs on AMD's accelerators",
    "layout": "no run: pipelines, sequence parallelism and several nodes take the widest of all, its logarithm times "
    "1.5",
    "published": "published closed loops",
    "offline": "published batches and backlogs",
    "split": "disaggregated runs, whose pools are stated or inferred",
}
LOAD_WORDS = {"few": "up to 8 in flight a GPU", "many": "more than 8 in flight a GPU"}


def evidence_lines(scenario: Scenario, plan: Plans, key: int) -> list[str]:
    """``key`` indexes ``intervals.KEYS``: the plan's own."""
    found = rings(likeness(scenario, plan))
    return [f"measured like it: {_near(found, int(plan.batch[0]))}", f"its intervals are those of {whose(KEYS[key])}"]


def _near(found: list[Ring], batch: int) -> str:
    best = narrowest(found)
    if best is None:
        return "nothing of its model, engine or accelerator"
    place = found.index(best)
    said = f"{plural(str(best.rows), 'run')} of its {best.words}{errors(best)}"
    if place == LAYOUT:
        more = found[MODEL].rows - best.rows
        said += _load(best, batch) + (f"; {more} more in other layouts" if more else "")
    else:
        said += f"; nearest: {nearest_words(best.classes[0])}"
    if place > KIND:
        return f"none of its kind of model and precision on its accelerator; {said}"
    if place < KIND and found[KIND].rows > found[MODEL].rows:
        said += f"; {found[KIND].rows} of its kind of model{errors(found[KIND])}"
    return said


def errors(ring: Ring) -> str:
    """Mean error and bias of the figures that its runs measure."""
    parts: list[str] = []
    for figure in FIGURES:
        r = pooled(ring.classes, figure)
        if r is not None and (figure != "speed" or not parts):
            parts.append(f"{TITLES[figure]} {percent(r.error)} off ({signed_percent(r.bias)})")
    return f" ({', '.join(parts)})" if parts else ""


def _load(ring: Ring, batch: int) -> str:
    known = [c.in_flight for c in ring.classes if c.in_flight[1]]
    if not known:
        return ", all with every request queued"
    low, high = min(low for low, _ in known), max(high for _, high in known)
    return "" if low <= batch <= high else f", {low:g} to {high:g} in flight a replica, none with {batch}"


def nearest_words(c: RunClass) -> str:
    """A class of runs: model, engine with versions, accelerator, precision, layout and load."""
    engine = " ".join(filter(None, (ENGINE_NAMES.get(str(c.like.engine), str(c.like.engine)), c.versions)))
    degrees = ", ".join(f"{n} {getattr(c.like, n)}" for n in DEGREES if n == "tp" or getattr(c.like, n) > 1)
    low, high = c.in_flight
    load = f"{span(f'{low:g}', f'{high:g}')} in flight" if high else "all requests queued"
    return (
        f"{c.name} in {c.like.precision} on {c.like.accelerator} under {engine} at {degrees} with {load} "
        f"({plural(str(c.rows), 'run')})"
    )


def whose(key: str) -> str:
    """Whose residuals the intervals of a row of ``conf/intervals.yaml`` are."""
    if key in WHOSE:
        return WHOSE[key]
    _, engine, *rest = key.split("_", 2)
    under = f"runs under {ENGINE_NAMES[engine]}"
    if not rest:
        return f"{under}, the widest on any measured accelerator"
    accelerator, _, load = rest[0].rpartition("_")
    return f"{under}, widened as {accelerator} and {LOAD_WORDS[load]} ask for"
