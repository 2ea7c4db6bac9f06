"""The engines themselves on every layout of both pools of split plans, with drafts and dealt caches, and on what a
Slurm job starts; slow and optional as ``test_engines_own``."""

from dataclasses import replace

import numpy as np
import pytest
from stubs import bash
from test_engines_own import ask, interpreter
from test_engines_split import PARTS
from test_split_slurm import asked_for, run_on

from search.inputs.compose import composed
from search.optimizer.run import run
from search.optimizer.split.transfer import pairing
from search.render.launch.split import split_files

pytestmark = pytest.mark.slow

BASE = (
    "strategy=exact", "report=none", "sensitivity=none", "space.serving=[aggregated,split]", "limits.ttft_s=60",
    "limits.ttft_statistic=mean", "limits.tpot_s=1",
)  # fmt: skip
ALL = (
    "space.gpus=[16]", "space.dp=[1,2,4]", "space.pp=[1,2]", "space.sp=[1,2]", "space.tp=[1,2,4,8]",
    "space.ep=[1,2,4,8]", "space.batch=[32,128]",
)  # fmt: skip
DEALT = ("space.speculation=[none,mtp]", "space.draft.tokens=[1,2]", "space.decode_cp=[1,2,4,8]")
TWO_NODES = (
    "space.gpus=[32]", "space.split.prefill_gpus=16", "space.split.decode_gpus=16", "space.ep=[16]", "space.dp=2",
    "space.tp=[1,8]", "space.pp=1", "space.sp=1", "space.batch=[64]",
)  # fmt: skip
SPACES = {
    "deepseek_r1_h200": ("DeepseekV3ForCausalLM", (*ALL, *DEALT)),
}
# What an engine must refuse of a server that deals its cache, or the check would prove nothing, and the complaint.
WRONG = {"vllm": (["--decode-context-parallel-size", "2"], "NIXL")}


def rows(pool, *more):
    """The first row of each layout of a pool, whatever its batch."""
    plans = pool.plans
    columns = [plans.tp, plans.ep, plans.pp, plans.sp, plans.gpus, *(getattr(pool, name) for name in more)]
    return np.sort(np.unique(np.stack(columns, axis=1), axis=0, return_index=True)[1])


def pairs(found):
    """A split plan of one instance each for every layout of either pool, beside the first of the other that its engine
    lets it send to or take from; and the accelerators of both."""
    best = found.split.best
    match = pairing(
        found.scenario, best.drafters, best.prefill.plans, best.decode.plans, best.decode.drafter, best.decode.ranks
    )
    p, d = rows(best.prefill), rows(best.decode, "drafter", "ranks")
    together = match.rows(p[:, None], d[None])
    assert together.any(axis=1).all()
    assert together.any(axis=0).all()
    found_pairs = [(i, int(together[i].argmax())) for i in range(len(p))]
    found_pairs += [(int(together[:, j].argmax()), j) for j in range(len(d))]
    for i, j in sorted(set(found_pairs)):
        own = replace(best, p=p[[i]], d=d[[j]], x=np.array([1]), y=np.array([1]))
        yield own, (int(best.prefill.plans.gpus[p[i]]), int(best.decode.plans.gpus[d[j]]))


def case(engine, words, found, architecture, **wanted):
    model = {**found.config.model.published, "architectures": [architecture], "torch_dtype": "bfloat16"}
    return {"argv": words[1:] if engine == "vllm" else words[2:], "model": model, "wanted": wanted}


def refused(engine, repo, cases):
    """What the engine says to each case that it does not take, or reads otherwise than it was meant."""
    for i, one in enumerate(cases):
        one["id"] = str(i)
    answers = ask(engine, repo, cases)
    found = []
    for one in cases:
        answer = answers[one["id"]]
        if answer["error"] or {key: answer[key] for key in one["wanted"]} != one["wanted"]:
            found.append((one["argv"], one["wanted"], answer))
    return found


@pytest.mark.parametrize("experiment", SPACES)
@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_engine_takes_every_layout_of_both_pools(repo, tmp_path, capsys, engine, experiment):
    interpreter(engine)
    architecture, space = SPACES[experiment]
    found = run(composed([f"+experiment={experiment}", f"engine={engine}", *BASE, *space], None))
    cases = {}
    for own, pools in pairs(found):
        which, ranks = int(own.decode.drafter[own.d[0]]), int(own.decode.ranks[own.d[0]])
        drafts = own.drafters[which - 1].tokens + (engine == "sglang") if which else None  # of both: mtp
        files = split_files(replace(found, split=replace(found.split, best=own)))
        for name, part, dealt, world in zip(("prefill", "decode"), PARTS[engine], (1, ranks), pools, strict=True):
            script = tmp_path / f"split.{name}.sh"
            script.write_text(files[script.name])
            result, calls = bash(tmp_path, str(script), MODEL="m", MASTER_ADDR="10.0.0.1")
            assert result.returncode == 0, result.stderr
            wanted = {"part": part, "drafts": drafts, "dealt": dealt, "world": world}
            cases[tuple(calls[0][1])] = case(engine, calls[0][1], found, architecture, **wanted)
    assert refused(engine, repo, [*cases.values()]) == []
    with capsys.disabled():
        print(f"\n{engine} takes {len(cases)} servers of every layout that prefills or decodes ({experiment})")


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_engine_takes_what_a_job_of_four_nodes_starts(repo, tmp_path, capsys, engine):
    interpreter(engine)
    found = run(composed(["+experiment=deepseek_r1_h200", f"engine={engine}", *BASE, *TWO_NODES], None))
    for name, text in split_files(found).items():
        (tmp_path / name).write_text(text)
    nodes = asked_for((tmp_path / "split.slurm").read_text(), "nodes")
    result, calls = run_on(tmp_path, tmp_path, nodes, HOST="0.0.0.0", MODEL="m")
    assert result.returncode == 0, result.stderr
    started = [words for program, words, _ in calls if program != "node" and "router" not in f"{program} {words}"]
    assert len(started) == nodes == 4
    cases = [case(engine, words, found, "DeepseekV3ForCausalLM", world=16, nodes=2) for words in started]
    assert refused(engine, repo, cases) == []
    with capsys.disabled():
        print(f"\n{engine} takes {len(cases)} commands of a job of {nodes} nodes")


@pytest.mark.parametrize("engine", WRONG)
def test_the_engine_refuses_a_cache_dealt_otherwise(repo, tmp_path, engine):
    """vLLM's connector deals over the whole tp group or not at all."""
    interpreter(engine)
    space = (*TWO_NODES, "space.gpus=[16]", "space.split.prefill_gpus=8", "space.split.decode_gpus=8", "space.tp=[8]")
    dealt = ("space.ep=[8]", "space.decode_cp=[1,8]", "space.split.prefill_tokens=8192")
    found = run(composed(["+experiment=deepseek_r1_h200", f"engine={engine}", *BASE, *space, *dealt], None))
    best = found.split.best
    own = replace(best, d=np.flatnonzero(best.decode.ranks == 8)[:1])
    script = tmp_path / "split.decode.sh"
    script.write_text(split_files(replace(found, split=replace(found.split, best=own)))[script.name])
    result, calls = bash(tmp_path, str(script), MODEL="m")
    assert result.returncode == 0, result.stderr
    words, (more, complaint) = calls[0][1], WRONG[engine]
    good = case(engine, words, found, "DeepseekV3ForCausalLM", dealt=8)
    ((argv, _, answer),) = refused(engine, repo, [good, case(engine, [*words, *more], found, "DeepseekV3ForCausalLM")])
    assert argv[-2:] == more
    assert complaint in answer["error"]
