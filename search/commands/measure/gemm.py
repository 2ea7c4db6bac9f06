"""Matrix products as the projections of a model make them: ``x [m, k]`` times a weight ``[n, k]``, transposed.

bf16, fp16 and fp32: ``torch.mm`` into a ready output. fp8 and int8: one kernel casts the 16-bit input to one byte, with
a fixed scale, and one multiplies (``torch._scaled_mm``, ``torch._int_mm``); the law's bracket is that first kernel.
Engines that scale each token or block by its maximum do more in it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from search.commands.measure.bench import Case
from search.commands.measure.device import Device
from search.commands.measure.records import ELEMENT_BYTES, Timing
from search.commands.measure.timing import Call

ROWS = (1, 4, 16, 64, 256, 1024, 4096, 16384)
MATRICES = (  # (n, k) of projections, from a rank of a small model to a whole large one
    (1024, 1024), (1024, 8192), (8192, 1024), (2048, 4096), (4096, 4096), (6144, 4096), (4096, 12288), (12288, 4096),
    (8192, 8192), (28672, 8192), (8192, 28672),
)  # fmt: skip
QUICK_ROWS = (1, 16, 128, 512)
QUICK_MATRICES = ((512, 512), (1024, 1024), (512, 4096), (4096, 512), (2048, 2048), (4096, 4096))
SMALL_INT8 = 17  # torch._int_mm wants more rows than 16
FP8_TYPES = ("float8_e4m3fn", "float8_e4m3fnuz")  # the second: AMD MI300


def cases(dtypes: tuple[str, ...], quick: bool) -> list[Case]:
    """The grid in each of the dtypes."""
    rows, matrices = (QUICK_ROWS, QUICK_MATRICES) if quick else (ROWS, MATRICES)
    return [
        _case(dtype, m, n, k)
        for dtype, m, (n, k) in product(dtypes, rows, matrices)
        if not (dtype == "int8" and m < SMALL_INT8)
    ]


def _case(dtype: str, m: int, n: int, k: int) -> Case:
    size = ELEMENT_BYTES[dtype]
    shape = Timing("gemm", KERNELS[dtype][0], dtype, m=m, n=n, k=k)
    travelling = max(2.0, size)
    return Case(
        shape, 2.0 * m * n * k, n * k * size + m * (n + k) * travelling, lambda d: KERNELS[dtype][1](d, m, n, k)
    )


def _plain(dtype_of: Callable[[Device], Any]) -> Callable[[Device, int, int, int], Call]:
    def make(device: Device, m: int, n: int, k: int) -> Call:
        dtype = dtype_of(device)
        x, weight, out = device.random(dtype, m, k), device.random(dtype, n, k).t(), device.empty(dtype, m, n)
        return lambda: device.torch.mm(x, weight, out=out)

    return make


def _fp8(device: Device, m: int, n: int, k: int) -> Call:
    torch = device.torch
    fp8 = fp8_type(device)
    x, weight = device.random(device.half, m, k), device.random(device.half, n, k).to(fp8).t()
    one = torch.ones((), device=device.kind, dtype=torch.float32)
    half = device.half
    return lambda: torch._scaled_mm(x.to(fp8), weight, scale_a=one, scale_b=one, out_dtype=half)


def _int8(device: Device, m: int, n: int, k: int) -> Call:
    torch = device.torch
    x, weight = device.random(device.half, m, k), device.random(device.half, n, k).to(torch.int8).t()
    return lambda: torch._int_mm(x.to(torch.int8), weight)


KERNELS: dict[str, tuple[str, Callable[[Device, int, int, int], Call]]] = {
    "bf16": ("torch.mm", _plain(lambda device: device.half)),
    "fp32": ("torch.mm", _plain(lambda device: device.torch.float32)),
    "fp8": ("cast and torch._scaled_mm", _fp8),
    "int8": ("cast and torch._int_mm", _int8),
}


def fp8_type(device: Device) -> Any:
    """The fp8 type that ``_scaled_mm`` takes on this device; ``RuntimeError`` if it takes none."""
    if device.fp8 is not None:
        return device.fp8
    torch = device.torch
    reason: Exception = RuntimeError("this torch has no _scaled_mm")
    for name in FP8_TYPES:
        try:
            fp8 = getattr(torch, name)
            one = torch.ones((), device=device.kind, dtype=torch.float32)
            a = torch.zeros(32, 32, device=device.kind, dtype=device.half).to(fp8)
            torch._scaled_mm(a, a.t(), scale_a=one, scale_b=one, out_dtype=device.half)
            device.fp8 = fp8
            return fp8
        except (RuntimeError, AttributeError, ValueError) as error:
            reason = error
    raise RuntimeError(str(reason))


def lacking(device: Device, dtype: str) -> str | None:
    """Why the device cannot multiply in that dtype, or None: tried with a small product."""
    try:
        KERNELS[dtype][1](device, 32, 64, 64)()
    except (RuntimeError, AttributeError, ValueError) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
    return None
