"""How many experts a pass touches, and what kernels do with those that it does not."""

from dataclasses import replace

import numpy as np
import pytest
from cost_strategies import CHECKS
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln
from worked_case import original, qwen3, worked_case

from costmodel.architecture import Quantization, Setting
from costmodel.blocks import MoeFfn
from costmodel.breakdown import breakdown
from costmodel.engine import Engine
from costmodel.formats import weight_format
from costmodel.hardware import Accelerator
from costmodel.laws.products import in_whole_tiles
from costmodel.layout import UNCORRECTED, Layout, Routing
from costmodel.lengths import FixedLengths
from costmodel.operations import Elementwise, GroupedGemm
from costmodel.step import Step
from tests.costmodel.test_laws import CHIP, work
from tests.costmodel.test_laws import law as measured

EXPERTS, TOP_K = 128, 8


def groups(tokens: float, routing: Routing, corrected: bool = True) -> float:
    one = np.ones(1)
    layout = Layout(one, one, one, one, one, one, one, one, routing)
    step = Step(tokens * one, 0.0 * one, tokens * one, 0.0 * one, tokens * one, FixedLengths(16, 16), layout)
    fp8 = weight_format("fp8")
    op = GroupedGemm("experts.up", fp8, EXPERTS, TOP_K, float(EXPERTS), 4096.0, 3072.0, corrected=corrected)
    return float(op.work(step).groups[0])


@pytest.mark.parametrize("tokens", [1, 4, 16, 64, 512])
@pytest.mark.parametrize("skew", [0.3, 0.89, 3.0])
def test_skewed_choice_against_drawing_it(tokens: int, skew: float) -> None:
    """Experts with beta distributed chances of being taken, tokens taking them: the mean number that is hit."""
    rng = np.random.default_rng(0)
    share = TOP_K / EXPERTS
    chance = rng.beta(1 / skew, (1 - share) / (share * skew), size=(4000, EXPERTS))
    hit = rng.binomial(tokens, chance) > 0
    assert groups(tokens, Routing(skew=skew)) == pytest.approx(hit.sum(axis=1).mean(), rel=0.02)


