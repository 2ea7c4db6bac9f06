"""The accelerator and cluster catalog: files whole, numbers positive and sourced, spellings resolvable."""

from __future__ import annotations

import csv
import itertools
import math
import os
from pathlib import Path

import pytest
import yaml

from search.inputs.efficiency_laws import read_law
from search.inputs.hardware_catalog import find_hardware

CONF = Path(__file__).parents[2] / "conf"
HARDWARE = {path.stem: path for path in sorted((CONF / "hardware").glob("*.yaml"))}
CLUSTERS = {path.stem: path for path in sorted((CONF / "cluster").glob("*.yaml"))}

HARDWARE_KEYS = {
    "name", "vendor", "aliases", "memory_bytes", "datasheet_memory_bytes", "memory_bytes_per_s", "peak_flops",
    "link_bytes_per_s", "cluster", "power_w", "price_per_hour", "price_as_of", "efficiency", "sources",
}  # fmt: skip
SCALARS = (
    "memory_bytes", "datasheet_memory_bytes", "memory_bytes_per_s", "link_bytes_per_s", "power_w", "price_per_hour",
)  # fmt: skip
MAY_BE_NULL = {"link_bytes_per_s", "power_w", "price_per_hour"}
DTYPES = {"fp32", "bf16", "fp8", "int8", "fp4"}
TIER_KEYS = {"name", "size", "latency_s", "bytes_per_s", "efficiency", "oversubscription", "source"}

REQUIRED = [
    "worked_case_64gb",
    "a100_40gb_sxm",
    "a100_80gb_sxm",
    "a100_80gb_pcie",
    "h100_sxm",
    "h100_pcie",
    "h200_sxm",
    "h20_96gb",
    "h800",
    "gh200",
    "b200_sxm",
    "b300_sxm",
    "gb200",
    "gb300",
    "l40s",
    "rtx_pro_6000",
    "mi250x",
    "mi300x",
    "mi325x",
    "mi355x",
    "gaudi2",
    "gaudi3",
    "tpu_v5e",
    "tpu_v5p",
    "tpu_v6e",
    "tpu_v7",
    "trainium2",
    "ascend_910b",
    "ascend_910c",
]
REQUIRED_CLUSTERS = [
    "hgx8_400g",
    "hgx8_200g",
    "nvl72",
    "hccs8",
    "mi300_8",
    "pcie8",
    "tpu_torus",
    "gaudi_8",
    "trn2_16",
    "single8",
    "worked_case",
]
# Spellings of published measurements that the data files may hold.
SPELLINGS = {
    "b300_sxm": "b300_sxm", "gb200": "gb200", "gb300": "gb300", "MI325X": "mi325x", "Ascend-910B": "ascend_910b",
    "GH200": "gh200", "H20-96GB": "h20_96gb", "H800": "h800", "L40S": "l40s", "RTX-PRO-6000-BSE": "rtx_pro_6000",
    "A100-40GB-SXM?": "a100_40gb_sxm", "A100-SXM4-80GB": "a100_80gb_sxm", "H100-SXM": "h100_sxm",
    "H100-80GB": "h100_sxm",
}  # fmt: skip


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def alias_table() -> dict[str, str]:
    """Accelerator key by each alias as it is written."""
    return {alias: key for key, path in HARDWARE.items() for alias in read(path)["aliases"]}


def test_the_menu_is_complete() -> None:
    assert len(HARDWARE) >= 20
    assert set(REQUIRED) <= set(HARDWARE)
    assert set(REQUIRED_CLUSTERS) <= set(CLUSTERS)


@pytest.mark.parametrize("key", HARDWARE)
def test_accelerator_has_exactly_the_keys_and_positive_numbers(key: str) -> None:
    chip = read(HARDWARE[key])
    assert set(chip) - {"dependent_launch"} == HARDWARE_KEYS
    assert isinstance(chip.get("dependent_launch", True), bool)
    for field in SCALARS:
        if chip[field] is None:
            assert field in MAY_BE_NULL, f"{field} may not be null"
        else:
            assert is_number(chip[field]) and chip[field] > 0, field
    assert set(chip["peak_flops"]) <= DTYPES and "bf16" in chip["peak_flops"]
    assert all(is_number(peak) and peak > 0 for peak in chip["peak_flops"].values())
    assert isinstance(chip["name"], str) and isinstance(chip["vendor"], str)
    assert (chip["price_per_hour"] is None) == (chip["price_as_of"] is None), "a price has a date"


@pytest.mark.parametrize("key", HARDWARE)
def test_every_number_of_an_accelerator_has_a_source(key: str) -> None:
    chip = read(HARDWARE[key])
    numbers = {*SCALARS, *(f"peak_flops_{dtype}" for dtype in chip["peak_flops"])}
    flat = chip["efficiency"]["law"] == "flat"
    numbers |= {f"efficiency_{part}" for part in ("mfu", "bandwidth", "launch_s")} if flat else {"efficiency"}
    assert set(chip["sources"]) == numbers | ({"dependent_launch"} & set(chip))
    assert all(isinstance(source, str) and len(source) > 5 for source in chip["sources"].values())


