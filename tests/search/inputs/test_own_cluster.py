"""The cluster follows the hardware, unless somebody names one; another vendor's is remarked upon."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.inputs.compose import composed
from search.inputs.config import read_cluster, read_hardware
from search.inputs.hardware_catalog import load_cluster
from search.inputs.own_cluster import FALLBACK, foreign, own_cluster

FLAT = "efficiency: {law: flat, mfu: 0.5, bandwidth: 0.8, launch_s: 0.0}"
CHIP = f"memory_bytes: 1.0e+11\nmemory_bytes_per_s: 1.0e+12\npeak_flops: {{bf16: 1.0e+14}}\n{FLAT}\n"


def name_of(cluster: str) -> str:
    return str(load_cluster(cluster).name)


@pytest.mark.parametrize(
    ("overrides", "cluster"),
    [
        ([], "hgx8_400g"),
        (["hardware=mi300x"], "mi300_8"),
        (["hardware=b200_sxm"], "hgx8_blackwell_400g"),
        (["hardware=l40s"], "pcie8"),
        (["hardware=gb300"], "nvl72_800g"),
        (["+experiment=qwen3_235b"], "worked_case"),
        (["+experiment=qwen3_235b", "hardware=h200_sxm"], "hgx8_400g"),
        (["+experiment=qwen3_235b", "hardware=h200_sxm", "cluster=nvl72"], "nvl72"),
        (["hardware=mi300x", "cluster=single8"], "single8"),
    ],
)
def test_the_cluster_follows_the_hardware_unless_one_is_named(overrides: list[str], cluster: str) -> None:
    assert composed(overrides).cluster.name == name_of(cluster)


def test_keys_of_the_own_cluster_can_be_overridden() -> None:
    config = composed(["hardware=l40s", "cluster.tiers.0.size=4"])
    assert config.cluster.tiers[0].size == 4


def test_files_of_the_user(tmp_path: Path) -> None:
    """One that builds on a file of the catalog has that one's cluster, one that names its own has that; one without
    any stands in the fallback."""
    for group in ("hardware", "cluster", "experiment"):
        (tmp_path / group).mkdir()
    (tmp_path / "hardware" / "like.yaml").write_text("defaults: [b200_sxm]\nname: Mine\n")
    (tmp_path / "hardware" / "own.yaml").write_text(f"name: Own\ncluster: box\n{CHIP}")
    (tmp_path / "hardware" / "bare.yaml").write_text(f"name: Bare\n{CHIP}")
    tier = "{name: node, size: 4, latency_s: 1.0e-6, bytes_per_s: 1.0e+11}"
    (tmp_path / "cluster" / "box.yaml").write_text(f"name: Box\ntiers: [{tier}]\n")
    named = "# @package _global_\ndefaults:\n  - override /hardware: own\n  - override /cluster: single8\n"
    (tmp_path / "experiment" / "named.yaml").write_text(named)
    assert composed(["hardware=like"], tmp_path).cluster.name == name_of("hgx8_blackwell_400g")
    assert composed(["hardware=own"], tmp_path).cluster.name == "Box"
    assert composed(["hardware=bare"], tmp_path).cluster.name == name_of(FALLBACK)
    assert composed(["+experiment=named"], tmp_path).cluster.name == name_of("single8")
    assert own_cluster("own") == "box"
    composed([])
    assert own_cluster("own") == FALLBACK  # the folder is forgotten


def test_a_folder_on_the_command_line_of_the_search(search, tmp_path):
    for group in ("hardware", "cluster"):
        (tmp_path / "mine" / group).mkdir(parents=True)
    (tmp_path / "mine" / "hardware" / "own.yaml").write_text(f"name: Own\ncluster: box\n{CHIP}")
    tier = "{name: node, size: 2, latency_s: 1.0e-6, bytes_per_s: 1.0e+11}"
    (tmp_path / "mine" / "cluster" / "box.yaml").write_text(f"name: Box\ntiers: [{tier}]\n")
    small = ("model=qwen3_0_6b", "space.gpus=[1,2]", "space.batch=[8]", "strategy=exact", "sensitivity=none")
    code, _, err = search("--config-dir", str(tmp_path / "mine"), "hardware=own", *small, "hydra.run.dir=r")
    assert code == 0, err
    assert "name: Box" in (tmp_path / "r" / "config.yaml").read_text()


def test_a_file_that_cannot_be_read_is_left_to_hydra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hardware").mkdir()
    monkeypatch.setattr("search.inputs.own_cluster.conf_dir", lambda: tmp_path)
    for content in (b"cluster: [a", b"\xff\xfe", b"- 1", b"defaults: 3", b"defaults: [bad]", b"cluster: {a: 1}"):
        (tmp_path / "hardware" / "bad.yaml").write_bytes(content)
        assert own_cluster("bad") == FALLBACK
    assert own_cluster("absent") == own_cluster(None) == FALLBACK


def said(*overrides: str) -> tuple[str, ...]:
    config = composed(overrides)
    accelerator = read_hardware(config.hardware)
    return foreign(config, accelerator, read_cluster(config.cluster, accelerator.link_bytes_per_s))


def test_another_vendors_cluster_is_remarked_upon() -> None:
    (line,) = said("hardware=mi300x", "cluster=hgx8_400g")
    assert "built with NVIDIA accelerators" in line
    assert line.endswith("is AMD's; cluster=mi300_8 is its own")
    (line,) = said("hardware=h200_sxm", "cluster=worked_case")
    assert "is an invented one" in line
    assert said("hardware=mi300x") == said("hardware=mi300x", "cluster=single8") == said() == ()
    assert said("+experiment=qwen3_235b", "cluster=hgx8_400g") == ()  # nobody's accelerator


def test_the_run_warns_and_the_plan_lists_it(search, tmp_path):
    small = ("model=qwen3_0_6b", "space.gpus=[1]", "space.batch=[8]", "strategy=exact", "sensitivity=none")
    code, _, err = search("hardware=mi300x", "cluster=hgx8_400g", *small, "hydra.run.dir=r")
    assert code == 0
    assert err.splitlines() == [line for line in err.splitlines() if line.startswith("warning: cluster 'HGX")]
    assert "built with NVIDIA accelerators" in (tmp_path / "r" / "plan.md").read_text()
