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

from real import COMMANDS, Command, Ended, beside, files, given, start
from real import Given as Given

CODES = {"SIGKILL": (-9,), "SIGTERM": (143,), "SIGINT": (130,)}
MEASURE = Command(
    lambda _, f: ["measure", "--device", "cpu", "--quick", "--ranks", "2", "--timings", str(f / "timings.csv"),
                  "--law-out", str(f / "conf")],
    makes=False,
)  # fmt: skip
MEASURED_FILES = ("timings.csv", *(f"conf/{group}/measured_cpu.yaml" for group in ("law", "hardware", "cluster")))
OWN_WORDS = ("warning: ", "measure: ", "#")
TRACKER = "resource_tracker"  # Python's own says what it cleared up after a process that was killed
CHILD = "a child's SIGKILL"
WITH_CHILDREN = ("measure", "workers")


@dataclass(frozen=True)
class Whole:
    files: dict[str, bytes]
    seconds: float


MEASURED = Whole(dict.fromkeys(MEASURED_FILES, b""), 12.0)  # its ranks come in the first ten seconds of the processor


def main() -> int:
    options = _parser().parse_args()
    commands = COMMANDS | ({"measure": MEASURE} if importlib.util.find_spec("torch") else {})
    chosen = {name: commands[name] for name in options.only or commands if name != "launch"}
    broken = 0
    with tempfile.TemporaryDirectory(prefix="servefront-faults-") as name:
        work = Path(name)
        ready, wholes = given(work / "given"), {}
        for nth in range(options.kills):
            rng = random.Random(f"{options.seed} {nth}")
            called = list(chosen)[nth % len(chosen)]
            if called not in wholes:
                wholes[called] = MEASURED if called == "measure" else whole(chosen[called], ready, work / called)
            how = _how(nth // len(chosen), called)
            folder = work / f"{nth}"
            at = rng.uniform(0.02, options.until) * wholes[called].seconds
            said, ended = one(called, chosen[called], ready, folder, how, at, rng, wholes[called])
            broken += bool(said)
            print(
                f"{nth} {called} {how} after {at:.2f} s: exit {ended.code}{': BROKEN: ' if said else ''}{said}",
                flush=True,
            )
            if not said:
                shutil.rmtree(folder)
        print(f"{options.kills} kills, {broken} broke the contract")
        if broken and options.keep:
            shutil.copytree(work, options.keep)
    return int(broken > 0)


def _how(turn: int, called: str) -> str:
    signals = [*CODES, CHILD] if called in WITH_CHILDREN else list(CODES)
    return signals[turn % len(signals)]


def whole(command: Command, ready: Given, folder: Path) -> Whole:
    """What it leaves when nothing happens to it."""
    place = _place(command, folder)
    before = os.times()
    done = start(command.words(ready, place), folder).ended()
    assert done.code == 0, done
    after = os.times()
    return Whole(files(place), sum(after[2:4]) - sum(before[2:4]))


def _place(command: Command, folder: Path) -> Path:
    """Where it is to write: of the same name always, for names stand in outputs."""
    folder.mkdir()
    place = folder / "r"
    if not command.makes:
        place.mkdir()
    return place


def one(
    called: str,
    command: Command,
    ready: Given,
    folder: Path,
    how: str,
    at: float,
    rng: random.Random,
    undisturbed: Whole,
) -> tuple[str, Ended]:
    """What broke, in a line, if anything did."""
    place = _place(command, folder)
    child = start(command.words(ready, place), folder)
    while child.process.poll() is None and child.spent() < at:
        time.sleep(0.01)
    struck = _strike(child, how, rng)
    ended = child.ended()
    wrong = _told(called, how, ended, struck)
    if left := child.left():
        wrong.append(f"left processes {left}")
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    there = files(place) if place.exists() else {}
    partial = ended.code == 130 and command.early and _partial(place)
    if not partial and not _same(called, there, undisturbed.files, part=True):
        wrong.append(f"left what is not whole: {_differ(there, undisturbed.files)}")
    if how != "SIGKILL" and place.exists() and (hidden := [n for n in beside(place) if ".progress" not in n]):
        wrong.append(f"left {hidden[:5]}")
    wrong += _again(called, command, ready, folder, place, partial, undisturbed)
    return "; ".join(wrong), ended


def _strike(child, how, rng) -> bool:
    """Whether there was something to strike."""
    if how != CHILD:
        child.send(getattr(signal, how))
        return True
    others = [pid for pid in child.relatives() if pid != child.process.pid]
    if others:
        try:
            os.kill(rng.choice(others), signal.SIGKILL)
        except ProcessLookupError:
            return False
    return bool(others)


def _told(called: str, how: str, ended: Ended, struck: bool) -> list[str]:
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


def _partial(place: Path) -> bool:
    for summary in place.rglob("summary.json"):
        if json.loads(summary.read_text()).get("partial"):
            return True
    return (place / "sweep.csv").exists()


def _same(called: str, there: dict[str, bytes], expected: dict[str, bytes], part: bool = False) -> bool:
    if called == "measure":  # timings differ each time
        return not set(there) - set(expected) if part else set(there) == set(expected)
    return there.items() <= expected.items() if part else there == expected


def _differ(there: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    return [n for n in {*there, *expected} if (there.get(n) != expected.get(n) and n in there) or n not in expected]


def _again(
    called: str, command: Command, ready: Given, folder: Path, place: Path, partial: bool, undisturbed: Whole
) -> list[str]:
    """What broke where a search goes on; the other commands remember nothing."""
    if not command.again:
        return []
    there = files(place) if place.exists() else {}
    done_before = "summary.json" in there and not partial
    words = [f"resume={place}"] if partial else command.words(ready, place)
    again = start(words, folder).ended()
    if done_before:
        return [] if again.code == 2 and "already holds a run" in again.err else [f"again: {again}"]
    if again.code != 0:
        return [f"again: exit {again.code}, {again.err[-500:]!r}"]
    if not _same(called, files(place), undisturbed.files):
        now = files(place)
        return [
            f"again: not what it would have been: {[n for n in {*now, *undisturbed.files} if now.get(n) != undisturbed.files.get(n)][:8]}"
        ]
    if hidden := beside(place):
        return [f"again: left {hidden[:5]}"]
    return []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--until", type=float, default=1.0, help="share of a command's time in which it is struck (1)")
    parser.add_argument("--only", action="append", help="a command by its name, more than once")
    parser.add_argument("--keep", type=Path, help="where everything is kept if something broke")
    return parser


if __name__ == "__main__":
    sys.exit(main())
