"""Run what was written, with programs in place of the engines that only say how they were called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("vllm", "vllm-router", "python3", "trtllm-serve", "mpirun", "servefront")
STUB = f"""#!{sys.executable}
import json, os, sys
devices = {{k: v for k, v in os.environ.items() if k.endswith("_VISIBLE_DEVICES")}}
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], devices]) + chr(10))
"""
CLEARED = {"MODEL", "HOST", "PORT", "NODE", "REPLICA", "MASTER_ADDR", "MASTER_PORT", "HOSTFILE", "CUDA_VISIBLE_DEVICES"}


def stub_folder(folder: Path) -> Path:
    """A folder with the stand-ins, to put first in PATH."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    for name in PROGRAMS:
        (bin_folder / name).write_text(STUB)
        (bin_folder / name).chmod(0o755)
    return bin_folder


def bash(folder: Path, *arguments: str, text: str | None = None, **environment: str):
    """Run a script (or ``text``) in ``folder``; the result, and each program's name, arguments and visible devices."""
    calls = folder / "calls"
    calls.write_text("")
    base = {k: v for k, v in os.environ.items() if k not in CLEARED}
    path = f"{stub_folder(folder)}{os.pathsep}{base['PATH']}"
    result = subprocess.run(
        ["bash", *arguments],
        input=text,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**base, "PATH": path, "CALLS": str(calls), **environment},
        timeout=120,
    )
    return result, [json.loads(line) for line in calls.read_text().splitlines()]


def fast_calls(folder: Path, text: str, **environment: str) -> list[list[str]]:
    """The arguments of every call in ``text``, by functions instead of programs: for hundreds of commands."""
    functions = "\n".join(f"{name}() {{ printf '%s\\0' {name} \"$@\"; printf '\\1\\0'; }}" for name in PROGRAMS)
    base = {k: v for k, v in os.environ.items() if k not in CLEARED}
    result = subprocess.run(
        ["bash", "-eu"], input=f"{functions}\n{text}", capture_output=True, text=True, cwd=folder,
        env={**base, **environment}, check=True,
    )  # fmt: skip
    return [call.split("\0")[:-1] for call in result.stdout.split("\1\0")[:-1]]
