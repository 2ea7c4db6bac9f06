"""One search of the Hydra program, in whatever process its launcher chose: what it writes, prints and leaves behind."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from search.base import interrupt
from search.base.errors import InputError, NoFeasiblePlan
from search.base.escape import message as readable
from search.base.escape import plain
from search.base.workers.local import inside
from search.base.workers.remembered import forget as forget_progress
from search.commands.folders import clear_partial, forget, kept, release
from search.commands.sweep import BROKEN, write_status
from search.inputs import run_name
from search.inputs.costs import dated
from search.inputs.own_model import own_model
from search.inputs.typed import typed

run_name.register()  # a launcher's process composes with it, and imports this alone
ENDED = 130  # as a shell has it for SIGINT
# What the jobs of this process left behind for ``main``: Hydra itself only knows success and a stack trace.
failures: list[tuple[str, int]] = []  # message and exit code
unexpected: list[Exception] = []  # what no input should raise: the last guard, in ``search.cli``, has a line for it
begun: list[int] = []  # the process that runs ``main``: under a launcher, jobs are in others


class EndedEarly(Exception):
    """What was found until then is written."""


def fail(message: str, code: int) -> int:
    """Say what went wrong, in one line on standard error."""
    if not message:  # it was said when it happened
        return code
    kind = "error" if code == InputError.exit_code else "infeasible"
    print(f"{kind}: {readable(message)}", file=sys.stderr)
    return code


def job(config: DictConfig) -> None:
    """One search, or one of a sweep, in whatever process its launcher chose."""
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    many = hydra_config.mode == RunMode.MULTIRUN
    prefix = f"job {folder.name}: " if many else ""
    try:
        search_once(config, folder, hydra_config.runtime.choices.get("model"), hydra_config.overrides.task)
    except NoFeasiblePlan as error:
        _failed(f"{prefix}{error}", NoFeasiblePlan.exit_code)
    except EndedEarly:
        _failed("", ENDED)
    except interrupt.Nothing:
        forget(folder)
        if not many:
            raise
    except (InputError, OSError) as error:
        message = system_line(error) if isinstance(error, OSError) else str(error)
        _failed(f"{prefix}{message}", InputError.exit_code)
        with suppress(OSError):
            if many:
                write_status(folder, BROKEN, message)
            else:
                forget(folder)
    except Exception as error:  # Hydra would print it, with the overrides
        if not _here():
            raise
        unexpected.append(error)
        with suppress(OSError):
            if many:
                write_status(folder, BROKEN, f"{type(error).__name__}: {error}")
            else:
                forget(folder)
    finally:
        if many:
            release(folder)


def _here() -> bool:
    return begun == [os.getpid()]


def _failed(message: str, code: int) -> None:
    """For ``main``; a process that some launcher started has to say it itself."""
    failures.append((message, code))
    if not _here() and not inside():
        fail(message, code)


def search_once(config: DictConfig, folder: Path, model: str | None, overrides: Sequence[str]) -> None:
    """Search, write the run, print it; raises ``InputError``, ``NoFeasiblePlan`` or ``EndedEarly``. ``model``:
    the chosen option of that group."""
    settings = dated(own_model(typed(config), model, overrides), overrides)
    from search.optimizer.run import run
    from search.render.run_folder import write_run
    from search.render.terminal import infeasible_message, print_outcome, print_written

    if kept(folder, settings):
        return
    outcome = replace(run(settings, folder=folder), command=shlex.join(["servefront", *overrides]))
    for warning in outcome.warnings:
        print(f"warning: {plain(warning)}", file=sys.stderr)
    clear_partial(folder)
    write_run(folder, outcome)
    if not outcome.partial:
        forget_progress(folder)
    if outcome.choice is None:
        print_written(folder)
        if not outcome.partial:
            raise NoFeasiblePlan(infeasible_message(outcome))
    else:
        print_outcome(outcome, folder)
    if outcome.partial:
        raise EndedEarly


def system_line(error: OSError, nameless: str = "standard output") -> str:
    """What the system refused, and of which file. ``nameless``: what it can only be where the system names none."""
    return f"{error.filename or nameless}: {error.strerror or error}"
