"""A split plan in Slurm: every node starts what the pools' scripts start there, and the router finds all of it."""

from __future__ import annotations

import re
import subprocess

import pytest
from stubs import bash, stub_folder
from test_split_launch import DRAFTS, outcome_of

from search.render.launch.split import split_files

# The options of sbatch that are used, by its manual (Slurm 24.05).
KNOWN = {"--job-name", "--nodes", "--ntasks-per-node", "--gpus-per-node", "--exclusive"}
TWO = (
    "engine=vllm", "space.gpus=[32]", "space.split.prefill_gpus=16", "space.split.decode_gpus=16", "space.ep=[16]",
    "space.dp=2",
)  # fmt: skip
SMALL = (
    "engine=sglang", "model=qwen3_8b", "space.gpus=[6]", "space.split.prefill_gpus=1", "space.split.decode_gpus=2",
    "space.dp=[3,6]", "space.tp=[1,2]", "space.ep=1", "workload.isl=4000", "workload.osl=300",
)  # fmt: skip
CASES = {
    "vllm": ("engine=vllm", *DRAFTS), "sglang": ("engine=sglang", *DRAFTS), "trtllm": ("engine=trtllm", *DRAFTS),
    "servers of two nodes": TWO, "one node": SMALL,
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def written(request, tmp_path_factory):
    """The folder, which case it is, how many servers of each pool, the job's result and what it called."""
    outcome = outcome_of(*CASES[request.param])
    folder = tmp_path_factory.mktemp("slurm")
    for name, text in split_files(outcome).items():
        (folder / name).write_text(text)
    best = outcome.split.best
    nodes = asked_for((folder / "split.slurm").read_text(), "nodes")
    job = run_on(folder, tmp_path_factory.mktemp("job"), nodes, HOST="0.0.0.0")
    return folder, request.param, int(best.x[0]), int(best.y[0]), job


def run_on(folder, tmp_path, nodes, **environment):
    """The job with ``nodes``, each of which runs its part; ``wait -n`` waits for all, so that nothing is lost."""
    programs = stub_folder(tmp_path)
    names = [f"n{i}" for i in range(nodes)]
    (programs / "scontrol").write_text(f"#!/bin/sh\nprintf '%s\\n' {' '.join(names)}\n")
    (programs / "srun").write_text(
        "#!/usr/bin/env bash\n"
        f'for i in {{0..{nodes - 1}}}; do SLURM_NODEID=$i SLURMD_NODENAME=n$i bash -c \'echo "[\\"node\\", [\\"$0\\"]'
        ', {}]" >> "$CALLS"; exec "$@"\' "$i" "$@"; done\n'
    )
    for name in ("scontrol", "srun"):
        (programs / name).chmod(0o755)
    waits = {"BASH_FUNC_wait%%": "() { builtin wait; }"}
    return bash(tmp_path, str(folder / "split.slurm"), SLURM_SUBMIT_DIR=str(folder), SLURM_JOB_NODELIST="n",
                **waits, **environment)  # fmt: skip


def asked_for(text, option):
    return int(re.search(rf"#SBATCH --{option}=(\d+)", text)[1])


def test_it_is_a_job_that_sbatch_reads(written):
    folder, case, *_ = written
    script = folder / "split.slurm"
    subprocess.run(["bash", "-n", script], check=True)
    lines = [line.split()[1] for line in script.read_text().splitlines() if line.startswith("#SBATCH")]
    assert {line.partition("=")[0] for line in lines} == KNOWN
    nodes = {"one node": 1, "servers of two nodes": 4}.get(case, 2)
    assert asked_for(script.read_text(), "nodes") == nodes
    assert asked_for(script.read_text(), "gpus-per-node") == (6 if case == "one node" else 8)


def test_every_server_is_started_as_its_script_does(written, tmp_path):
    folder, case, x, y, (result, calls) = written
    assert result.returncode == 0, result.stderr
    started = sorted([c for c in calls if c[0] != "node" and "router" not in str(c) and "disaggregated" not in c[1]])
    expected = []
    for pool, count in (("prefill", x), ("decode", y)):
        for replica in range(count):
            parts = 2 if case == "servers of two nodes" else 1
            for part in range(parts):
                first = f"n{(replica + (x if pool == 'decode' else 0)) * 2}"
                words = [str(replica)] if count > 1 else []
                _, called = bash(tmp_path, str(folder / f"split.{pool}.sh"), *words, HOST="0.0.0.0", NODE=str(part),
                                 MASTER_ADDR=first)  # fmt: skip
                expected += called
    assert started == sorted(expected)
    assert len({str(c[1]) for c in started}) == len(started)
    if case == "one node":  # no accelerator is given twice
        devices = [d for c in started for d in c[2]["CUDA_VISIBLE_DEVICES"].split(",")]
        assert sorted(devices) == [str(i) for i in range(6)]


def test_the_router_finds_every_server(written):
    folder, case, x, y, (_, calls) = written
    if case == "trtllm":
        found = re.findall(r"(\S+:8[12]\d\d)", (folder / "split.router.yaml").read_text().replace("'", " "))
    else:
        (router,) = [c for c in calls if "router" in str(c)]
        found = [word.removeprefix("http://") for word in router[1] if word.startswith("http://")]
    assert len(found) == len(set(found)) == x + y
    if case == "servers of two nodes":
        assert found == [f"n{2 * i}:{8100 if i < x else 8200}" for i in range(x + y)]
    elif case != "one node":
        assert {address.split(":")[0] for address in found} == {"n0", "n1"}


def test_two_kinds_of_accelerators_are_two_parts_of_one_job(tmp_path):
    """Each part counts its nodes from 0."""
    outcome = outcome_of("engine=sglang", "space.split.decode.hardware=b200", *DRAFTS)
    for name, text in split_files(outcome).items():
        (tmp_path / name).write_text(text)
    text = (tmp_path / "split.slurm").read_text()
    head = [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")]
    part = ["--nodes=1", "--ntasks-per-node=1", "--gpus-per-node=8", "--exclusive"]
    assert head == ["--job-name=servefront-split", *part, "hetjob", *part]
    programs = stub_folder(tmp_path)
    (programs / "scontrol").write_text("#!/bin/sh\necho $3\n")
    (programs / "srun").write_text(
        '#!/usr/bin/env bash\ngroup=${1#--het-group=}; shift\n'
        'echo "[\\"part\\", [\\"$group\\"], {}]" >> "$CALLS"\n'
        'SLURM_NODEID=0 SLURMD_NODENAME=kind$group "$@"\n'
    )  # fmt: skip
    for name in ("scontrol", "srun"):
        (programs / name).chmod(0o755)
    lists = {f"SLURM_JOB_NODELIST_HET_GROUP_{i}": f"kind{i}" for i in range(2)}
    result, calls = bash(tmp_path, str(tmp_path / "split.slurm"), SLURM_SUBMIT_DIR=str(tmp_path), HOST="0.0.0.0",
                         **lists, **{"BASH_FUNC_wait%%": "() { builtin wait; }"})  # fmt: skip
    assert result.returncode == 0, result.stderr
    servers = [c[1] for c in calls if "--disaggregation-mode" in c[1]]
    assert sorted(words[words.index("--disaggregation-mode") + 1] for words in servers) == ["decode", "prefill"]
    assert all(words[words.index("--page-size") + 1] == "64" for words in servers)
    assert sorted(c[1][0] for c in calls if c[0] == "part") == ["0", "1"]
    (router,) = [c for c in calls if "router" in str(c)]
    assert [w for w in router[1] if w.startswith("http://")] == ["http://kind0:8100", "http://kind1:8200"]


def test_nodes_reach_each_other_only_where_somebody_says_so(written, tmp_path):
    folder, case, *_ = written
    if case != "one node":
        result, calls = run_on(folder, tmp_path, 2)
        assert (result.returncode, calls) == (1, [])
        assert "HOST: 0.0.0.0, so that the nodes reach each other" in result.stderr
