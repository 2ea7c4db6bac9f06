"""Kubernetes, Slurm and compose files: they parse, and start what the shell script starts."""

import shlex
import subprocess
from pathlib import Path

import engine_tables
import pytest
import yaml
from manifest_schemas import SCHEMAS, faults
from stubs import STUB, bash
from test_scripts import two_nodes

ENGINES = ("vllm", "sglang")
TABLES = {"vllm": (engine_tables.VLLM, True), "sglang": (engine_tables.SGLANG, False)}
PROGRAMS = {"vllm": ["vllm", "serve"], "sglang": ["python3", "-m", "sglang.launch_server"]}


def replicas(run_of) -> Path:
    """Two servers on one node."""
    return run_of("+experiment=llama_70b_h100", "space.gpus=8", "space.dp=2", "space.pp=1", "space.tp=4") / "launch"


def documents(path: Path) -> list[dict]:
    text = path.read_text()
    assert not any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
    found = list(yaml.safe_load_all(text))
    assert [x for item in found if "kind" in item for x in faults(item, SCHEMAS[item["kind"]], item["kind"])] == []
    return found


def as_script(folder: Path, tmp_path: Path, engine: str, *arguments: str, **environment: str) -> list[str]:
    result, calls = bash(tmp_path, str(folder / f"{engine}.sh"), *arguments, **environment)
    assert result.returncode == 0, result.stderr
    return calls[0][1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_deployment_starts_what_the_script_starts(run_of, tmp_path, engine):
    folder = replicas(run_of)
    service, deployment = documents(folder / f"{engine}.kubernetes.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    words = [*container["command"], *container["args"]]
    expected = as_script(folder, tmp_path, engine, "0", HOST="0.0.0.0")
    assert words == [PROGRAMS[engine][0], *expected]
    table, positional = TABLES[engine]
    engine_tables.parse(table, words[len(PROGRAMS[engine]) :], positional=positional)
    assert (deployment["kind"], deployment["spec"]["replicas"]) == ("Deployment", 2)
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert container["readinessProbe"]["httpGet"]["path"] == "/health"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_set_of_several_nodes(run_of, tmp_path, engine):
    """The leader answers requests, the workers of vLLM are headless; the shell fills in rank and address."""
    folder = two_nodes(run_of, engine)
    service, several = documents(folder / f"{engine}.kubernetes.yaml")
    template = several["spec"]["leaderWorkerTemplate"]
    assert (several["kind"], template["size"], several["spec"]["replicas"]) == ("LeaderWorkerSet", 2, 1)
    assert service["spec"]["selector"]["role"] == "leader"
    for node, role in (("0", "leaderTemplate"), ("1", "workerTemplate")):
        (container,) = template[role]["spec"]["containers"]
        assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
        text = container["command"][-1]
        _, calls = bash(tmp_path, text=text, LWS_WORKER_INDEX=node, LWS_LEADER_ADDRESS="10.0.0.1")
        expected = as_script(folder, tmp_path, engine, HOST="0.0.0.0", NODE=node, MASTER_ADDR="10.0.0.1")
        assert sorted(calls[0][1]) == sorted(expected)
        assert ("--headless" in calls[0][1]) == (engine == "vllm" and node == "1")


@pytest.mark.parametrize("engine", ENGINES)
def test_compose_services_share_no_accelerator(run_of, tmp_path, engine):
    folder = replicas(run_of)
    services = documents(folder / f"{engine}.compose.yaml")[0]["services"]
    expected = as_script(folder, tmp_path, engine, "0", HOST="0.0.0.0")
    seen = []
    for service in services.values():
        assert [*service["entrypoint"], *service["command"]] == [PROGRAMS[engine][0], *expected]
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        seen.append((device["device_ids"], service["ports"]))
    assert seen == [
        (["0", "1", "2", "3"], ["127.0.0.1:8000:8000"]),
        (["4", "5", "6", "7"], ["127.0.0.1:8001:8000"]),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_compose_on_each_of_two_nodes(run_of, tmp_path, engine):
    folder = two_nodes(run_of, engine)
    (service,) = documents(folder / f"{engine}.compose.yaml")[0]["services"].values()
    text = service["command"][0].replace("$$", "$")
    model = service["environment"]["MODEL"]
    for node in ("0", "1"):
        _, calls = bash(tmp_path, text=text, NODE=node, MASTER_ADDR="10.0.0.1", MODEL=model)
        expected = as_script(folder, tmp_path, engine, HOST="0.0.0.0", NODE=node, MASTER_ADDR="10.0.0.1")
        assert sorted(calls[0][1]) == sorted(expected)


def slurm_stubs(tmp_path: Path) -> None:
    """srun runs its command once for each node; scontrol names the nodes."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "scontrol").write_text("#!/bin/sh\necho first\necho second\n")
    (folder / "srun").write_text(
        '#!/usr/bin/env bash\nif [[ "$1" == --mpi=* ]]; then shift; exec "$@"; fi\n'
        'for SLURM_NODEID in 0 1; do export SLURM_NODEID; "$@"; done\n'
    )
    (folder / "trtllm-llmapi-launch").write_text(STUB)
    for path in folder.iterdir():
        path.chmod(0o755)


@pytest.mark.parametrize("engine", ENGINES)
def test_slurm_starts_a_part_on_each_node(run_of, tmp_path, engine):
    folder = two_nodes(run_of, engine)
    script = folder / f"{engine}.slurm"
    subprocess.run(["bash", "-n", script], check=True)
    assert "#SBATCH --nodes=2\n#SBATCH --ntasks-per-node=1\n#SBATCH --gpus-per-node=8" in script.read_text()
    slurm_stubs(tmp_path)
    result, calls = bash(
        tmp_path, str(script), "--seed", "1", SLURM_SUBMIT_DIR=str(folder), SLURM_JOB_NODELIST="n[1-2]"
    )
    assert result.returncode == 0, result.stderr
    for node, call in enumerate(calls):
        assert call[1][-2:] == ["--seed", "1"]
        expected = as_script(folder, tmp_path, engine, NODE=str(node), MASTER_ADDR="first")
        assert call[1][:-2] == expected
    assert len(calls) == 2


def test_slurm_gives_tensorrt_llm_a_task_a_rank(run_of, tmp_path):
    folder = two_nodes(run_of, "trtllm")
    script = folder / "trtllm.slurm"
    assert "#SBATCH --ntasks-per-node=8" in script.read_text()
    slurm_stubs(tmp_path)
    result, calls = bash(tmp_path, str(script), SLURM_SUBMIT_DIR=str(folder), MODEL="m")
    assert result.returncode == 0, result.stderr
    assert calls[0][:1] == ["trtllm-llmapi-launch"]
    assert calls[0][1][:2] == ["trtllm-serve", "m"]
    assert str(folder / "trtllm.yaml") in calls[0][1]


def ssh_stubs(text: str, tmp_path: Path) -> str:
    """Programs and folders of a node in the test's own folder; sshd and ssh say that they were called."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    for name in ("ssh", "sshd"):
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    (tmp_path / "ssh").mkdir(exist_ok=True)
    for name in ("id_ed25519", "id_ed25519.pub"):
        (tmp_path / "ssh" / name).write_text("key")
    moved = text.replace("/run/sshd", f"{tmp_path}/run").replace("/root/", f"{tmp_path}/root/")
    moved = moved.replace("/usr/sbin/sshd", "sshd")
    return moved.replace(" /ssh/", f" {tmp_path}/ssh/").replace("/tmp/hosts", f"{tmp_path}/hosts")


@pytest.mark.parametrize("kind", ["kubernetes", "compose"])
def test_tensorrt_llm_on_two_nodes_starts_its_ranks_by_mpi(run_of, tmp_path, kind):
    """The first node waits for ssh on both and hands mpirun their names; the other one waits for it."""
    folder = two_nodes(run_of, "trtllm")
    if kind == "kubernetes":
        _, options, several = documents(folder / "trtllm.kubernetes.yaml")
        template = several["spec"]["leaderWorkerTemplate"]
        assert options["data"]["trtllm.yaml"].strip() in (folder / "trtllm.yaml").read_text()
        roles = [template[role]["spec"] for role in ("leaderTemplate", "workerTemplate")]
        texts = [spec["containers"][0]["command"][-1] for spec in roles]
        environments = [{"LWS_LEADER_ADDRESS": "s-0.s.default"}] * 2
        hosts = ["s-0.s.default", "s-0-1.s.default"]
        assert {v["name"] for v in roles[1]["volumes"]} >= {"ssh", "options"}
    else:
        (service,) = documents(folder / "trtllm.compose.yaml")[0]["services"].values()
        texts = [service["command"][0].replace("$$", "$")] * 2
        environments = [{"NODE": node, "HOSTS": "n1 n2", "MODEL": "m"} for node in "01"]
        hosts = ["n1", "n2"]
        assert "./ssh:/ssh:ro" in service["volumes"]
    result, calls = bash(tmp_path, text=ssh_stubs(texts[0], tmp_path), **environments[0])
    assert result.returncode == 0, result.stderr
    assert [call[0] for call in calls] == ["sshd", "ssh", "ssh", "mpirun"]
    assert [call[1][-2] for call in calls[1:3]] == hosts
    assert (tmp_path / "hosts").read_text() == "".join(f"{host} slots=8\n" for host in hosts)
    words = calls[3][1]
    assert words[:2] == ["-n", "16"]
    assert words[words.index("--hostfile") + 1] == str(tmp_path / "hosts")
    assert words[words.index("trtllm-serve") - 1] == "trtllm-llmapi-launch"
    assert words[words.index("--extra_llm_api_options") + 1] == "/options/trtllm.yaml"
    result, calls = bash(tmp_path, text=ssh_stubs(texts[1], tmp_path), **environments[1])
    assert result.returncode == 0, result.stderr
    assert [call[0] for call in calls] == ["sshd"]
    assert "-D" in calls[0][1]


@pytest.mark.parametrize("engine", ENGINES)
def test_slurm_starts_every_server_of_a_node(run_of, tmp_path, engine):
    folder = replicas(run_of)
    assert "--array" not in (folder / f"{engine}.slurm").read_text()
    result, calls = bash(tmp_path, str(folder / f"{engine}.slurm"), SLURM_SUBMIT_DIR=str(folder))
    assert result.returncode == 0, result.stderr
    assert len(calls) in (1, 2)  # the job ends with the first server that ends


@pytest.mark.parametrize("engine", ENGINES)
def test_addresses_of_two_nodes_as_the_engines_want_them(run_of, tmp_path, engine):
    """vLLM: an address and a port (vllm/engine/arg_utils.py); SGLang: host:port in one word (server_args.py)."""
    script = str(two_nodes(run_of, engine) / f"{engine}.sh")
    result, calls = bash(tmp_path, script, NODE="1", MASTER_ADDR="n1", MASTER_PORT="777", IFACE="eth0", PIDFILE="pid")
    assert result.returncode == 0, result.stderr
    words = calls[0][1]
    if engine == "vllm":
        assert words[words.index("--master-addr") + 1 : words.index("--master-addr") + 4] == [
            "n1",
            "--master-port",
            "777",
        ]
    else:
        assert words[words.index("--dist-init-addr") + 1] == "n1:777"
    assert (tmp_path / "pid").read_text().strip().isdigit()
    assert "NCCL_SOCKET_IFNAME" in Path(script).read_text()


def test_each_script_states_its_own_prediction(run_of):
    folder = replicas(run_of)
    for engine in ("vllm", "sglang", "trtllm"):
        for name in (f"{engine}.sh", f"{engine}.slurm", f"{engine}.compose.yaml", f"{engine}.kubernetes.yaml"):
            assert f"# Predicted for engine {engine}: " in (folder / name).read_text()


def test_comments_in_scripts_can_be_run(run_of, tmp_path):
    """The health check is shell that bash reads."""
    lines = (replicas(run_of) / "vllm.sh").read_text().splitlines()
    check = next(line for line in lines if "/health" in line).removeprefix("#")
    subprocess.run(["bash", "-n", "-c", check], check=True)
    assert "curl" in shlex.split(check.replace(";", " "))
