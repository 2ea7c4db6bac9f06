"""The files that a measurement leaves: a law, an accelerator, a cluster's inner tier, raw timings. No torch here."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from costmodel.hardware import Accelerator
from search.base.errors import InputError
from search.base.escape import csv_cell
from search.base.whole_file import put_all
from search.commands.measure.fit import QUANTISING, Fitted
from search.commands.measure.records import Timing

HEAD = "# Written by `python -m search measure`; {}\n"


@dataclass(frozen=True)
class Provenance:
    """Whose figures these are. ``given``: what the user stated (``peak_flops_bf16`` ...), not measured; ``settings``:
    the grid; ``left_out``: cases not measured, by reason."""

    name: str
    device: str
    vendor: str
    torch: str
    date: str
    settings: str
    given: frozenset[str] = frozenset()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def measured(self, what: str) -> str:
        return f"measured: {what} on {self.device}, torch {self.torch}, {self.date}"

    def source(self, key: str, what: str) -> str:
        return "given by the user on the command line" if key in self.given else self.measured(f"maximum of {what}")


def law_document(by: Provenance, fitted: Fitted, chip: Accelerator, links: Mapping[str, Mapping[str, float]]) -> str:
    """The YAML of one law, in the form of ``conf/law``."""
    dropped = {f"{part}.{name}" for part, name in fitted.undetermined}
    sources: dict[str, Any] = {
        "measurement": {
            "device": by.device,
            "torch": by.torch,
            "date": by.date,
            "settings": by.settings,
            "peak_flops": {k: float(f"{v:.4g}") for k, v in chip.peak_flops.items()},
            "memory_bytes_per_s": float(f"{chip.memory_bytes_per_s:.4g}"),
            "shares_are_of": by.source("memory_bytes_per_s", "streams") + " (bandwidth); "
            + by.source("peak_flops_bf16", "products") + " (bf16 peak)",
        },
    }  # fmt: skip
    if by.left_out:
        sources["measurement"]["cases_left_out"] = dict(by.left_out)
    together = "fitted together with gemm and elementwise" if "gemm" in fitted.reports else "class_default"
    sources["rates"] = together + ("" if halved(fitted) else "; halving_share: class_default")
    for part, values in fitted.constants.items():
        report = fitted.reports.get(part)
        if part == "rates":
            continue
        if report is None:
            shared = "; peak_share: as gemm" if part == "experts" and "gemm" in fitted.reports else ""
            sources[part] = "class_default: not measured, or on too few calls" + shared
            continue
        sources[part] = {
            "fitted_on": f"{by.device}: own measurement",
            "kernels": report.kernels,
            "dtypes": report.dtypes,
            "rows": report.rows,
            "rows_in_fit": report.rows,
            "median_error": round(report.median_error, 3),
            "median_error_left_out": round(report.left_out_error, 3),
        }
        kept = unfitted(fitted, part) + sorted(n for n in values if f"{part}.{n}" in dropped)
        if kept:
            sources[part]["from_class_default"] = kept
    sources["undetermined"] = sorted(dropped)
    sources["at_limit"] = sorted(f"{part}.{name}" for part, name in fitted.at_limit)
    if links:
        sources["collectives"] = {kind: _rounded(found) for kind, found in links.items()}
    body = {
        "name": by.name,
        "kind": "shaped",
        "constants": _constants(fitted),
        "sources": sources,
    }
    return HEAD.format("formulas, units and limits: docs/laws.md") + _dump(body)


def _constants(fitted: Fitted) -> dict[str, Any]:
    return {part: _rounded(values) for part, values in fitted.constants.items()}


def unfitted(fitted: Fitted, part: str) -> list[str]:
    """Constants of a fitted part that no measurement here concerns."""
    never = {"prefill": ["io_passes"], "elementwise": ["peak_share"]}.get(part, [])
    return never + (list(QUANTISING) if part == "gemm" and not halved(fitted) else [])


def halved(fitted: Fitted) -> bool:
    """Whether products in one byte were measured."""
    return "gemm" in fitted.reports and bool({"fp8", "int8"} & set(fitted.reports["gemm"].dtypes))


def hardware_document(by: Provenance, fitted: Fitted, chip: Accelerator, cluster: str | None) -> str:
    """The YAML of one accelerator, in the form of ``conf/hardware``, with its law's constants; what a person must add
    is null and says so. ``cluster``: the file beside it that holds the measured links."""
    sources = {
        "memory_bytes": by.measured("the device's total memory as torch reports it"),
        "datasheet_memory_bytes": "unknown: put the printed figure here",
        "memory_bytes_per_s": by.source("memory_bytes_per_s", "large copies and additions"),
    }
    for dtype in chip.peak_flops:
        sources[f"peak_flops_{dtype}"] = by.source(f"peak_flops_{dtype}", "matrix products")
    link = by.source("link_bytes_per_s", "collectives, as the fit extrapolates them to long messages")
    sources["link_bytes_per_s"] = link if chip.link_bytes_per_s else "unknown: not measured, put the datasheet's here"
    sources["power_w"] = "unknown: put the board's power limit here"
    sources["price_per_hour"] = "unknown: put a price with its date here"
    sources["efficiency_law"] = by.measured("fit")
    body = {
        "name": by.device,
        "vendor": by.vendor,
        "aliases": [by.name],
        "memory_bytes": int(chip.memory_bytes),
        "datasheet_memory_bytes": None,
        "memory_bytes_per_s": float(f"{chip.memory_bytes_per_s:.5g}"),
        "peak_flops": {dtype: float(f"{peak:.5g}") for dtype, peak in chip.peak_flops.items()},
        "link_bytes_per_s": float(f"{chip.link_bytes_per_s:.5g}") if chip.link_bytes_per_s else None,
        "cluster": cluster,
        "power_w": None,
        "price_per_hour": None,
        "price_as_of": None,
        "efficiency": {"law": by.name, "constants": _constants(fitted)},
        "sources": sources,
    }
    return HEAD.format("keys and units: docs/hardware.md") + _dump(body)


def cluster_document(by: Provenance, chip: Accelerator, links: Mapping[str, Mapping[str, float]], ranks: int) -> str:
    """The YAML of a cluster of one tier: the ranks that took part. Its constants are those of the all-reduce."""
    reduce = links["all_reduce"]
    share = min(1.0, reduce["bytes_per_s"] / chip.link_bytes_per_s) if chip.link_bytes_per_s else 1.0
    fit = by.measured(f"all-reduce among {ranks} ranks, {reduce['rows']:.0f} sizes")
    tier = {
        "name": "node",
        "size": ranks,
        "latency_s": float(f"{reduce['latency_s']:.4g}"),
        "bytes_per_s": None,
        "efficiency": float(f"{share:.4g}"),
        "oversubscription": 1.0,
        "source": {
            "size": "the ranks that took part",
            "latency_s": fit,
            "bytes_per_s": "the accelerator's own link_bytes_per_s",
            "efficiency": fit,
            "oversubscription": "not measured: one node",
        },
    }
    body = {"name": f"{ranks} of {by.device}", "source": by.measured("collectives"), "tiers": [tier]}
    return HEAD.format("keys and units: docs/hardware.md") + _dump(body)


def timings_table(rows: Sequence[Timing]) -> str:
    """CSV, one line a call; the columns are the fields of ``Timing``."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [f.name for f in fields(Timing)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = asdict(row) | {"seconds": f"{row.seconds:.6g}", "spread": f"{row.spread:.3g}"}
        writer.writerow({name: csv_cell(value) for name, value in cells.items()})
    return out.getvalue()


def write_all(documents: Mapping[Path, str]) -> None:
    """All files, or none; their folders are made."""
    try:
        for path in documents:
            path.parent.mkdir(parents=True, exist_ok=True)
        put_all(documents)
    except OSError as error:
        raise InputError(f"measure: {error.filename}: {error.strerror}") from error


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {key: float(f"{value:.4g}") for key, value in values.items()}


def _dump(body: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(body, sort_keys=False, width=118))
