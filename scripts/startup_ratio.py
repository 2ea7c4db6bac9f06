"""The whole default command against the imports that it cannot do without.

    python scripts/startup_ratio.py

Both are timed as processes of their own, in turn, after one run of each to warm the file cache; the medians are
compared.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPORTS = ["-c", "import numpy, pandas, optuna, hydra"]
COMMAND = ["-m", "search", "+experiment=qwen3_235b"]


def seconds(arguments: list[str], folder: Path) -> float:
    """Wall-clock seconds of ``python`` with ``arguments``; a failure ends the measurement."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def ratio(runs: int) -> tuple[float, float]:
    """Median seconds of the imports and of the command."""
    imports, commands = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(runs + 1):
            pair = seconds(IMPORTS, folder), seconds([*COMMAND, f"hydra.run.dir=run{i}"], folder)
            if i:
                imports.append(pair[0])
                commands.append(pair[1])
    return statistics.median(imports), statistics.median(commands)


def main() -> None:
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    base, command = ratio(parser.parse_args().runs)
    print(f"imports {base:.2f} s, command {command:.2f} s, ratio {command / base:.2f}")


if __name__ == "__main__":
    main()
