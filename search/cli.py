"""The one way in: ``servefront COMMAND ...``, and ``python -m search COMMAND ...``, which is the same.

Without a command's name (no argument, or one of Hydra's) it is the search. Each command is a thin module of
``search.commands``, imported when it is called.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable

from search import __version__
from search.base import interrupt, output

COMMANDS = {
    "search": ("search.commands.search", "search the layouts of a model on accelerators (the default)"),
    "fleet": ("search.commands.fleet", "plan several models that share accelerators of one or more kinds"),
    "explain": ("search.commands.explain.main", "why a plan is, or is not, what a run recommends"),
    "audit": ("search.commands.audit.main", "set a plan or a launch command against the model"),
    "launch": (
        "search.commands.launch",
        "print the command that starts a plan of a run on vLLM, SGLang or TensorRT-LLM",
    ),
    "document": ("search.commands.document", "the document of a run's recommended plan as a page or a PDF"),
    "dashboard": ("search.commands.dashboard", "a run's Optuna study in optuna-dashboard, on this machine"),
    "simulate": ("search.commands.simulate", "send traffic to a plan of a run, request by request: percentiles"),
    "evidence": ("search.commands.evidence", "measured runs near a plan, and how far off predictions were on them"),
    "inspect": ("search.commands.inspect", "what the reader makes of a config.json"),
    "models": ("search.commands.catalogs", "list the catalog's models"),
    "hardware": ("search.commands.catalogs", "list the catalog's accelerators"),
    "clusters": ("search.commands.catalogs", "list the catalog's clusters and what is built into each"),
    "validate": ("search.commands.validate", "predict measured runs and say how far off the predictions are"),
    "fidelity": ("search.commands.fidelity", "how far off they are where nothing was fitted; writes the intervals"),
    "check": ("search.commands.check", "set a benchmark's result against what a run predicted"),
    "calibrate": ("search.commands.calibrate", "fit an engine's constants to your own benchmark runs"),
    "measure": ("search.commands.measure.main", "measure your accelerator and write its efficiency law"),
}


def usage() -> str:
    """The commands: what ``servefront --help`` prints before the help of the search."""
    lines = ["usage: servefront [COMMAND] [arguments]", "       servefront --version", "", "commands:"]
    lines += [f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items()]
    lines += ["", "Each command explains itself with --help. `python -m search` is the same as `servefront`."]
    return "\n".join(lines)


def collect_rarely() -> None:
    """A command is short and makes few cycles: looking for them after every 700 new objects, Python's default, costs
    a tenth of a second of imports and of a study."""
    gc.set_threshold(100_000)


def is_hydras(word: str) -> bool:
    """Whether a first word is an override (``model=x``, ``+experiment=x``, ``~key``) or a flag of the search."""
    return "=" in word or word.startswith(("-", "+", "~"))


def main(arguments: list[str] | None = None) -> int:
    """Dispatch to a command; returns its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"servefront {__version__}")
        return 0
    if arguments in (["-h"], ["--help"]):
        print(usage())
        print()
        arguments = ["search", "--help"]
    if not arguments or is_hydras(arguments[0]):
        arguments = ["search", *arguments]
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        return _said(f"servefront: unknown command {name!r}; known: {', '.join(COMMANDS)}", 2)
    collect_rarely()
    if name in ("models", "hardware", "clusters"):
        rest = [name, *rest]
    return guarded(lambda: int(importlib.import_module(COMMANDS[name][0]).main(rest)))


def guarded(command: Callable[[], int]) -> int:
    """The exit code of a command, whatever it meets: what a command itself has no line for gets one here. With
    ``SERVEFRONT_TRACEBACK`` set, its traceback is shown instead. A reader of its output that went away (`| head`) is no
    error."""
    with output.kept() as out, interrupt.terminable():
        code = _code(command)
        out.flush()
        if out.lost is None or isinstance(out.lost, BrokenPipeError):
            return code
        return _said(f"standard output: {out.lost.strerror or out.lost}", 2)


def _code(command: Callable[[], int]) -> int:
    try:
        return command()
    except interrupt.Terminated:
        return _said("terminated", 143)
    except KeyboardInterrupt:
        return _said("interrupted", 130)
    except MemoryError:
        return _said("out of memory; give a smaller space, or fewer draws", 2)
    except OSError as error:
        return _said(f"{error.filename or 'input or output'}: {error.strerror or error}", 2)
    except Exception as error:
        if os.environ.get("SERVEFRONT_TRACEBACK"):
            raise
        return _said(f"unexpected {type(error).__name__}: {error}; SERVEFRONT_TRACEBACK=1 shows where", 2)


def _said(text: str, code: int) -> int:
    from search.base.escape import message

    print(f"error: {message(text)}", file=sys.stderr)
    return code
