"""Collectives among the accelerators of one node, with torch.distributed (nccl, hccl, xccl; gloo on the CPU).

``measure`` starts the ranks itself, or takes part where ``torchrun`` has started them. Method: warm-up, a barrier, then
a block of collectives between two synchronisations by the host's clock; a sample is the slowest rank's, the result the
median of the samples. They are launched one by one, not from a graph, so small messages include the host's launch.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from costmodel.collectives import PASSES
from search.base.errors import InputError
from search.commands.measure.device import BACKENDS, import_torch
from search.commands.measure.records import Timing, column

SIZES = tuple(1 << power for power in range(14, 27, 2))  # bytes of ``Message``: 16 KiB to 64 MiB
QUICK_SIZES = tuple(1 << power for power in range(14, 23, 2))
COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")
SAMPLES = 7
RANK = "search.commands.measure.rank"
LIMIT_S = 600.0  # for all ranks together


def under_torchrun() -> bool:
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def check_one_node() -> None:
    """``InputError`` where torchrun spans several nodes: a tier is measured by itself."""
    world, local = (int(os.environ.get(key, "1")) for key in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world != local:
        raise InputError(f"measure: torchrun spans several nodes ({world} ranks, {local} here); measure one node")


def measure(kind: str, ranks: int, quick: bool) -> list[Timing]:
    """Start ``ranks`` processes of ``RANK`` and return what rank 0 measured; ``InputError`` if one of them fails."""
    with tempfile.TemporaryDirectory(prefix="servefront-measure-") as folder:
        out = Path(folder) / "rows.json"
        base = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1"}
        if kind == "cpu" and sys.platform == "linux":
            base["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
        processes = []
        for rank in range(ranks):
            command = [sys.executable, "-m", RANK, kind, str(int(quick)), f"file://{folder}/store", str(out)]
            environment = os.environ | base | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            with open(Path(folder) / f"errors{rank}", "wb") as errors:
                # Its input is a pipe that this process alone holds: it ends when this process does, however that ends.
                processes.append(
                    subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=errors, stderr=errors)
                )
        _wait(processes, Path(folder))
        return [Timing(**row) for row in json.loads(out.read_text())]


def _wait(processes: Sequence[subprocess.Popen[bytes]], folder: Path) -> None:
    """Until all have ended; the first to fail ends the others."""
    end = time.monotonic() + LIMIT_S
    failed: str | None = None
    try:
        while failed is None and any(p.poll() is None for p in processes):
            time.sleep(0.05)
            if time.monotonic() > end:
                failed = f"the ranks did not finish within {LIMIT_S:g} s"
            for rank, process in enumerate(processes):
                if process.poll():
                    said = (folder / f"errors{rank}").read_text(errors="replace").strip().splitlines()
                    failed = f"rank {rank} failed: {said[-1] if said else process.returncode}"
                    break
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
    for rank, process in enumerate(processes):
        if failed is None and process.returncode:
            failed = f"rank {rank} failed with exit code {process.returncode}"
    if failed is not None:
        raise InputError(f"--ranks {len(processes)}: {failed}")


def take_part(kind: str, quick: bool, init: str = "env://") -> list[Timing]:
    """This process's part as rank ``RANK`` of ``WORLD_SIZE``. Every rank gets the same rows."""
    torch = import_torch()
    if kind == "npu":
        importlib.import_module("torch_npu")
    rank, ways = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    module = None if kind == "cpu" else getattr(torch, kind)
    place = kind
    if module is not None:
        local = int(os.environ.get("LOCAL_RANK", rank))
        module.set_device(local)
        place = f"{kind}:{local}"
    else:
        torch.set_num_threads(1)
    group = torch.distributed
    group.init_process_group(BACKENDS[kind], init_method=init, rank=rank, world_size=ways)
    try:
        rows = []
        for name in COLLECTIVES:
            for size in QUICK_SIZES if quick else SIZES:
                seconds, spread = _time(torch, place, module, name, size, ways)
                if seconds is None:  # this backend lacks the collective: all ranks see that
                    break
                kernel = f"torch.distributed {BACKENDS[kind]}"
                rows.append(Timing(name, kernel, "bf16", seconds, spread, SAMPLES, bytes=size, ways=ways))
        return rows
    finally:
        group.destroy_process_group()


