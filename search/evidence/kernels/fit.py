"""``python -m search.evidence.kernels.fit --data FOLDER [--out conf/law]``: a law's constants and their errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from costmodel.laws.shaped import PARTS
from search.evidence.kernels import comm, imbalance
from search.evidence.kernels.cases import Cases
from search.evidence.kernels.datasheets import DATASHEETS
from search.evidence.kernels.fitting import (
    LAWS,
    ROWS_IN_A_FIT,
    Constants,
    errors,
    fit_all,
    kept,
    only,
    read_classes,
    split,
)

ORIGIN = "kernel tables shipped with AIConfigurator 0.12 (Apache-2.0)"
BY = ["class", "dtype", "accelerator"]
Classes = dict[str, list[Cases]]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m search.evidence.kernels.fit", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the kernels_*.csv.gz tables")
    parser.add_argument("--out", type=Path, help="folder to write <name>.yaml into (default: print only)")
    args = parser.parse_args(argv)
    if not args.data.is_dir():
        print(f"error: --data {args.data} is not a folder", file=sys.stderr)
        return 2
    pd.set_option("display.width", 160, "display.max_rows", 400, "display.max_colwidth", 60)

    raw = read_classes(args.data)
    everything: Classes = {cls: split(cases) for cls, cases in raw.items()}
    good: Classes = {cls: split(kept(cases)) for cls, cases in raw.items()}
    laws = {"class_default": fit_all(good)}
    for name in DATASHEETS:
        laws[f"measured_{name}"] = fit_all(_of(good, name))

    own = _errors({n: laws[f"measured_{n}"] for n in DATASHEETS}, good)
    outside = _errors({n: fit_all(_without(good, n)) for n in DATASHEETS}, good)
    pooled = _errors(dict.fromkeys(DATASHEETS, laws["class_default"]), everything)
    inside = pooled[pooled["left_out"] == ""]

    print("\nMedian |predicted / measured - 1|; bias: median of predicted / measured - 1")
    print(summary(own, inside, outside).to_string())
    print(f"\nBy framework, left-one-accelerator-out\n{_medians(outside, ['class', 'framework', 'accelerator'])}")
    left = pooled[pooled["left_out"] != ""]
    print(f"\nRows left out, under class_default\n{_medians(left, ['class', 'left_out']).to_string()}")
    print(f"\nAll rows, under class_default\n{_medians(pooled, ['class'])}")
    calls = comm.read(args.data)
    links = comm.table(calls)
    print(f"\nCollectives (left_out_median: constants of the other accelerators)\n{links.to_string(index=False)}")
    print(f"\nAll-reduce kernels, latencies over custom's\n{comm.fit_kernels(calls)}")
    print(f"\nExpert imbalance\n{imbalance.table(everything['experts'], laws['class_default']).round(2)}")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, constants in laws.items():
            measured = inside if name == "class_default" else own[own["accelerator"] == name.removeprefix("measured_")]
            (args.out / f"{name}.yaml").write_text(document(name, constants, measured, outside))
    return 0


def _of(classes: Classes, name: str) -> Classes:
    return {cls: only(cases, lambda n: n == name) for cls, cases in classes.items()}


def _without(classes: Classes, name: str) -> Classes:
    return {cls: only(cases, lambda n: n != name) for cls, cases in classes.items()}


def _errors(laws: dict[str, Constants], classes: Classes) -> pd.DataFrame:
    """Every call of every accelerator, predicted by the law given for that accelerator."""
    tables = [
        errors(cls, law, here)
        for name, law in laws.items()
        for cls, cases in _of(classes, name).items()
        if (here := cases)
    ]
    return pd.concat(tables, ignore_index=True)


def _medians(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    grouped = table.assign(size=table["error"].abs()).groupby(by)
    out = grouped.agg(
        rows=("size", "count"), median=("size", "median"), mean=("size", "mean"), bias=("error", "median")
    )
    return out.round(3)


def summary(own: pd.DataFrame, inside: pd.DataFrame, outside: pd.DataFrame) -> pd.DataFrame:
    """Per class, dtype and accelerator: the accelerator's own fit, the pooled fit, and the fit on the other two."""
    out = _medians(outside, BY)[["rows", "median", "bias"]].rename(
        columns={"median": "left out", "bias": "left out bias"}
    )
    out.insert(1, "own fit", _medians(own, BY)["median"])
    out.insert(2, "pooled fit", _medians(inside, BY)["median"])
    return out


def document(name: str, constants: Constants, table: pd.DataFrame, outside: pd.DataFrame) -> str:
    """The YAML of one law: every constant, and what each group of them was fitted on."""
    scope = "all three accelerators" if name == "class_default" else name.removeprefix("measured_")
    sources: dict[str, Any] = {
        "rates": f"fitted together with gemm on {scope}",
        "scan": "assumption: no table measures scans",
        "elementwise": "assumption: one short kernel inside a CUDA graph",
    }
    for cls in LAWS:
        rows = table[table["class"] == cls]
        sources[cls] = {
            "fitted_on": f"{scope}: {ORIGIN}",
            "kernels": sorted(rows["kernel"].unique().tolist()),
            "rows": len(rows),
            "rows_in_fit": min(len(rows), ROWS_IN_A_FIT),
            "median_error": round(float(rows["error"].abs().median()), 3),
        }
        if name == "class_default":
            unseen = outside[outside["class"] == cls]["error"].abs().median()
            sources[cls]["median_error_accelerator_left_out"] = round(float(unseen), 3)
    rounded = {part: {k: float(f"{v:.4g}") for k, v in constants[part].items()} for part in PARTS}
    head = "# Written by `python -m search.evidence.kernels.fit`; formulas, units and limits: docs/laws.md\n"
    body = {"name": name, "kind": "shaped", "constants": rounded, "sources": sources}
    return head + str(yaml.safe_dump(body, sort_keys=False, width=118))


if __name__ == "__main__":
    sys.exit(main())
