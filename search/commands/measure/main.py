"""``servefront measure``: measure, fit, write.

Exit 0; 2 with one line if some input, torch or the device cannot be used. Files appear whole and all
at the end.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from search.base.errors import InputError
from search.base.paths import conf_dir
from search.commands.measure import options as command_line
from search.commands.measure.device import Device, open_device
from search.commands.measure.options import Options

if TYPE_CHECKING:
    from costmodel.hardware import Accelerator
    from search.commands.measure.fit import Fitted
    from search.commands.measure.records import Timing

AUTOMATIC = {"cpu": ("bf16",), "npu": ("bf16", "int8")}  # dtypes tried where none are given
ELSEWHERE = ("bf16", "fp8")
MOST_S = {True: 0.05, False: 0.5}  # of a single call, by --quick


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    try:
        return measure(command_line.parse(argv))
    except InputError as error:
        from search.commands.search import fail

        return fail(str(error), InputError.exit_code)


def measure(options: Options) -> int:
    """All of it; ranks above 0 under torchrun only take part in the collectives."""
    from search.commands.measure import collectives

    torchrun = collectives.under_torchrun()
    if torchrun:
        collectives.check_one_node()
    if torchrun and os.environ["RANK"] != "0":
        collectives.take_part(options.device, options.quick)
        return 0
    device = open_device(options.device, options.half)
    dtypes = available(device, options.dtypes)
    say(f"{device.name}, torch {device.torch.__version__}, {', '.join(dtypes)}{', quick' if options.quick else ''}")
    links: list[Timing] = []
    ranks = int(os.environ["WORLD_SIZE"]) if torchrun else options.ranks
    if torchrun:
        links = collectives.take_part(options.device, options.quick)
    elif ranks:
        check_ranks(device, ranks)
        links = collectives.measure(options.device, ranks, options.quick)
    if links:
        say(f"collectives: {len(links)} timings among {ranks} ranks")
    rows, left_out = measure_kernels(device, dtypes, options.quick)
    say("fitting")
    write(options, device, rows, links, left_out, ranks)
    return 0


def available(device: Device, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """The dtypes to measure; those asked for must work, the automatic ones may be missing."""
    from search.commands.measure import gemm

    found = []
    for dtype in wanted or AUTOMATIC.get(device.kind, ELSEWHERE):
        reason = gemm.lacking(device, dtype)
        if reason is None:
            found.append(dtype)
        elif wanted or dtype == "bf16":
            raise InputError(f"--dtypes: {dtype} products do not run on {device.name}: {reason}")
        else:
            say(f"{dtype}: not measured, its products do not run here ({reason})")
    return tuple(found)


def check_ranks(device: Device, ranks: int) -> None:
    if not device.torch.distributed.is_available():
        raise InputError(f"--ranks {ranks}: this torch was built without torch.distributed")
    if device.module is not None and ranks > device.module.device_count():
        raise InputError(f"--ranks: {ranks} is not allowed; {device.module.device_count()} devices are here")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if device.module is None and ranks > max(2, cores):
        raise InputError(f"--ranks: {ranks} is not allowed; the CPU's ranks take a core each, and {cores} are here")


def measure_kernels(device: Device, dtypes: tuple[str, ...], quick: bool) -> tuple[list[Timing], Mapping[str, int]]:
    """Timings of products, attention and streams, and the number of cases left out by reason."""
    from search.commands.measure import attention, bench, gemm, memory, timing

    pace = bench.Pace(timing.QUICK if quick else timing.FULL, MOST_S[quick])
    rows: list[Timing] = []
    for name, cases in (
        ("memory", memory.cases(quick)),
        ("gemm", gemm.cases(dtypes, quick)),
        ("attention of prompts", attention.prefill_cases(quick)),
        ("attention of decodes", attention.decode_cases(quick)),
    ):
        here = bench.run(device, cases, pace)
        say(f"{name}: {len(here)} of {len(cases)} cases timed")
        rows += here
    left_out: Counter[str] = pace.left_out
    for reason, count in left_out.items():
        say(f"left out: {count} x {reason}")
    if not any(row.kind == "gemm" and row.dtype == "bf16" for row in rows):
        raise InputError("measure: no 16-bit product could be timed, so there is no law to fit")
    if not any(row.kind == "elementwise" for row in rows):
        raise InputError("measure: no copy could be timed, so there is no bandwidth to refer to")
    return rows, left_out


def write(
    options: Options, device: Device, rows: Sequence[Timing], links: Sequence[Timing], left_out: Mapping[str, int],
    ranks: int,
) -> None:  # fmt: skip
    """Fit and write every file that was asked for."""
    from search.commands.measure import collectives
    from search.commands.measure.fit import fit
    from search.commands.measure.write import (
        Provenance,
        cluster_document,
        hardware_document,
        law_document,
        timings_table,
        write_all,
    )

    found_links = collectives.fit(links)
    chip, given = accelerator(options, device, rows, found_links)
    fitted = fit(rows, chip, class_default())
    by = Provenance(
        options.name, device.name, device.vendor, str(device.torch.__version__), f"{datetime.now(UTC):%Y-%m-%d}",
        f"{'quick' if options.quick else 'full'} grid on {device.kind}, 16-bit type {options.half}",
        given, left_out,
    )  # fmt: skip
    documents: dict[Path, str] = {}
    law = law_document(by, fitted, chip, found_links)
    linked = "all_reduce" in found_links
    hardware = hardware_document(by, fitted, chip, options.name if options.folder and linked else None)
    if options.law:
        documents[options.law] = law
    if options.hardware:
        documents[options.hardware] = hardware
    if options.folder:
        documents[options.folder / "law" / f"{options.name}.yaml"] = law
        documents[options.folder / "hardware" / f"{options.name}.yaml"] = hardware
        if linked:
            text = cluster_document(by, chip, found_links, ranks)
            documents[options.folder / "cluster" / f"{options.name}.yaml"] = text
    if options.timings:
        documents[options.timings] = timings_table([*rows, *links])
    write_all(documents)
    summarise(fitted, chip, documents)


def accelerator(
    options: Options, device: Device, rows: Sequence[Timing], links: Mapping[str, Mapping[str, float]]
) -> tuple[Accelerator, frozenset[str]]:
    """The accelerator whose peaks the law's shares refer to, and which of its figures the user gave."""
    from costmodel.hardware import Accelerator
    from search.commands.measure import memory

    best: dict[str, float] = {}
    for row in rows:
        if row.kind == "gemm":
            rate = 2.0 * row.m * row.n * row.k / row.seconds
            best[row.dtype] = max(best.get(row.dtype, 0.0), rate)
    for dtype, rate in best.items():
        if rate > 1.02 * options.peaks.get(dtype, rate):
            say(f"warning: {dtype} products reached {rate:.3g} FLOP/s, above the peak given")
    stream = memory.bandwidth(rows)
    if options.bandwidth and stream > 1.02 * options.bandwidth:
        say(f"warning: a stream reached {stream:.3g} bytes/s, above the bandwidth given")
    link = options.link or max((found["bytes_per_s"] for found in links.values()), default=None)
    given = {f"peak_flops_{dtype}" for dtype in options.peaks}
    given |= {"memory_bytes_per_s"} if options.bandwidth else set()
    given |= {"link_bytes_per_s"} if options.link else set()
    chip = Accelerator(
        device.name, device.memory_bytes, options.bandwidth or stream, {**best, **options.peaks}, link
    )  # fmt: skip
    return chip, frozenset(given)


