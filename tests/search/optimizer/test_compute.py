"""A search gives the same to the last bit, whoever scored it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.evaluate import evaluate
from costmodel.plans import Plans, concatenate
from search.base.workers import LOCAL
from search.base.workers import local as hired
from search.base.workers.processes import Processes
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.optimizer import run as module
from search.optimizer import stream as streaming
from search.optimizer.recommend import Policy
from search.optimizer.verify import verify
from search.render.run_folder import write_run

BARE = ["+experiment=qwen3_235b", "strategy=exact", "report=none", "sensitivity.draws=12", "output.max_candidates=60"]


@pytest.fixture(scope="module")
def pools():
    found = {1: LOCAL, 2: Processes(2), 3: Processes(3)}
    yield found
    for workers in found.values():
        workers.close()


class _Hired:
    def __init__(self, workers):
        self.workers = workers

    def __enter__(self):
        return self.workers

    def __exit__(self, *_):
        return None


def files(folder: Path) -> dict[str, bytes]:
    """All that the run left, but what says when and where it ran."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.stem != "summary"
    }


batches = st.lists(st.integers(1, 600), min_size=1, max_size=12, unique=True)
degrees = st.lists(st.sampled_from((1, 2, 4, 8)), min_size=1, max_size=4, unique=True)
limits = st.sampled_from((["limits.ttft_s=1"], ["limits.tpot_s=0.03"], ["limits.tpot_s=0.0001"]))


@settings(max_examples=4, deadline=None)
@given(batch=batches, tp=degrees, ep=degrees, gpus=degrees, limit=limits, piece=st.integers(1, 50), whole=st.booleans())
def test_every_file_is_the_same_whoever_works(pools, tmp_path_factory, batch, tp, ep, gpus, limit, piece, whole):
    words = [
        f"space.batch={batch}",
        f"space.tp={tp}",
        f"space.ep={ep}",
        f"space.gpus={[8, *(8 * g for g in gpus)][1:]}",
    ]
    config = composed([*BARE, *words, *limit])
    left = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hired, "WORTH", 0)
        patched.setattr(module, "HELD", 10_000 if whole else 0)
        patched.setattr(module, "EXACT_CHUNK", piece)
        patched.setattr(streaming, "PIECE", piece)
        patched.setattr(streaming, "MOST_NEAR", 60)
        for workers in pools.values():
            patched.setattr(module, "opened", lambda *_, workers=workers: _Hired(workers))
            try:
                outcome = module.run(config)
            except ValueError as error:  # no legal plan
                left.append(str(error))
                continue
            folder = tmp_path_factory.mktemp("run")
            write_run(folder, outcome)
            left.append(files(folder) | {"tally": outcome.counted})
    assert left[0] == left[1] == left[2]


def test_the_workers_were_asked(pools, monkeypatch):
    """The test above would pass if nobody hired anybody."""
    monkeypatch.setattr(hired, "WORTH", 0)
    monkeypatch.setattr(module, "EXACT_CHUNK", 1000)
    sent = []
    submit = Processes._submit
    monkeypatch.setattr(Processes, "_submit", lambda self, *a: sent.append(a[0]) or submit(self, *a))
    monkeypatch.setattr(module, "opened", lambda *_: _Hired(pools[2]))
    config = composed(BARE)
    outcome = module.run(replace(config, sensitivity=replace(config.sensitivity, draws=20)))
    kinds = [type(task).__name__ for task in sent]
    assert kinds == ["partial"] * 6 + ["Drawing"] * 3
    assert outcome.workers == ("local", 2)
    assert np.all(np.diff(outcome.front) > 0)


def test_simulations_are_the_same_whoever_runs_them(pools, monkeypatch):
    words = ["workload.requests_per_s=0.3", "verify.requests=100", "verify.seeds=1", "verify.top=2"]
    config = composed(["+experiment=qwen3_235b_traffic", *words])
    scenario = read_scenario(config, read_model(config.model).architecture)
    plans = Plans.of(gpus=16, tp=4, ep=8, dp=2, batch=[32, 64, 128])
    plans = concatenate([plans, replace(plans, tp=plans.tp // 2), replace(plans, dp=plans.dp // 2)])
    scores = evaluate(scenario, plans)
    scores = replace(scores, violations=np.minimum(scores.violations, 0.0))
    policy = Policy.from_config(config.objective.recommend, config.objective.ties)
    here = verify(config, scenario, plans, scores, policy)
    monkeypatch.setattr(hired, "WORTH", 0)
    sent = []
    submit = Processes._submit
    monkeypatch.setattr(Processes, "_submit", lambda self, *a: sent.append(a[0]) or submit(self, *a))
    assert verify(config, scenario, plans, scores, policy, pools[2]) == here
    assert len(here) >= 2
    assert {type(task).__name__ for task in sent} == {"Simulating"}
