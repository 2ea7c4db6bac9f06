"""Stack distances against a cache that is kept block by block, and against the simulator's own."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.serving.prefix_hits import HitCurve
from costmodel.serving.simulation.balancer import simulate
from costmodel.serving.simulation.replica import Replica
from costmodel.serving.simulation.requests import Requests
from costmodel.serving.simulation.scheduler import Scheduler

TOKENS = 16


def sessions(count: int, seed: int, kinds: int = 12) -> Requests:
    """Conversations that grow: each request is an earlier one's prompt and some more."""
    rng = np.random.default_rng(seed)
    prompts: list[tuple[int, ...]] = []
    last: list[tuple[int, ...]] = [()] * kinds
    fresh = iter(range(1_000_000))
    for _ in range(count):
        kind = int(rng.integers(kinds))
        prompt = last[kind] if rng.random() < 0.8 else last[kind][: len(last[kind]) // 2]
        prompt += tuple(next(fresh) for _ in range(int(rng.integers(0, 5))))
        last[kind] = prompt if len(prompt) < 40 else ()
        prompts.append(prompt)
    tokens = np.array([max(len(p) * TOKENS + int(rng.integers(0, TOKENS)), 1) for p in prompts])
    return Requests(np.arange(count) * 100.0, tokens, np.full(count, 2), None, prompts, TOKENS)


def kept_block_by_block(requests: Requests, blocks: int, replicas: int) -> float:
    """Share of tokens found by caches that hold ``blocks``, the longest unused going first."""
    caches: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(replicas)]
    found = 0
    assert requests.blocks is not None
    for i, prompt in enumerate(requests.blocks):
        cache, here = caches[i % replicas], 0
        for block in prompt:
            if block not in cache:
                break
            here += 1
        found += min(here * TOKENS, int(requests.prompt_tokens[i]) - 1)
        for block in reversed(prompt):
            cache.pop(block, None)
            cache[block] = None
        while len(cache) > blocks:
            cache.popitem(last=False)
    return found / float(requests.prompt_tokens.sum())


@given(seed=st.integers(0, 10_000), replicas=st.sampled_from([1, 2, 3]))
@settings(max_examples=25, deadline=None)
def test_every_capacity_is_that_of_a_kept_cache(seed: int, replicas: int) -> None:
    requests = sessions(120, seed)
    sizes = [0, 1, 3, 10, 40, 100, 300, 100_000]
    found = HitCurve.of(requests, replicas).share(np.array(sizes) * TOKENS)
    assert found == pytest.approx([kept_block_by_block(requests, size, replicas) for size in sizes], abs=1e-12)
    assert (np.diff(found) >= 0).all()


class Constant:
    """Every pass takes as long."""

    groups, sp = 1, 1

    def seconds(self, *what: float, stage_rows: int = -1) -> float:
        return 1e-3


@pytest.mark.parametrize("blocks", [50, 120, 400, 4000])
def test_the_simulators_own_cache_finds_as_much(blocks: int) -> None:
    """One request at a time, so that the cache is the prompts' alone, but for the request that it serves."""
    requests = sessions(400, 1)
    replica = Replica(Constant(), Scheduler(4, blocks * TOKENS, 8192, TOKENS), TOKENS, 0.0)  # type: ignore[arg-type]
    served = simulate([replica], requests, lambda tokens: 0.0)
    simulated = served.hit_tokens.sum() / requests.prompt_tokens.sum()
    assert HitCurve.of(requests).share(blocks * TOKENS) == pytest.approx(simulated, abs=0.02)


def test_a_trace_without_blocks_has_no_curve() -> None:
    with pytest.raises(ValueError, match="no block hashes"):
        HitCurve.of(Requests(np.zeros(2), np.ones(2, int), np.ones(2, int)))


def test_prompts_without_a_whole_block() -> None:
    requests = Requests(np.zeros(3), np.full(3, 5), np.ones(3, int), None, [(), (), ()], TOKENS)
    assert HitCurve.of(requests).share(1e9) == 0.0
