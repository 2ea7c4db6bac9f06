"""The console script ``servefront``: each command is a thin module of this package."""

from __future__ import annotations

import gc
import importlib
import os
import sys

COMMANDS = {
    "search": ("search.commands.search", "search the space of an experiment (a Hydra program; the default)"),
    "explain": ("search.commands.explain.main", "why a plan is, or is not, what a run recommends"),
    "inspect": ("search.commands.inspect", "what the reader makes of a config.json"),
    "models": ("search.commands.catalogs", "list the catalog's models"),
    "hardware": ("search.commands.catalogs", "list the catalog's accelerators"),
    "clusters": ("search.commands.catalogs", "list the catalog's clusters and what is built into each"),
    "launch": (
        "search.commands.launch",
        "print the command that starts a plan of a run on vLLM, SGLang or TensorRT-LLM",
    ),
    "validate": ("search.commands.validate", "predict measured runs and say how far off the predictions are"),
    "calibrate": ("search.commands.calibrate", "fit an engine's constants to your own benchmark runs"),
    "measure": ("search.commands.measure.main", "measure your accelerator and write its efficiency law"),
    "audit": ("search.commands.audit.main", "set a plan or a launch command against the model"),
    "fidelity": ("search.commands.fidelity", "the same with families left out of the fit; writes the intervals"),
}


def usage() -> str:
    """What ``servefront --help`` prints."""
    lines = ["usage: servefront COMMAND [arguments]", "", "commands:"]
    lines += [f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join([*lines, "", "Each command explains itself with --help."])


def collect_rarely() -> None:
    """A command is short and makes few cycles: looking for them after every 700 new objects, Python's default, costs
    a tenth of a second of imports and of a study."""
    gc.set_threshold(100_000)


def main(arguments: list[str] | None = None) -> int:
    """Dispatch to a command; returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        print(f"error: servefront: unknown command {name!r}; known: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    collect_rarely()
    module = importlib.import_module(COMMANDS[name][0])
    if name in ("models", "hardware", "clusters"):
        rest = [name, *rest]
    try:
        return int(module.main(rest))
    except BrokenPipeError:  # the reader of a pipe went away (`| head`): not an error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
