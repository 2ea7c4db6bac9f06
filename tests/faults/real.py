"""Commands that write, as processes of their own, and what they leave."""

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

QWEN = ("model=qwen3_8b", "hardware=h100_sxm", "engine=vllm", "sensitivity=none")
SMALL = (*QWEN, "space.gpus=[8]", "space.batch=[16]")
EXACT = (*SMALL, "strategy=exact")
LENGTHS = "workload.isl=256,512,1024"
SPLIT = (*QWEN, "strategy=exact", "space.gpus=[2,4]", "space.batch=[16,64]", "space.serving=[aggregated,split]")
TRAFFIC = ("workload.requests_per_s=2", "workload.arrivals.kind=poisson")
FIT = ("--engine", "vllm", "--model", "qwen3_8b", "--hardware", "h100_sxm", "--tp", "1")
HEAD = "row,model,system,engine,engine_version,precision,mode,gpus,tp,pp,attn_dp,moe_tp,ep,isl,osl,concurrency,origin"
TIMES = ("summary.json", "report.html", "study.journal", "multirun.yaml")  # of a day, or of seconds
MARK = "SERVEFRONT_FAULT_MARK"


@dataclass(frozen=True)
class Given:
    """What commands read: a finished run, results of a benchmark, measured rows."""

    run: Path
    results: tuple[Path, ...]
    rows: Path


@dataclass(frozen=True)
class Command:
    """``words`` of a command that writes into a folder. ``again``: started again there it goes on; the others remember
    nothing. ``makes`` the folder itself. ``early``: Ctrl-C ends it with a part of what it would have."""

    words: Callable[[Given, Path], list[str]]
    again: bool = False
    makes: bool = True
    early: bool = False


def _search(*words: str) -> Command:
    return Command(lambda _, folder: [*words, f"hydra.run.dir={folder}"], again=True, early=True)


def _sweep(*words: str) -> Command:
    return Command(lambda _, folder: ["-m", *words, f"hydra.sweep.dir={folder}"], again=True, early=True)


def _simulate(given: Given, folder: Path) -> list[str]:
    return ["simulate", str(given.run), "--requests", "2000", "--knee", "3", "--out", str(folder), *TRAFFIC]


def _calibrate(given: Given, folder: Path) -> list[str]:
    outputs = ("--out", str(folder / "engine.yaml"), "--hardware-out", str(folder / "chip.yaml"))
    return ["calibrate", *map(str, given.results), *FIT, *outputs]


COMMANDS: dict[str, Command] = {
    "search": _search(*SMALL, "strategy.n_trials=40"),
    "split": _search(*SPLIT),
    "sweep": _sweep(*EXACT, LENGTHS),
    "workers": _sweep(*EXACT, LENGTHS, "report=none", "compute=processes", "compute.workers=2"),
    "fleet": Command(lambda _, f: ["fleet", "+fleet=three_models", "space.batch=[16,64]", f"hydra.run.dir={f}"], True),
    "simulate": Command(_simulate),
    "calibrate": Command(_calibrate, makes=False),
    "validate": Command(lambda g, f: ["validate", str(g.rows), "--out", str(f / "predicted.csv")], makes=False),
    "document": Command(lambda g, f: ["document", str(g.run), "--html", str(f / "plan.html")], makes=False),
}


def given(folder: Path) -> Given:
    """Made once, by a command that nothing happens to."""
    folder.mkdir(parents=True)
    run = folder / "run"
    with redirect_stdout(io.StringIO()):
        assert cli.main([*EXACT, f"hydra.run.dir={run}"]) == 0
    results = []
    for n in (1, 8, 32):
        results.append(folder / f"result_{n}.json")
        results[-1].write_text(json.dumps(VLLM | {"max_concurrency": n, "mean_tpot_ms": 6.0 + n / 8}))
    what = "qwen3_8b,h100_sxm,vllm,0.11.0,bf16,agg,1,1,1,1,1,1,512,128"
    lines = [f"{n},{what},{n},own,{30 + n},{6 + n / 8}" for n in range(1, 65)]
    rows = folder / "rows.csv"
    rows.write_text("\n".join([f"{HEAD},ttft_ms,tpot_ms", *lines]) + "\n")
    return Given(run, tuple(results), rows)


def place(command: Command, folder: Path) -> Path:
    """Where it is to write: of the same name always, for names stand in outputs."""
    folder.mkdir()
    if not command.makes:
        (folder / "r").mkdir()
    return folder / "r"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


class Child:
    """A process that runs a command. Everything that it starts carries its mark."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self.mark = uuid.uuid4().hex
        environment = os.environ | {"PYTHONPATH": str(REPO), MARK: self.mark, "COLUMNS": "120"}

        def begin() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it, and so would its own

        self.process = subprocess.Popen(
            [sys.executable, "-m", "search", *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=begin,
        )  # fmt: skip

    def ended(self, within: float = 900.0) -> Ended:
        out, err = self.process.communicate(timeout=within)
        return Ended(self.process.returncode, out, err)

    def spent(self) -> float:
        """Seconds of the processor, its own and its children's."""
        ticks, waiting = 0, [self.process.pid]
        while waiting:
            entry = Path("/proc", str(waiting.pop()))
            try:
                ticks += sum(map(int, (entry / "stat").read_text().rpartition(")")[2].split()[11:15]))
                for thread in (entry / "task").iterdir():
                    waiting += map(int, (thread / "children").read_text().split())
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
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and word in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:  # it has ended, or is somebody else's
                continue
        return sorted(found)


def files(folder: Path) -> dict[str, bytes]:
    """What stands under its final name, but for what Hydra writes, and times."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    ours = {name: path for name, path in found.items() if "/." not in f"/{name}" and not name.endswith(".log")}
    return {name: b"" if name.endswith(TIMES) else path.read_bytes() for name, path in ours.items()}


def beside(folder: Path) -> list[str]:
    """Partial files and folders, and claims, that are still there."""
    hidden = [path for path in folder.rglob(".*") if ".hydra" not in (path.name, path.parent.name)]
    return sorted(str(path.relative_to(folder)) for path in hidden)
