"""Commands as processes of their own, and what they leave: shared by what kills them, fills their disks and doubles them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO), str(REPO / "tests" / "fuzz")]

from measured_targets import VLLM  # noqa: E402

from search import cli  # noqa: E402

SMALL = ("model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "sensitivity=none", "space.gpus=[8]", "space.batch=[16]")
EXACT = (*SMALL, "strategy=exact")
SPLIT = (
    "model=qwen3_8b",
    "hardware=h100_sxm",
    "engine=vllm",
    "space.gpus=[2,4]",
    "space.batch=[16,64]",
    "strategy=exact",
)
FIT = ("--engine", "vllm", "--model", "qwen3_8b", "--hardware", "h100_sxm", "--tp", "1")
TIMES = ("summary.json", "report.html", "study.journal", "multirun.yaml")  # of a day, or of seconds
MARK = "SERVEFRONT_FAULT_MARK"


@dataclass(frozen=True)
class Given:
    """What commands read: a finished run, and results of a benchmark."""

    run: Path
    results: tuple[Path, ...]
    rows: Path


@dataclass(frozen=True)
class Command:
    """``words`` of a command that writes into a folder. ``again``: started again there it goes on; of the others the
    outputs have to go first. ``makes`` the folder itself. ``early``: Ctrl-C ends it with a part of what it would have."""

    words: Callable[[Given, Path], list[str]]
    again: bool = False
    makes: bool = True
    early: bool = False


def _search(*words: str) -> Command:
    return Command(lambda _, folder: [*words, f"hydra.run.dir={folder}"], again=True, early=True)


def _sweep(*words: str) -> Command:
    return Command(lambda _, folder: ["-m", *words, f"hydra.sweep.dir={folder}"], again=True, early=True)


COMMANDS: dict[str, Command] = {
    "search": _search(*SMALL, "strategy.n_trials=40"),
    "split": _search(*SPLIT, "space.serving=[aggregated,split]", "sensitivity=none"),
    "sweep": _sweep(*EXACT, "workload.isl=256,512,1024"),
    "workers": _sweep(*EXACT, "report=none", "workload.isl=256,512,1024", "compute=processes", "compute.workers=2"),
    "fleet": Command(lambda _, f: ["fleet", "+fleet=three_models", "space.batch=[16,64]", f"hydra.run.dir={f}"], again=True),
    "simulate": Command(
        lambda g, f: ["simulate", str(g.run), "--requests", "2000", "--knee", "3", "--out", str(f), "workload.requests_per_s=2",
                      "workload.arrivals.kind=poisson"]),
    "calibrate": Command(
        lambda g, f: ["calibrate", *map(str, g.results), *FIT, "--out", str(f / "engine.yaml"), "--hardware-out", str(f / "chip.yaml")],
        makes=False,
    ),
    "validate": Command(lambda g, f: ["validate", str(g.rows), "--out", str(f / "predicted.csv")], makes=False),
    "document": Command(lambda g, f: ["document", str(g.run), "--html", str(f / "plan.html")], makes=False),
    "launch": Command(lambda g, f: ["launch", str(g.run)], makes=False),
}  # fmt: skip


def given(folder: Path) -> Given:
    """Made once, by commands that nothing happens to."""
    folder.mkdir(parents=True)
    run = folder / "run"
    with redirect_stdout(io.StringIO()):
        assert cli.main([*EXACT, f"hydra.run.dir={run}"]) == 0
    results = []
    for n in (1, 8, 32):
        results.append(folder / f"result_{n}.json")
        results[-1].write_text(json.dumps(VLLM | {"max_concurrency": n, "mean_tpot_ms": 6.0 + n / 8}))
    rows = folder / "rows.csv"
    head = "row,model,system,engine,engine_version,precision,mode,gpus,tp,pp,attn_dp,moe_tp,ep,isl,osl,concurrency,origin,ttft_ms,tpot_ms"
    lines = [
        f"{n},qwen3_8b,h100_sxm,vllm,0.11.0,bf16,agg,1,1,1,1,1,1,512,128,{n},own,{30 + n},{6 + n / 8}"
        for n in range(1, 65)
    ]
    rows.write_text("\n".join([head, *lines]) + "\n")
    return Given(run, tuple(results), rows)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


class Child:
    """A process that runs a command. Everything that it starts carries its mark."""

    def __init__(self, words: Sequence[str], folder: Path, limits: Callable[[], None] | None = None) -> None:
        self.mark = uuid.uuid4().hex
        environment = os.environ | {"PYTHONPATH": str(REPO), MARK: self.mark, "COLUMNS": "120"}

        def begin() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it, and so would its own
            if limits is not None:
                limits()

        self.process = subprocess.Popen(
            [sys.executable, "-m", "search", *words], cwd=folder, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=begin, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, within: float = 900.0) -> Ended:
        out, err = self.process.communicate(timeout=within)
        return Ended(self.process.returncode, out, err)

    def spent(self) -> float:
        """Seconds of the processor, its own and its children's."""
        ticks, waiting = 0, [self.process.pid]
        while waiting:
            place = Path("/proc", str(waiting.pop()))
            try:
                ticks += sum(map(int, (place / "stat").read_text().rpartition(")")[2].split()[11:15]))
                waiting += [
                    int(pid) for task in (place / "task").iterdir() for pid in (task / "children").read_text().split()
                ]
            except OSError:  # it has ended
                continue
        return ticks / os.sysconf("SC_CLK_TCK")

    def left(self, within: float = 5.0) -> list[int]:
        """Processes of it that are still there ``within`` seconds after its end."""
        end = time.monotonic() + within
        while (found := self.relatives()) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def relatives(self) -> list[int]:
        """Processes that carry its mark, itself among them."""
        word = f"{MARK}={self.mark}".encode()
        found = []
        for place in Path("/proc").iterdir():
            try:
                if place.name.isdigit() and word in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
            except OSError:  # it has ended, or is somebody else's
                continue
        return sorted(found)


def start(words: Sequence[str], folder: Path, limits: Callable[[], None] | None = None) -> Child:
    return Child(words, folder, limits)


def files(folder: Path) -> dict[str, bytes]:
    """What stands under its final name, but for what Hydra writes, and times."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    ours = {name: path for name, path in found.items() if "/." not in f"/{name}" and not name.endswith(".log")}
    return {name: b"" if name.endswith(TIMES) else path.read_bytes() for name, path in ours.items()}


def beside(folder: Path) -> list[str]:
    """Partial files and folders, and claims, that are still there."""
    return sorted(
        str(p.relative_to(folder)) for p in folder.rglob(".*") if p.name != ".hydra" and p.parent.name != ".hydra"
    )