def drawn(tokens: int, ep: int, skew: float, layers: int = 400) -> tuple[float, float]:
    """Rows and experts hit on the busiest of ``ep`` ranks: each layer with beta distributed chances of its own, of
    whose experts each token takes the ``TOP_K`` with the largest perturbed log odds (Gumbel)."""
    rng = np.random.default_rng(0)
    share = TOP_K / EXPERTS
    chance = rng.beta(1 / skew, (1 - share) / (share * skew), size=(layers, 1, EXPERTS)).clip(1e-12, 1 - 1e-9)
    keys = np.log(chance / (1 - chance)) + rng.gumbel(size=(layers, tokens, EXPERTS))
    taken = np.zeros(keys.shape)
    np.put_along_axis(taken, np.argpartition(-keys, TOP_K, axis=2)[:, :, :TOP_K], 1.0, axis=2)
    rows = taken.sum(axis=1).reshape(layers, ep, EXPERTS // ep)
    return rows.sum(axis=2).max(axis=1).mean(), (rows > 0).sum(axis=2).max(axis=1).mean()


@pytest.mark.parametrize(("ep", "within"), [(4, 0.05), (8, 0.08), (32, 0.18)])
@pytest.mark.parametrize("tokens", [2, 16, 128])
@pytest.mark.parametrize("skew", [0.3, 1.5])
def test_the_busiest_rank_against_drawing_it(ep: int, within: float, tokens: int, skew: float) -> None:
    """A normal distribution's largest, so less exact where ranks have few experts: the mean is off by a factor of up
    to five there."""
    routing, one = Routing(skew=skew), np.ones(1)
    layout = Layout(one, one, one * ep, one * ep, one, one, one, one, routing)
    mean = tokens * TOP_K / ep * one
    touched = routing.touched(TOP_K / EXPERTS, tokens * one)
    rows, hit = drawn(tokens, ep, skew)
    assert layout.busiest_rows(mean, EXPERTS, TOP_K, routing)[0] == pytest.approx(rows, rel=within)
    assert EXPERTS / ep * layout.busiest_share(touched, EXPERTS, routing)[0] == pytest.approx(hit, rel=within)


@CHECKS
@given(st.floats(0, 1e5), st.sampled_from((1, 2, 8, 64)), st.floats(0.0, 10), st.floats(1.0, 2.0))
def test_the_busiest_rank_has_the_mean_at_least(tokens: float, ep: int, skew: float, imbalance: float) -> None:
    routing, one = Routing(imbalance=imbalance, skew=skew), np.ones(1)
    layout = Layout(one, one, one * ep, one * ep, one, one, one, one, routing)

    def busiest(tokens: float) -> tuple[float, float]:
        touched = routing.touched(TOP_K / EXPERTS, tokens * one)
        rows = layout.busiest_rows(tokens * TOP_K / ep * one, EXPERTS, TOP_K, routing)
        return float(rows[0]), float(layout.busiest_share(touched, EXPERTS, routing)[0] - touched[0])

    rows, more = busiest(tokens)
    assert rows >= tokens * TOP_K / ep and more >= 0
    assert rows <= busiest(2 * tokens)[0] * (1 + 1e-12)
    if ep == 1:
        assert rows == tokens * TOP_K and more == 0


@pytest.mark.parametrize(("experts", "top_k"), [(128, 8), (256, 8), (16, 1), (8, 2), (512, 10)])
@pytest.mark.parametrize("skew", [0.0, 0.01, 0.1, 1.48, 10.0])
def test_one_token_touches_its_own_experts(experts: int, top_k: int, skew: float) -> None:
    """However uneven, and however many tokens, as the gamma functions themselves say."""
    tokens = np.array([1.0, 2.0, 3.0, 17.0, 300.0])
    found = Routing(skew=skew).touched(top_k / experts, tokens)
    assert found[0] * experts == pytest.approx(top_k, rel=3e-3)
    if skew:
        a, b = 1 / skew, (experts - top_k) / (top_k * skew)
        exact = -np.expm1(gammaln(b + tokens) - gammaln(b) + gammaln(a + b) - gammaln(a + b + tokens))
        assert found == pytest.approx(exact, rel=3e-3)


def test_routers_without_a_correction_bias_are_more_skewed() -> None:
    """1.8 times: the ratio of the squared coefficients of variation of power laws between 1 and 0.8 of 2048 tokens."""

    def variation(alpha: float) -> float:
        x = np.geomspace(1.0, 0.8 * 2048, 200_001)
        zeroth, first, second = (np.trapezoid(x ** (n - alpha), x) for n in range(3))
        return float(second * zeroth / first**2 - 1.0)

    assert variation(1.2) / variation(1.01) == pytest.approx(UNCORRECTED, rel=0.02)
    assert groups(16, Routing(skew=1.0), corrected=False) == groups(16, Routing(skew=UNCORRECTED))
    blocks = [MoeFfn(EXPERTS, TOP_K, 1536, corrected=c).operations(Setting.single(qwen3())) for c in (True, False)]
    assert [{op.corrected for op in b if isinstance(op, GroupedGemm)} for b in blocks] == [{True}, {False}]


def test_a_token_that_takes_nearly_all_experts() -> None:
    few = np.array([0.01, 1.0])
    assert Routing(skew=0.67).touched(31 / 32, few) == pytest.approx(1 - (1 / 32) ** few)
    assert np.isfinite(Routing(skew=0.67).touched(0.9, few)).all()


def test_few_of_many_experts_are_a_negative_binomial() -> None:
    """1 - (1 + skew k T / E)^(-1 / skew), to which the beta-binomial tends for many experts."""
    found = Routing(skew=1.5).touched(8 / 1e6, np.array([1e5]))
    assert found[0] == pytest.approx(1 - (1 + 1.5 * 0.8) ** (-1 / 1.5), rel=1e-4)


@CHECKS
@given(st.floats(1, 1e5), st.floats(0.01, 10))
def test_unevenness_touches_fewer(tokens: float, skew: float) -> None:
    even, uneven = groups(tokens, Routing()), groups(tokens, Routing(skew=skew))
    assert 0 < uneven <= even * (1 + 3e-3) and even <= EXPERTS
    assert groups(2 * tokens, Routing(skew=skew)) >= uneven
    assert groups(0.0, Routing(skew=skew)) == 0.0


def test_no_skew_is_independent_choice() -> None:
    """1 - exp(-k T / E), which 1 - (1 - k / E)^T tends to for many experts; a skew too small to tell is none."""
    expected = EXPERTS * (1 - np.exp(-TOP_K * 16 / EXPERTS))
    assert groups(16, Routing()) == pytest.approx(expected, rel=0.03)
    assert groups(16, Routing(skew=0.009)) == groups(16, Routing())
    assert groups(16, Routing(skew=0.01)) == pytest.approx(groups(16, Routing()), rel=5e-3)


def test_a_contiguous_layout_touches_every_local_expert_once_there_is_work() -> None:
    assert groups(1, Routing(tile_rows=128)) == EXPERTS
    assert groups(0, Routing(tile_rows=128)) == 0


@pytest.mark.parametrize("mean", [0.5, 10.0, 62.0, 128.0, 1000.0])
def test_rows_in_whole_tiles_against_drawing_them(mean: float) -> None:
    """A contiguous layout of 128 rows a tile, every expert with one at least."""
    rows = np.random.default_rng(0).exponential(mean, 400_000)
    held = np.maximum(np.ceil(rows / 128), 1) * 128
    assert in_whole_tiles(np.array([mean * 8]), 8.0, 128.0)[0] == pytest.approx(8 * held.mean(), rel=0.01)


def test_tiles_of_an_engine_rule_products_of_experts() -> None:
    """Nothing is multiplied in a pass without rows; many rows take half a tile an expert more."""
    law, fp8 = measured("class_default"), replace(work("experts", 8e5, 2048.0, 2048.0, "fp8", 8.0), tile_rows=128.0)
    peak = CHIP.peak("fp8") * law.experts.peak_share * law.rates.halving_share
    many = law.times(fp8, CHIP).compute_s
    assert many == pytest.approx(2 * 2048 * 2048 * (8e5 + 64 * 8) / peak, rel=1e-4)
    few = law.times(replace(fp8, m=8.0, flops=2 * 8 * 2048 * 2048.0), CHIP).compute_s
    assert few == pytest.approx(2 * 2048 * 2048 * 128 * 8 / peak, rel=1e-6)
    assert law.times(replace(fp8, m=np.zeros(1), groups=np.zeros(1), flops=0.0), CHIP).compute_s[0] == 0.0


@pytest.mark.parametrize(("fp4", "form", "rows"), [(False, "fp8", "all"), (True, "fp8_block", "all"),
                                                    (True, "fp8", "local")])  # fmt: skip
def test_portable_kernels_walk_rows_of_other_ranks(fp4: bool, form: str, rows: str) -> None:
    device = worked_case().accelerator
    peaks = {d: f for d, f in device.peak_flops.items() if fp4 or d != "fp4"}
    scenario = worked_case(
        accelerator=replace(device, peak_flops=peaks),
        model=qwen3(quantization=Quantization.linear_layers(weight_format(form))),
        engine=Engine("any", expert_rows="all"),
    )
    assert scenario.setting(scenario.layout(original())).expert_rows == rows
    local = replace(scenario, engine=Engine("any"))
    assert local.setting(local.layout(original())).expert_rows == "local"
    exchanging = replace(scenario, engine=Engine("any", expert_rows="all", exchange="alltoall"))
    assert exchanging.setting(exchanging.layout(original())).expert_rows == "local"


def test_bytes_of_rows_of_other_ranks_by_hand() -> None:
    """Of 8 rows a token 7 are elsewhere at an ep of 8: 3072 and 1536 and 4096 wide, each written and read in bf16, and
    1536 of them quantised to a byte."""
    scenario, plans = worked_case(), original()

    def moved(rows: str) -> float:
        setting = replace(scenario.setting(scenario.layout(plans)), expert_rows=rows)
        found = [op for op in scenario.model.kinds[0].operations(setting) if op.name == "experts.activation"]
        assert isinstance(found[0], Elementwise)
        return float(np.ravel(found[0].bytes_per_row)[0])

    assert moved("all") - moved("local") == pytest.approx(8 * 7 / 8 * (2 * (3072 + 1536 + 4096) * 2 + 1536))


@pytest.mark.parametrize(("exchange", "share"), [("allgather", 1.0), ("alltoall", 1 - (7 / 8) ** 8)])
def test_tokens_that_come_to_a_rank(exchange: str, share: float) -> None:
    """Everybody's, or those that have one of their 8 experts among an eighth of all; each once, read by the first
    product and written by the second."""
    scenario = worked_case(engine=Engine("any", exchange=exchange))
    plans = original(tp=1, ep=8)
    layout = scenario.layout(plans)
    one = np.ones(1)
    step = Step(4 * one, 0 * one, 32 * one, 0 * one, 4 * one, scenario.lengths, layout)
    kinds = scenario.model.kinds[0].operations(scenario.setting(layout))
    found = {op.name: op.work(step) for op in kinds if isinstance(op, GroupedGemm)}
    for name in ("experts.up", "experts.down"):
        assert found[name].token_bytes == pytest.approx(32 * share * 4096 * 2), name


def test_hopper_reads_an_fp8_cache_as_bf16() -> None:
    """Decode attention bound by reading takes twice as long, unless the engine's kernels multiply in FP8."""
    device = worked_case().accelerator
    hopper = replace(device, peak_flops={d: f for d, f in device.peak_flops.items() if d != "fp4"})
    long = FixedLengths(100_000, 2)

    def attention(accelerator: Accelerator, form: str) -> float:
        engine = Engine("any", attention_format=form)
        scenario = worked_case(accelerator=accelerator, lengths=long, engine=engine)
        parts = breakdown(scenario, original(batch=8))
        return sum(p.seconds for p in parts if p.phase == "decode" and "attention" in p.name and "decode" in p.name)

    assert hopper.hopper and not device.hopper
    assert attention(hopper, "bf16") == pytest.approx(2 * attention(device, "bf16"), rel=0.01)
    assert attention(hopper, "cache") == pytest.approx(attention(device, "cache"), rel=0.01)
