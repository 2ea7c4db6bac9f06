"""Pools on accelerators of two kinds: what is searched, what it costs, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_split_merge import WANTED, merged_front, product
from test_split_verdict import SPLIT
from worked_case import accelerator, cluster, qwen3, worked_case

from costmodel.efficiency import FlatLaw
from costmodel.engine import Engine
from costmodel.lengths import FixedLengths
from costmodel.scenario import Limits
from costmodel.serving.split.journey import Transfer
from search.base.errors import InputError
from search.evidence.measured.intervals import SPLIT as MEASURED
from search.evidence.measured.intervals import load_intervals, pool_class
from search.inputs.compose import composed
from search.inputs.config import Machine, read_model, read_scenario
from search.inputs.split_rows import SplitRow
from search.optimizer.front import Objectives
from search.optimizer.recommend import Policy
from search.optimizer.run import run
from search.optimizer.space import Space
from search.optimizer.split.asked import Asked, asked_of
from search.optimizer.split.deployed import deployment_of_row
from search.optimizer.split.own import USUAL, Own
from search.optimizer.split.pools import decode_pool, prefill_pool
from search.optimizer.split.search import costs_of, search_split
from search.optimizer.split.simulated import deployment_of
from search.optimizer.split.transfer import check_backends
from search.render import report
from search.render.document.split_words import verdict_lines
from search.render.provenance import provenance_values
from search.render.report.sections.summary import summary
from search.render.report.view import PageView
from search.render.split import split_csv

SIZES = (2, 4, 8)
AXES = {"gpus": (8, 12), "dp": (1,), "pp": (1,), "sp": (1,), "tp": (1, 2, 4), "ep": (1, 4), "batch": (1, 8, 64)}
SMALL = Space(AXES)
FAST = "space.split.decode.hardware=b200"


def small(engine="sglang"):
    return worked_case(
        model=qwen3(12), engine=Engine(engine), cluster=cluster(), lengths=FixedLengths(12000, 512),
        limits=Limits(ttft_s=5.0, tpot_s=0.05),
    )  # fmt: skip


def machine(engine="sglang", price=None, **speeds):
    found = replace(accelerator(**speeds), name="another" if price is None else f"at {price}", price_per_hour=price)
    return Machine(found, cluster(), Engine(engine), FlatLaw(0.6, 0.8))


def asked(prefill=USUAL, decode=USUAL):
    return Asked(SIZES, SIZES, (0.5, 0.9), (8192,), (8, 12), Transfer(), own=(prefill, decode))


def read(*overrides):
    config = composed([*SPLIT, *overrides], None)
    space = Space.from_config(vars(config.space))
    return asked_of(config, space), read_scenario(config, read_model(config.model).architecture), space


@pytest.fixture(scope="module")
def mixed():
    return run(composed([*SPLIT, FAST], None))


def test_naming_the_searchs_own_hardware_changes_nothing():
    """Not a bit of the configuration, of which everything else follows."""
    named = ("space.split.prefill.hardware=h200", "space.split.decode.hardware=NVIDIA H200")
    assert composed([*SPLIT, *named], None) == composed(list(SPLIT), None)


def test_a_machine_like_the_searchs_own_changes_nothing():
    scenario = small()
    same = Own(Machine(scenario.accelerator, scenario.cluster, scenario.engine, scenario.law))
    policy = Policy({"output_tokens_per_s": "max"})
    plain, named = (search_split(scenario, SMALL, a, WANTED, policy).front for a in (asked(), asked(same, same)))
    assert len(plain) > 3
    np.testing.assert_array_equal(costs_of(plain, WANTED), costs_of(named, WANTED))
    assert np.array_equal(plain.x, named.x) and np.array_equal(plain.y, named.y)


@given(st.floats(1.0, 8.0), st.floats(1.0, 8.0))
@settings(max_examples=10, deadline=None)
def test_a_faster_decode_accelerator_never_decodes_slower(flops, memory):
    slow = decode_pool(small(), SMALL, asked(decode=Own(machine())))
    fast = decode_pool(small(), SMALL, asked(decode=Own(machine(flops=flops, memory=memory))))
    assert len(slow) == len(fast) > 20
    assert np.all(fast.point.rate_per_s >= slow.point.rate_per_s * (1.0 - 1e-12))
    assert np.all(fast.point.tpot_s <= slow.point.tpot_s * (1.0 + 1e-12))


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_front_is_that_of_the_product_of_both_pools(engine):
    cheap, dear = machine(engine, price=1.0, flops=0.3), machine(engine, price=3.0, memory=2.0)
    limited = asked(Own(cheap, gpus=(2, 4, 8)), Own(dear, gpus=(4, 8)))
    limited = replace(limited, totals=(6, 8, 10, 12, 16))
    wanted = Objectives({"usd_per_million_output_tokens": "min", "ttft_s": "min", "tpot_s": "min"})
    scenario = small(engine)
    p, d = prefill_pool(scenario, SMALL, limited), decode_pool(scenario, SMALL, limited)
    front, _ = merged_front(scenario, p, d, limited, wanted)
    assert len(front) > 3
    np.testing.assert_array_equal(front, product(scenario, p, d, limited, wanted))
    found = search_split(scenario, SMALL, limited, wanted, Policy({"usd_per_million_output_tokens": "min"})).front
    prefill, decode = found.gpus_of
    assert set(prefill.tolist()) <= {2, 4, 8}
    assert set(decode.tolist()) <= {4, 8}
    hour = prefill * 1.0 + decode * 3.0
    paid = hour / 3600.0 / found.column("output_tokens_per_s") * 1e6
    np.testing.assert_allclose(found.column("usd_per_million_output_tokens"), paid)


def test_caches_between_two_kinds_travel_over_the_slower_ends_network():
    scenario, slow = small(), cluster(link=0.25)
    wires = replace(slow, tiers=(slow.tiers[0], replace(slow.tiers[1], bytes_per_s=20e9, latency_s=9e-6)))
    usual, network = asked().link(scenario, 8), scenario.cluster.tiers[1].rate
    assert asked(decode=Own(machine())).link(scenario, 8).bytes_per_s == network < usual.bytes_per_s
    for pools in ((USUAL, Own(replace(machine(), cluster=wires))), (Own(replace(machine(), cluster=wires)), USUAL)):
        found = asked(*pools).link(scenario, 8)
        assert (found.bytes_per_s, found.latency_s) == (wires.tiers[1].rate, 9e-6)
    both = Own(machine())
    assert asked(both, both).link(scenario, 8) == usual


def test_each_pool_has_its_own_memory_and_engine():
    own = ("space.split.decode.engine={max_batched_tokens:2048}", "space.split.prefill.memory_fraction=0.5")
    found, scenario, _ = read(*own, "space.split.prefill.engine={max_batched_tokens:4096}")
    prefill, decode = found.pools(scenario)
    assert found.tokens == (4096,)
    assert (prefill.engine.max_batched_tokens, decode.engine.max_batched_tokens) == (4096, 2048)
    assert (prefill.limits.memory_fraction, decode.limits.memory_fraction) == (0.5, scenario.limits.memory_fraction)
    assert decode.accelerator == scenario.accelerator


def test_what_is_written_names_both_kinds_and_their_cost(mixed):
    best = mixed.split.best
    assert {a.split(",")[0] for a in split_csv(mixed).splitlines()[1:]} == {"NVIDIA H200 SXM 141GB"}
    text = "\n".join(verdict_lines(mixed))
    assert "decode on NVIDIA B200 SXM 180GB" in text
    assert "decode on NVIDIA B200 SXM 180GB" in summary(PageView(report.collect(mixed)))
    prefill, decode = (int(count[0]) for count in best.gpus_of)
    hour = prefill * 7.912 + decode * 14.2416
    assert f"An hour of the best split plan costs {hour:,.2f} USD" in text
    rows = provenance_values(mixed)
    keys = {str(value) for key, value in rows.items() if key.endswith(".key")}
    assert {"space.split.decode.hardware.memory_bytes", "space.split.decode.cluster.node.size"} <= keys
    assert not any(key.startswith("space.split.prefill.") for key in keys)


def test_both_kinds_are_simulated(mixed):
    """Of the best plan as it was found, and as it is read back from its row."""
    best = mixed.split.best
    p, d = best.prefill.plans.take(best.p), best.decode.plans.take(best.d)
    budget = int(best.prefill.budget[best.p[0]])
    row = SplitRow(p, int(best.x[0]), budget, d, int(best.y[0]), "none", 0, 1)
    read_back = deployment_of_row(mixed.config, mixed.scenario, mixed.scenario.lengths, row)
    for found in (deployment_of(best), read_back):
        assert found.scenario.accelerator.name == "NVIDIA H200 SXM 141GB"
        assert found.decoding.accelerator.name == "NVIDIA B200 SXM 180GB"
        assert found.link.bytes_per_s == mixed.scenario.cluster.tiers[1].rate


def test_an_accelerator_whose_kernels_were_not_measured_widens_what_depends_on_it(mixed):
    found, scenario, _ = read("space.split.prefill.hardware=l40s")
    one, other = (pool_class(pool) for pool in found.pools(scenario))
    assert other == MEASURED != one
    table, ones = load_intervals(), np.ones(1)
    split = {f: table.of(f, np.array([MEASURED]), ones) for f in ("ttft_s", "tpot_s")}
    low, high = table.of_pools("ttft_s", (one, other), ones)
    assert low[0] <= split["ttft_s"][0][0] and high[0] >= split["ttft_s"][1][0]
    assert table.of_pools("tpot_s", (one, other), ones) == split["tpot_s"]
    assert table.of_pools("tpot_s", (other, one), ones)[0] < split["tpot_s"][0]
    measured = mixed.split.front.interval("tpot_s", ones)
    assert measured == split["tpot_s"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("space.split.decode.hardware=h2oo",), ("space.split.decode.hardware", "h2oo", "near: h20")),
        (("space.split.prefill.cluster=here",), ("space.split.prefill.cluster", "'here'", "hgx8_400g")),
        (("space.split.decode.hardware=mi300x",), ("space.split.decode.hardware", "MI300X", "one vendor")),
        (("space.split.prefill.hardware=b200", "space.split.prefill.cluster=single8"),
         ("space.split.prefill.cluster", "no network")),
        (("space.split.decode.engine={block_tokens:64}",), ("space.split.decode.engine.block_tokens", "64", "16")),
        (("space.split.decode.engine={name:vllm}",), ("space.split.decode.engine.name", "engine of the search")),
        (("space.split.decode.engine={chunk:1}",), ("space.split.decode.engine.chunk", "max_batched_tokens")),
        (("space.split.decode.engine={max_batched_tokens:0}",), ("space.split.decode.engine.max_batched_tokens", "0")),
        (("space.split.decode.gpus=[8]",), ("space.split.decode.gpus", "[8]", "at most 7")),
        (("space.split.decode.gpus=0",), ("space.split.decode.gpus", "0")),
        (("space.split.decode.memory_fraction=2",), ("space.split.decode.memory_fraction", "2")),
        (("space.split.decode.hardware=h20", "+objective.columns.usd_per_million_output_tokens=min"),
         ("objective.columns.usd", "H20", "space.split.decode.hardware.price_per_hour=USD",
          "space.split.decode.hardware.price_as_of")),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(overrides, words):
    with pytest.raises(InputError) as error:
        read(*overrides)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_blocks_may_grow_where_vllm_decodes():
    own = ("engine=vllm", "space.split.decode.engine={block_tokens:64}")
    found, scenario, _ = read(*own)
    assert found.pools(scenario)[1].engine.block_tokens == 64
    with pytest.raises(InputError, match="multiple of 64"):
        read("engine=vllm", "space.split.prefill.engine={block_tokens:64}")


def test_vllm_has_no_backend_for_latent_attention_on_two_generations():
    latent = ("engine=vllm", "model=deepseek_r1")
    for hardware, allowed in (("h100", True), ("b200", False)):
        found, scenario, _ = read(*latent, f"space.split.decode.hardware={hardware}")
        if allowed:
            check_backends(*found.pools(scenario))
        else:
            with pytest.raises(InputError, match="no attention backend in common"):
                check_backends(*found.pools(scenario))
