"""Random scenarios of the whole catalog: a model on an accelerator under an engine with lengths, and layouts for it.

By hand from the catalogs' files, without composing a configuration, which takes a hundred times as long as scoring.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from costmodel.architecture import Architecture
from costmodel.cluster import Cluster
from costmodel.efficiency import EfficiencyLaw
from costmodel.engine import Engine
from costmodel.hardware import Accelerator
from costmodel.launches import in_engine
from costmodel.lengths import FixedLengths
from costmodel.plans import AXES, Plans, concatenate
from costmodel.scenario import Limits, Scenario
from search.inputs.config import read_cluster, read_engine, read_hardware
from search.inputs.efficiency_laws import read_law
from search.inputs.hardware_catalog import hardware_names, load_cluster, load_engine, load_hardware
from search.inputs.models.catalog import model_names, read_catalog_model
from search.inputs.own_cluster import own_cluster
from search.optimizer.legal import first_broken
from search.optimizer.rules.facts import facts_of
from search.optimizer.rules.registry import engine_rules, general_rules

ENGINES = ("any", "vllm", "sglang", "trtllm")
MODELS, HARDWARE = model_names(), hardware_names()
TRIED = 300  # layouts drawn a scenario, of which some ten in a hundred are legal


@dataclass(frozen=True)
class Drawn:
    """``name`` says how to draw it again."""

    name: str
    scenario: Scenario
    plans: Plans


def draw(seed: int) -> Drawn:
    """A scenario and legal layouts for it."""
    random = np.random.default_rng(seed)
    model, hardware = str(random.choice(MODELS)), str(random.choice(HARDWARE))
    engine = str(random.choice(ENGINES))
    lengths = FixedLengths(int(2 ** random.uniform(4, 14)), int(2 ** random.uniform(1, 12)))
    scenario = scenario_of(model, hardware, engine, lengths)
    name = f"seed {seed}: {model} on {hardware} under {engine}, {lengths.isl} in and {lengths.osl} out"
    return Drawn(name, scenario, _layouts(random, scenario, engine))


def scenario_of(model: str, hardware: str, engine: str, lengths: FixedLengths) -> Scenario:
    """As the catalogs' own files say."""
    accelerator, cluster, law = _hardware(hardware)
    server, architecture = _engine(engine), _architecture(model)
    return Scenario(
        model=architecture,
        accelerator=accelerator,
        cluster=cluster,
        engine=server,
        lengths=lengths,
        limits=Limits(),
        law=in_engine(law, server, accelerator, architecture),
    )


@cache
def _architecture(model: str) -> Architecture:
    return read_catalog_model(model).architecture


@cache
def _engine(name: str) -> Engine:
    return read_engine(load_engine(name))


@cache
def _hardware(name: str) -> tuple[Accelerator, Cluster, EfficiencyLaw]:
    config = load_hardware(name)
    accelerator = read_hardware(config)
    cluster = read_cluster(load_cluster(own_cluster(name)), accelerator.link_bytes_per_s)
    return accelerator, cluster, read_law(config.efficiency)


def _layouts(random: np.random.Generator, scenario: Scenario, engine: str) -> Plans:
    def powers(most: int) -> np.ndarray:
        return 2 ** random.integers(0, most, TRIED)

    experts = powers(8) if scenario.model.has_experts else np.ones(TRIED, dtype=int)
    plans = Plans.of(
        gpus=powers(8), tp=powers(5), pp=powers(4), sp=powers(2), dp=powers(3), ep=experts,
        batch=(2 ** random.uniform(0, 11, TRIED)).astype(int),
    )  # fmt: skip
    rules = [*general_rules(), *(engine_rules(engine) if engine != "any" else [])]
    return plans.take(np.flatnonzero(first_broken(rules, plans, facts_of(scenario)) == len(rules)))


def faster(scenario: Scenario, *, memory: float = 1.0, compute: float = 1.0) -> Scenario:
    """The same accelerator with more bandwidth or more FLOP/s; its law's constants stay."""
    chip = scenario.accelerator
    peak = {dtype: flops * compute for dtype, flops in chip.peak_flops.items()}
    chip = replace(chip, memory_bytes_per_s=chip.memory_bytes_per_s * memory, peak_flops=peak)
    return replace(scenario, accelerator=chip)


def with_one_more(plans: Plans) -> Plans:
    """The plans, then the same layouts with one request more in flight."""
    return concatenate([plans, Plans.of(**{axis: getattr(plans, axis) + (axis == "batch") for axis in AXES})])