def _time(torch: Any, place: str, module: Any, name: str, size: int, ways: int) -> tuple[float | None, float]:
    """Median seconds and spread of one collective of ``size`` bytes (of ``Message``) in bf16; None: not supported."""
    group = torch.distributed
    count = size // 2 // ways * ways
    whole = torch.zeros(count, dtype=torch.bfloat16, device=place)
    part = torch.zeros(count // ways, dtype=torch.bfloat16, device=place)
    other = torch.zeros_like(whole)
    # torch 2.13 renamed two of them.
    gather = getattr(group, "all_gather_single", None) or group.all_gather_into_tensor
    scatter = getattr(group, "reduce_scatter_single", None) or group.reduce_scatter_tensor
    calls: dict[str, Callable[[], object]] = {
        "all_reduce": lambda: group.all_reduce(whole),
        "all_gather": lambda: gather(whole, part),
        "reduce_scatter": lambda: scatter(part, whole),
        "all_to_all": lambda: group.all_to_all_single(other, whole),
    }
    call = calls[name]
    synchronize = (lambda: None) if module is None else module.synchronize
    try:
        for _ in range(3):
            call()
        synchronize()
    except RuntimeError:
        return None, 0.0
    inner = 20 if size <= 1 << 20 else 5
    samples = torch.zeros(SAMPLES, dtype=torch.float32, device=place)
    for i in range(SAMPLES):
        group.barrier()
        synchronize()
        begin = time.perf_counter()
        for _ in range(inner):
            call()
        synchronize()
        samples[i] = (time.perf_counter() - begin) / inner
    group.all_reduce(samples, op=group.ReduceOp.MAX)
    low, middle, high = np.percentile(samples.cpu().numpy().astype(float), [25, 50, 75])
    return float(middle), float((high - low) / middle)


def predict(rows: Sequence[Timing], latency_s: float, bytes_per_s: float) -> np.ndarray:
    """Seconds in the form of ``costmodel.collectives``: passes (latency_s + (ways - 1) / ways bytes / bytes_per_s)."""
    passes = np.array([PASSES.get(row.kind, 1.0) for row in rows])
    carried = (1.0 - 1.0 / column(rows, "ways")) * column(rows, "bytes")
    seconds: np.ndarray = passes * (latency_s + carried / bytes_per_s)
    return seconds


def fit(rows: Sequence[Timing]) -> dict[str, dict[str, float]]:
    """By collective: ``latency_s`` a pass, ``bytes_per_s`` a rank and direction, ``median_error``, ``rows``."""
    found = {}
    for kind in COLLECTIVES:
        here = [row for row in rows if row.kind == kind]
        if len(here) < 3:
            continue
        target = np.log(column(here, "seconds"))
        fastest = float((column(here, "bytes") / column(here, "seconds")).max())
        start = np.log([column(here, "seconds").min() / 2, fastest])

        def off(x: np.ndarray, here: list[Timing] = here, target: np.ndarray = target) -> np.ndarray:
            return np.asarray(np.log(predict(here, *np.exp(x))) - target)

        latency_s, rate = np.exp(least_squares(off, start, loss="soft_l1", f_scale=0.1).x)
        error = float(np.median(np.abs(np.exp(off(np.log([latency_s, rate]))) - 1.0)))
        found[kind] = {
            "latency_s": float(latency_s),
            "bytes_per_s": float(rate),
            "median_error": error,
            "rows": float(len(here)),
        }
    return found


def run_rank(arguments: list[str]) -> None:
    """What ``measure`` starts, in a process of its own."""
    kind, quick, init, out = arguments
    rows = take_part(kind, quick == "1", init)
    if os.environ["RANK"] == "0":
        Path(out).write_text(json.dumps([asdict(row) for row in rows]))
