"""End processes at random moments of their work, look at what they left, start them again and compare.

    python tests/faults/kills.py --kills 50 --seed 1

Commands take turns, signals too: SIGKILL, SIGTERM, SIGINT, and SIGKILL for a process that the command started, where it
starts any. Exit 1 and a line for each that broke the contract. ``measure`` joins where torch is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from real import COMMANDS, Child, Command, Ended, Given, beside, files, given, place

# -15 and -2 are 143 and 130 to a shell: before or after all work, or where Python itself ends by the signal.
CODES = {"SIGKILL": (-9,), "SIGTERM": (143, -15), "SIGINT": (130, -2)}
MEASURE = Command(
    lambda _, f: ["measure", "--device", "cpu", "--quick", "--ranks", "2", "--timings", str(f / "timings.csv"),
                  "--law-out", str(f / "conf")],
    makes=False,
)  # fmt: skip
MEASURED_FILES = ("timings.csv", *(f"conf/{group}/measured_cpu.yaml" for group in ("law", "hardware", "cluster")))
OWN_WORDS = ("warning: ", "measure: ", "interrupted: ")  # the last where all was found already, too
TRACKER = "resource_tracker"  # Python's own says what it cleared up after a process that was killed
CHILD = "a child's SIGKILL"
WITH_CHILDREN = ("measure", "workers")


@dataclass(frozen=True)
class Whole:
    """What a command leaves that nothing happens to, and its seconds of the processor."""

    files: dict[str, bytes]
    seconds: float


MEASURED = Whole(dict.fromkeys(MEASURED_FILES, b""), 12.0)  # its ranks come in the first ten seconds


@dataclass(frozen=True)
class Kill:
    """``how`` a command is ended, ``after`` seconds of the processor."""

    name: str
    command: Command
    how: str
    after: float
    rng: random.Random


def main() -> int:
    options = _parser().parse_args()
    commands = COMMANDS | ({"measure": MEASURE} if importlib.util.find_spec("torch") else {})
    chosen = options.only or list(commands)
    broken = 0
    with tempfile.TemporaryDirectory(prefix="servefront-faults-") as name:
        work = Path(name)
        ready, wholes = given(work / "given"), {"measure": MEASURED}
        for nth in range(options.kills):
            rng, called = random.Random(f"{options.seed} {nth}"), chosen[nth % len(chosen)]
            if called not in wholes:
                wholes[called] = _whole(commands[called], ready, work / called)
            ways = [*CODES, CHILD] if called in WITH_CHILDREN else list(CODES)
            after = rng.uniform(0.02, 1.0) * wholes[called].seconds
            kill = Kill(called, commands[called], ways[nth // len(chosen) % len(ways)], after, rng)
            code, wrong = _killed(kill, ready, work / f"{nth}", wholes[called])
            broken += bool(wrong)
            told = f": BROKEN: {'; '.join(wrong)}" if wrong else ""
            print(f"{nth} {called} {kill.how} after {after:.2f} s: exit {code}{told}", flush=True)
            if not options.keep:
                shutil.rmtree(work / f"{nth}")
        print(f"{options.kills} kills, {broken} broke the contract")
        if broken and options.keep:
            shutil.copytree(work, options.keep)
    return int(broken > 0)


def _whole(command: Command, ready: Given, folder: Path) -> Whole:
    there, before = place(command, folder), os.times()
    done = Child(command.words(ready, there), folder).ended()
    assert done.code == 0, done
    after = os.times()
    return Whole(files(there), sum(after[2:4]) - sum(before[2:4]))


def _killed(kill: Kill, ready: Given, folder: Path, whole: Whole) -> tuple[int, list[str]]:
    """The exit code, and what broke."""
    there = place(kill.command, folder)
    child = Child(kill.command.words(ready, there), folder)
    while child.process.poll() is None and child.spent() < kill.after:
        time.sleep(0.01)
    _strike(child, kill.how, kill.rng)
    ended = child.ended()
    wrong = _told(kill.how, ended)
    if left := child.left():
        wrong.append(f"left processes {left}")
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    partial = ended.code == 130 and kill.command.early and _partial(there)
    if not partial and (odd := _differ(kill.name, files(there), whole.files)):
        wrong.append(f"left what is not whole: {odd}")
    if kill.how != "SIGKILL" and (hidden := [name for name in beside(there) if ".progress" not in name]):
        wrong.append(f"left {hidden[:5]}")
    if kill.command.again:
        wrong += _again(kill, ready, there, partial, whole)
    return ended.code, wrong


def _strike(child: Child, how: str, rng: random.Random) -> None:
    if how != CHILD:
        child.process.send_signal(getattr(signal, how))
    elif others := [pid for pid in child.relatives() if pid != child.process.pid]:
        with suppress(ProcessLookupError):
            os.kill(rng.choice(others), signal.SIGKILL)


def _told(how: str, ended: Ended) -> list[str]:
    said = [line for line in ended.err.splitlines() if not line.startswith(OWN_WORDS)]
    lines = [line for line in said if TRACKER not in line or how != "SIGKILL"]
    wrong = []
    if "Traceback" in ended.err:
        wrong.append(f"traceback: {ended.err[-600:]!r}")
    if ended.code == 0:
        return wrong + ([f"said {lines}"] if lines else [])
    expected = CODES.get(how, (2,))
    if ended.code not in expected:
        wrong.append(f"exit {ended.code}, not {expected}: {ended.err[-600:]!r}")
    most = 0 if how == "SIGKILL" else 1
    if len(lines) > most:
        wrong.append(f"{len(lines)} lines: {lines}")
    return wrong


def _partial(there: Path) -> bool:
    summaries = [json.loads(path.read_text()) for path in there.rglob("summary.json")]
    return any(found.get("partial") for found in summaries) or (there / "sweep.csv").exists()


def _differ(name: str, there: dict[str, bytes], whole: dict[str, bytes]) -> list[str]:
    """Files that are none of the whole ones; a measurement's are different each time."""
    odd = [path for path, content in there.items() if whole.get(path) != content]
    return sorted(path for path in odd if name != "measure" or path not in whole)[:8]


def _again(kill: Kill, ready: Given, there: Path, partial: bool, whole: Whole) -> list[str]:
    """What broke where a search is to go on."""
    done = "summary.json" in files(there) and not partial
    words = [f"resume={there}"] if partial else kill.command.words(ready, there)
    again = Child(words, there.parent).ended()
    if done:
        return [] if again.code == 2 and "already holds a run" in again.err else [f"again: {again}"]
    if again.code != 0:
        return [f"again: exit {again.code}, {again.err[-500:]!r}"]
    now = files(there)
    if now != whole.files:
        return [f"again: not what it would have been: {_differ(kill.name, now, whole.files)}, {len(now)} files"]
    return [f"again: left {hidden[:5]}"] if (hidden := beside(there)) else []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="how many (50)")
    parser.add_argument("--seed", type=int, default=0, help="other moments (0)")
    parser.add_argument("--only", action="append", help="a command by its name, more than once")
    parser.add_argument("--keep", type=Path, help="where everything is kept if something broke")
    return parser


if __name__ == "__main__":
    sys.exit(main())
