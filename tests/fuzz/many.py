"""Try inputs of every target for so many seconds of the processor each, and say what broke.

    python tests/fuzz/many.py --seconds 60 --first 1000 --out broken.jsonl

A line of ``broken.jsonl`` an input that broke the contract: target, seed, what was said. Exit 1 if there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

from harness import Target, check  # noqa: E402
from targets import TARGETS  # noqa: E402


def main() -> int:
    options = _parser().parse_args()
    warnings.simplefilter("error")
    chosen = [target for target in TARGETS if target.name in (options.only or [target.name])]
    broken = 0
    with tempfile.TemporaryDirectory() as name, options.out.open("a") as file:
        os.chdir(name)
        for target in chosen:
            tried, bad, spent = 0, 0, 0.0
            while spent < options.seconds:
                start = time.process_time()
                said = _said(target, options.first + tried)
                spent += time.process_time() - start
                tried += 1
                if said:
                    bad += 1
                    line = {"target": target.name, "seed": options.first + tried - 1, "said": said}
                    file.write(json.dumps(line) + "\n")
                    file.flush()
            broken += bad
            print(f"{target.name}: {tried} inputs, {spent / tried:.4f} s each, {bad} broke the contract", flush=True)
    return int(broken > 0)


def _said(target: Target, seed: int) -> str:
    with tempfile.TemporaryDirectory(dir=".", ignore_cleanup_errors=True) as folder:
        try:
            check(target, seed, Path(folder).resolve())
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:3000]
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Try spoilt inputs of every command and say what broke.")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the processor, a target (default 10)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first input (default 0)")
    parser.add_argument("--out", type=Path, default=Path("broken.jsonl"), help="file of what broke (broken.jsonl)")
    parser.add_argument("--only", action="append", metavar="TARGET", help="a target by its name, more than once")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