def class_default() -> dict[str, dict[str, float]]:
    """The constants of ``conf/law/class_default.yaml``, checked."""
    import yaml

    from costmodel.laws import ShapedLaw

    loaded = yaml.safe_load((conf_dir() / "law" / "class_default.yaml").read_text(encoding="utf-8"))
    ShapedLaw.from_constants(loaded["name"], loaded["constants"])
    return {part: {name: float(v) for name, v in values.items()} for part, values in loaded["constants"].items()}


def summarise(fitted: Fitted, chip: Accelerator, documents: Mapping[Path, str]) -> None:
    """What was found, on standard output."""
    print(f"bandwidth {chip.memory_bytes_per_s:.3g} bytes/s; peaks FLOP/s: ", end="")
    print(", ".join(f"{dtype} {peak:.3g}" for dtype, peak in chip.peak_flops.items()))
    for kind, report in fitted.reports.items():
        print(f"{kind:<12} {report.rows:>4} timings, median error {report.median_error:.1%}", end="")
        print(f", of timings left out of their own fit {report.left_out_error:.1%}")
    for label, keys in (("not determined (class default)", fitted.undetermined), ("at a limit", fitted.at_limit)):
        if keys:
            print(f"{label}: {', '.join(f'{part}.{name}' for part, name in sorted(keys))}")
    for path in documents:
        print(f"wrote {path}")


def say(text: str) -> None:
    print(f"measure: {text}", file=sys.stderr, flush=True)
