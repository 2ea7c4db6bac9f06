"""Whether a change left behaviour alone: what runs and README commands leave, kept and compared byte for byte.

    python scripts/same_outputs.py keep BEFORE          # in the old checkout
    python scripts/same_outputs.py keep AFTER           # in the new one
    python scripts/same_outputs.py compare BEFORE AFTER # exits 1 and lists what differs

``keep`` runs the experiments, one sweep and README's commands of the checkout that is the working folder. Times and
paths are no part of the comparison; `study.journal`, Hydra's own folder and its log are left out.
"""

from __future__ import annotations

import difflib
import gzip
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path.cwd()
EXPERIMENTS = sorted(path.stem for path in (CHECKOUT / "conf" / "experiment").glob("*.yaml"))
FRONT_DOOR = "import sys; from search.cli import main; sys.exit(main(sys.argv[1:]))"
LEFT_OUT = ("study.journal", ".hydra", "search.log", "multirun.yaml")
SWEEP = ("-m", "+experiment=qwen3_235b", "hardware=h100_sxm,h200_sxm", "limits.ttft_s=10,30", "strategy=exact")
# What is different each time, or names a place: seconds and times of the day.
CHANGING = (
    (re.compile(r'("(?:seconds)": \{)[^}]*\}'), r"\1}"),
    (re.compile(r"\d+(?:\.\d+)? ?s\b(?= (?:in all|together|of))"), "N s"),
    (re.compile(r"\d{4}-\d\d-\d\d[T_ ]\d\d[-:]\d\d[-:]\d\d(?:[.,-]\d+)?"), "TIME"),
    (re.compile(r"(?<=\| date \| )\d{4}-\d\d-\d\d|\d{4}-\d\d-\d\d(?=, run )|(?<=, )\d{4}-\d\d-\d\d(?=\. SHA)"), "DAY"),
)


def call(words: list[str], folder: Path) -> str:
    """Run a command of the documentation in ``folder``; what it prints and its exit code."""
    if words[0] == "servefront" or words[:3] == ["python", "-m", "search"]:
        rest = words[1:] if words[0] == "servefront" else ["search", *words[3:]]
        words = [sys.executable, "-c", FRONT_DOOR, *rest]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "COLUMNS": "120"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return f"{done.stdout}\n--- errors\n{done.stderr}\n--- exit {done.returncode}\n"


def keep(target: Path) -> None:
    """Run everything and leave it in ``target``."""
    target.mkdir(parents=True)
    printed = target / "printed"
    printed.mkdir()
    for name in EXPERIMENTS:
        out = call(["python", "-m", "search", f"+experiment={name}", f"hydra.run.dir={name}"], target)
        (printed / f"{name}.txt").write_text(out)
    (printed / "sweep.txt").write_text(call(["python", "-m", "search", *SWEEP, "hydra.sweep.dir=sweep"], target))
    readme = target / "readme"
    (readme / "my-model").mkdir(parents=True)
    sys.path.insert(0, str(CHECKOUT / "tests"))
    from doc_commands import BLOCK, steps

    config = "from search.inputs.models.catalog import load_entry"
    if not (CHECKOUT / "search" / "inputs").is_dir():
        config = "from search.models.catalog import load_entry"
    code = f"import json; {config}; print(json.dumps(load_entry('qwen3_8b')['published']))"
    (readme / "my-model" / "config.json").write_text(call([sys.executable, "-c", code], target).partition("\n---")[0])
    commands = [step for block in BLOCK.finditer((CHECKOUT / "README.md").read_text()) for step in steps(block["sh"])]
    for number, step in enumerate(commands):
        text = f"$ {shlex.join(step.words)}\n" + call(list(step.words), readme)
        (printed / f"readme_{number:02d}.txt").write_text(text)


def kept(folder: Path) -> dict[str, str]:
    """Every file below ``folder`` by its name, without what changes from time to time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or any(part in LEFT_OUT for part in path.relative_to(folder).parts):
            continue
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode().replace(str(folder.resolve()), "FOLDER")
        for pattern, plain in CHANGING:
            name, text = pattern.sub(plain, name), pattern.sub(plain, text)
        found[name] = text
    return found


def compare(before: Path, after: Path) -> int:
    """List what differs; how many files do."""
    old, new = kept(before), kept(after)
    different = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    for name in different:
        lines = difflib.unified_diff(
            old.get(name, "").splitlines(),
            new.get(name, "").splitlines(),
            f"before/{name}",
            f"after/{name}",
            n=0,
            lineterm="",
        )
        print("\n".join(line[:300] for _, line in zip(range(12), lines, strict=False)))
    print(f"{len(old)} files before, {len(new)} after, {len(different)} differ")
    return len(different)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "keep":
        keep(Path(sys.argv[2]).resolve())
    elif len(sys.argv) == 4 and sys.argv[1] == "compare":
        sys.exit(1 if compare(Path(sys.argv[2]), Path(sys.argv[3])) else 0)
    else:
        sys.exit(f"usage:\n{__doc__}")