@pytest.mark.parametrize("key", HARDWARE)
def test_accelerator_figures_are_plausible(key: str) -> None:
    chip = read(HARDWARE[key])
    peaks, efficiency = chip["peak_flops"], chip["efficiency"]
    assert peaks.get("fp8", math.inf) >= peaks["bf16"]
    assert peaks.get("fp4", math.inf) >= peaks.get("fp8", 0.0)
    assert abs(chip["memory_bytes"] / chip["datasheet_memory_bytes"] - 1) <= 0.15
    if efficiency["law"] == "flat":
        assert set(efficiency) == {"law", "mfu", "bandwidth", "launch_s"}
        assert 0 < efficiency["mfu"] <= 1 and 0 < efficiency["bandwidth"] <= 1 and efficiency["launch_s"] >= 0
    else:
        assert (CONF / "law" / f"{efficiency['law']}.yaml").is_file()
        assert set(efficiency) <= {"law", "sustained_share", "borrowed"}
        law = read_law(efficiency)
        share = law.rates.sustained_share * law.rates.halving_share  # of one-byte products
        assert 0.4 <= law.rates.sustained_share <= 1.6
        assert law.gemm.peak_share * law.rates.sustained_share <= 1
        assert max(law.gemm.peak_share, law.experts.peak_share) * share <= 1
    # A decimal slip shows here: HBM and GDDR parts move 0.5 to 10 TB/s and compute 100 TFLOP/s to 20 PFLOP/s.
    assert 0.25e12 <= chip["memory_bytes_per_s"] <= 10e12
    assert all(10e12 <= peak <= 20e15 for peak in peaks.values())
    assert 10e9 <= chip["memory_bytes"] <= 400e9


def test_an_alias_belongs_to_one_accelerator() -> None:
    owners: dict[str, set[str]] = {}
    for key, path in HARDWARE.items():
        aliases = read(path)["aliases"]
        assert key in aliases and len(aliases) == len(set(aliases)), key
        for alias in aliases:
            owners.setdefault(alias.casefold(), set()).add(key)
    assert {alias: keys for alias, keys in owners.items() if len(keys) > 1} == {}


def test_known_spellings_resolve() -> None:
    table = alias_table()
    assert {spelling: table.get(spelling) for spelling in SPELLINGS} == SPELLINGS


def test_spellings_of_the_data_files_resolve() -> None:
    folder = os.environ.get("SERVEFRONT_DATA")
    if not folder:
        pytest.skip("SERVEFRONT_DATA is unset: the spellings of the data files are not checked")
    names = set()
    for file, columns in (("silicon_dev.csv", ("system",)), ("published_dev.csv", ("hw", "hw_family"))):
        with (Path(folder) / file).open(newline="", encoding="utf-8") as lines:
            names |= {row[column] for row in csv.DictReader(lines) for column in columns}
    assert {find_hardware(name) for name in names - {""}} <= set(HARDWARE)


def test_worked_case_is_as_given() -> None:
    chip = read(HARDWARE["worked_case_64gb"])
    assert chip["memory_bytes"] == 64e9 and chip["memory_bytes_per_s"] == 1.8e12
    assert chip["peak_flops"] == dict.fromkeys(("fp32", "bf16", "fp8", "int8", "fp4"), 400e12)
    assert (chip["efficiency"]["mfu"], chip["efficiency"]["bandwidth"]) == (0.6, 0.8)


@pytest.mark.parametrize("key", CLUSTERS)
def test_cluster(key: str) -> None:
    cluster = read(CLUSTERS[key])
    assert set(cluster) - {"vendors"} == {"name", "source", "tiers"} and isinstance(cluster["source"], str)
    makers = {read(path)["vendor"] for path in HARDWARE.values()}
    assert set(cluster.get("vendors", [])) <= makers
    sizes = [tier["size"] for tier in cluster["tiers"]]
    assert sizes == sorted(set(sizes)), "tiers go from inside to outside"
    for inner, outer in itertools.pairwise(sizes):
        assert outer % inner == 0, "an outer domain is whole inner ones"
    for tier in cluster["tiers"]:
        assert set(tier) - {"switch_latency_s"} == TIER_KEYS
        assert isinstance(tier["size"], int) and tier["size"] > 0
        assert is_number(tier["latency_s"]) and 0 < tier["latency_s"] < 1e-3
        assert tier["bytes_per_s"] is None or (is_number(tier["bytes_per_s"]) and tier["bytes_per_s"] > 1e9)
        assert 0 < tier["efficiency"] <= 1 and tier["oversubscription"] >= 1
        assert set(tier["source"]) == set(tier) - {"name", "source"}
        assert 0 <= tier.get("switch_latency_s", 0.0) < 1e-3
        assert all(isinstance(source, str) and source for source in tier["source"].values())


@pytest.mark.parametrize("key", HARDWARE)
def test_an_accelerators_own_cluster_exists_and_is_its_vendors(key: str) -> None:
    chip = read(HARDWARE[key])
    own = read(CLUSTERS[chip["cluster"]])
    assert chip["vendor"] in own.get("vendors", [chip["vendor"]])
