"""The device under test: what torch says of it, its dtypes, random operands, and its stopwatch.

``cuda`` is NVIDIA and AMD (ROCm), ``npu`` Huawei Ascend (with torch_npu), ``xpu`` Intel, ``cpu`` the host.
"""

from __future__ import annotations

import importlib
import os
import platform
from dataclasses import dataclass, field
from typing import Any

from search.base.errors import InputError
from search.commands.measure.timing import EventStopwatch, HostStopwatch, Stopwatch

KINDS = ("cuda", "npu", "xpu", "cpu")
BACKENDS = {"cuda": "nccl", "npu": "hccl", "xpu": "xccl", "cpu": "gloo"}  # of torch.distributed
GRAPHS = {"cuda": "CUDAGraph", "npu": "NPUGraph", "xpu": "XPUGraph"}
INSTALL = "pip install torch (the build for your device; 'servefront[measure]' names it), on Ascend also torch_npu"
POOL = 1 << 22  # random elements that operands are filled from
DEFAULT_CACHE = 64 << 20  # bytes, where nothing tells the size of the last cache
MOST_CACHE = 128 << 20  # bytes: of a larger cache (a server's, shared by many cores) only this much is washed


def import_torch() -> Any:
    """The module; ``InputError`` that says what to install."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise InputError(f"measure: torch is not installed; {INSTALL}") from None


@dataclass
class Device:
    """An opened device. ``half`` is the 16-bit type that stands for bf16, bfloat16 unless fp16 was asked for."""

    kind: str
    torch: Any
    module: Any  # torch.cuda, torch.npu, ...; None on the CPU
    name: str
    vendor: str
    memory_bytes: float
    cache_bytes: float
    stopwatch: Stopwatch
    half: Any
    fp8: Any = None  # the fp8 type of its products, once found (``gemm.fp8_type``)
    _pools: dict[Any, Any] = field(default_factory=dict)

    def random(self, dtype: Any, *shape: int) -> Any:
        """A tensor of normal numbers (a device draws less power on zeros), copied from a pool that repeats."""
        count = 1
        for extent in shape:
            count *= extent
        pool = self._pools.get(dtype)
        if pool is None:
            generator = self.torch.Generator().manual_seed(0)
            numbers = self.torch.randn(POOL, generator=generator)
            pool = self._pools[dtype] = numbers.to(self.kind).to(dtype)
        repeats = -(-count // POOL)
        filled = pool.repeat(repeats) if repeats > 1 else pool
        return filled[:count].clone().view(shape)

    def empty(self, dtype: Any, *shape: int) -> Any:
        return self.torch.empty(shape, dtype=dtype, device=self.kind)

    def free_bytes(self) -> float:
        """Bytes that operands may take: 40 % of what is free now (of the host's memory on the CPU: a quarter)."""
        if self.module is None:
            return 0.25 * self.memory_bytes
        self.module.empty_cache()
        if hasattr(self.module, "mem_get_info"):
            return 0.4 * float(self.module.mem_get_info()[0])
        return 0.4 * self.memory_bytes


def open_device(kind: str, half: str = "bf16") -> Device:
    """The device of that kind that is current; ``InputError`` in one line if there is none."""
    if kind not in KINDS:
        raise InputError(f"--device: {kind!r} is not allowed; give one of {', '.join(KINDS)}")
    torch = import_torch()
    if kind == "npu":
        try:
            importlib.import_module("torch_npu")
        except ImportError:
            raise InputError("--device npu: torch_npu is not installed; pip install torch_npu (Ascend)") from None
    half_type = torch.float16 if half == "fp16" else torch.bfloat16
    if kind == "cpu":
        pages = float(os.sysconf("SC_PAGE_SIZE")) * float(os.sysconf("SC_PHYS_PAGES"))
        return Device("cpu", torch, None, cpu_name(), "", pages, _host_cache(), HostStopwatch(), half_type)
    module = getattr(torch, kind, None)
    if module is None or not module.is_available():
        raise InputError(f"--device {kind}: torch {torch.__version__} sees no such device; see docs/measure.md")
    properties: Any = module.get_device_properties(module.current_device())
    cache = float(getattr(properties, "L2_cache_size", 0) or getattr(properties, "last_level_cache_size", 0))
    return Device(
        kind,
        torch,
        module,
        str(module.get_device_name()),
        _vendor(kind, torch),
        float(properties.total_memory),
        min(max(cache, float(DEFAULT_CACHE)), float(4 * MOST_CACHE)),
        EventStopwatch(module, _graph_type(kind, module)),
        half_type,
    )


def cpu_name() -> str:
    """The processor's name, as the kernel or the platform gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _vendor(kind: str, torch: Any) -> str:
    if kind == "cuda":
        return "AMD" if getattr(torch.version, "hip", None) else "NVIDIA"
    return {"npu": "Huawei", "xpu": "Intel"}[kind]


def _host_cache() -> float:
    try:
        size = os.sysconf("SC_LEVEL3_CACHE_SIZE")
    except (ValueError, OSError):
        size = 0
    return float(min(size or DEFAULT_CACHE, MOST_CACHE))


def _graph_type(kind: str, module: Any) -> Any | None:
    """The class of captured graphs, if a trial capture works on this device."""
    graph_type = getattr(module, GRAPHS[kind], None)
    if graph_type is None or not hasattr(module, "graph"):
        return None
    torch = import_torch()
    try:
        one = torch.ones(16, device=kind)
        one.add_(1)
        module.synchronize()
        graph = graph_type()
        with module.graph(graph):
            one.add_(1)
        graph.replay()
        module.synchronize()
    except (RuntimeError, NotImplementedError):
        return None
    return graph_type
