"""Errors of predictions, printed as docs/fidelity.md has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from costmodel.plans import Array
from search.evidence.measured.families import option, ranking, regret
from search.evidence.measured.grouped import Figures, Read, measured
from search.evidence.measured.interval_fit import NAMES, labels_of
from search.evidence.measured.pools import Pool


def show(title: str, read: Read, found: Figures) -> None:
    """Mean, median and bias of the errors by family, over rows and over families."""
    actual = measured(read, found.places)
    figures = (found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu)
    labels = labels_of(read, found)
    print(f"\n{title}: absolute error, mean (median) [bias]")
    means: list[list[float]] = []
    for label in sorted(set(labels.tolist())):
        rows = labels == label
        errors = [p[rows] / a[rows] - 1.0 for p, a in zip(figures, actual, strict=True)]
        means.append([float(np.nanmean(np.abs(e))) for e in errors])
        cells = "  ".join(
            f"{n} {np.nanmean(np.abs(e)):.1%} ({np.nanmedian(np.abs(e)):.1%}) [{np.nanmedian(e):+.1%}]"
            for n, e in zip(NAMES.values(), errors, strict=True)
        )
        print(f"  {label:85s} {int(rows.sum()):4d}  {cells}")
    errors = [np.abs(p / a - 1.0) for p, a in zip(figures, actual, strict=True)]
    rows_text = "  ".join(
        f"{n} {np.nanmean(e):.1%} ({np.nanmedian(e):.1%})" for n, e in zip(NAMES.values(), errors, strict=True)
    )
    family_text = "  ".join(f"{n} {m:.1%}" for n, m in zip(NAMES.values(), np.mean(means, axis=0), strict=True))
    print(f"  mean over rows: {rows_text}\n  mean over families: {family_text}")
    life = np.abs(_life(read, found, found.ttft_s, found.tpot_s) / _life(read, found, actual[0], actual[1]) - 1.0)
    print(f"  life of a request: {np.nanmean(life):.1%} ({np.nanmedian(life):.1%})")
    for number in range(2):
        names = np.array([(read.cases[i].engine, read.cases[i].hardware)[number] for i in found.places])
        for name in sorted(set(names.tolist())):
            rows = names == name
            cells = "  ".join(
                f"{n} {np.nanmean(e[rows]):.1%} ({np.nanmedian(e[rows]):.1%})"
                for n, e in zip(NAMES.values(), errors, strict=True)
            )
            print(f"  {name:12s} {int(rows.sum()):4d}  {cells}  life {np.nanmedian(life[rows]):.1%} in median")
    print()


def _life(read: Read, found: Figures, ttft_s: Array, tpot_s: Array) -> Array:
    """Seconds from a request's arrival to its last token, by the row's own lengths."""
    decodes = np.array([read.rows[i].osl - 1.0 for i in found.places])
    return ttft_s + decodes * tpot_s


def show_rows_of(title: str, read: Read, found: Figures, ids: set[str]) -> None:
    """Mean errors and choices over the rows that another program predicts, to stand beside its own."""
    inside = np.array([read.rows[i].id in ids for i in found.places], dtype=np.bool_)
    kept = found.only(inside)
    figures = (kept.ttft_s, kept.tpot_s, kept.tokens_per_s_per_gpu)
    errors = [np.abs(p / a - 1.0) for p, a in zip(figures, measured(read, kept.places), strict=True)]
    text = "  ".join(f"{n} {np.nanmean(e):.1%}" for n, e in zip(NAMES.values(), errors, strict=True))
    print(f"{title}: {len(kept.places)} rows  {text}")
    show_choices(title, read, kept)


def show_pools(pools: Sequence[Pool]) -> None:
    """Errors of the decode steps of disaggregated pools, by engine, accelerator and how many nodes they take."""
    groups: dict[str, list[float]] = {}
    for pool in pools:
        nodes = -(-pool.row.gpus // pool.case.scenario.cluster.node_size)
        where = "one node" if nodes == 1 else f"{nodes} nodes"
        name = f"{pool.case.engine} on {pool.case.hardware}, {where}"
        groups.setdefault(name, []).append(pool.token_s / (pool.row.tpot_s or np.nan) - 1.0)
    for name, errors in sorted(groups.items()):
        print(
            f"decode pools, {name}: {len(errors)} rows  TPOT {np.mean(np.abs(errors)):.1%} "
            f"({np.median(np.abs(errors)):.1%}) [{np.median(errors):+.1%}]"
        )


def show_choices(title: str, read: Read, found: Figures) -> None:
    """Rank correlation and regret of the choices that predictions make (``search.evidence.measured.families``)."""
    predicted = zip(found.places, found.tpot_s.tolist(), found.tokens_per_s_per_gpu.tolist(), strict=True)
    rows = [row for i, tpot, speed in predicted if (row := option(read.rows[i], tpot, speed)) is not None]
    order, taken = ranking(rows), regret(rows)
    print(
        f"choices, {title}: rank correlation {order.mean:.3f}; mean loss {taken.loss:.1%} over {taken.decisions} "
        f"decisions, limits kept {taken.kept:.1%}, within 5 % {taken.nearly_kept:.1%}"
    )
