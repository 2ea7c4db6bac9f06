"""The whole default command against the imports that it cannot do without.

    python scripts/startup_ratio.py

Both are timed as processes of their own, in turn, after one run of each to warm the file cache and to compile what
has not been compiled (into a folder of this script's, whatever PYTHONDONTWRITEBYTECODE says: nobody's second search
compiles the program again). Wall-clock seconds mean something on an idle machine; seconds of the processor are printed
beside them for others. The medians are compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPORTS = ["-c", "import numpy, pandas, optuna, hydra"]
COMMAND = ["-m", "search", "+experiment=qwen3_235b"]


def seconds(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Seconds by the clock, and of the processor, of ``python`` with ``arguments``; a failure ends the measurement."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return time.perf_counter() - start, used


def medians(runs: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Median seconds, by the clock and of the processor, of the imports and of the command."""
    imports, commands = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(runs + 1):
            pair = seconds(IMPORTS, folder), seconds([*COMMAND, f"hydra.run.dir=run{i}"], folder)
            if i:
                imports.append(pair[0])
                commands.append(pair[1])
    return _median(imports), _median(commands)


def _median(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(wall for wall, _ in pairs), statistics.median(used for _, used in pairs)


def main() -> None:
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    base, command = medians(parser.parse_args().runs)
    for name, i in (("clock", 0), ("processor", 1)):
        print(f"{name}: imports {base[i]:.2f} s, command {command[i]:.2f} s, ratio {command[i] / base[i]:.2f}")


if __name__ == "__main__":
    main()
