"""The Hydra program around ``search.optimizer.run``: exit codes, one line an error, sweeps that outlive a bad job.

Exit 0: a plan was recommended (by every job of a sweep). 1: some search found no feasible plan. 2: some input could
not be used.
"""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from search.base.arguments import Parser
from search.base.errors import InputError, NoFeasiblePlan
from search.base.escape import message as readable
from search.base.escape import plain
from search.base.paths import conf_dir
from search.commands import one_composition
from search.commands.folders import Refused, forget, kept, release, sweeps
from search.commands.sweep import BROKEN, job_folders, job_status, write_status
from search.inputs import config_source
from search.inputs.aliases import by_file_name
from search.inputs.compose import PARSERS, missing_option, one_line
from search.inputs.own_model import own_model
from search.inputs.run_name import register
from search.inputs.typed import explain, typed

# What the jobs of this process left behind for ``main``: Hydra itself only knows success and a stack trace.
_failures: list[tuple[str, int]] = []  # message and exit code
_unexpected: list[Exception] = []  # what no input should raise: the last guard, in ``search.cli``, has a line for it


def main(arguments: list[str]) -> int:
    """Run Hydra on ``arguments`` and return the exit code."""
    if not {"-h", "--help"}.isdisjoint(arguments):
        from search.commands import search_help

        print(search_help.text(arguments))
        return 0
    register()
    config_source.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hand exceptions over instead of printing them
    old = sys.argv
    sweeps.clear()
    _failures.clear()
    _unexpected.clear()
    try:
        one_composition.register(check_flags(arguments))
        sys.argv = ["search", *by_file_name(arguments)]
        _job()
    except Refused as error:
        return fail(str(error), InputError.exit_code)
    except InputError as error:
        return fail(str(error), InputError.exit_code)
    except MissingConfigException as error:
        return fail(missing_option(error), InputError.exit_code)
    except OmegaConfBaseException as error:
        return fail(explain(error), InputError.exit_code)
    except HydraException as error:
        return fail(one_line(error), InputError.exit_code)
    except OSError as error:
        return fail(system_line(error), InputError.exit_code)
    except PARSERS as error:
        return fail(config_source.parser_line(error, arguments), InputError.exit_code)
    finally:
        sys.argv = old
        release()
    if _unexpected:
        raise _unexpected[0]
    for message, code in _failures:
        fail(message, code)
    worst = max((code for _, code in _failures), default=0)
    return max(worst, sweep_code(sweeps[-1])) if sweeps else worst


def check_flags(arguments: Sequence[str]) -> Namespace:
    """Hydra's own flags, read before Hydra does: an error is a line, not its usage."""
    parser = get_args_parser()
    parser.__class__ = Parser
    parser.prog = "servefront search"
    given = parser.parse_args(list(arguments))
    if given.experimental_rerun is not None:
        raise InputError("--experimental-rerun: unpickles a file, which would run code in it; give overrides")
    for flag in ("config_dir", "config_path"):
        if "\0" in (getattr(given, flag) or ""):
            raise InputError(f"--{flag.replace('_', '-')}: is no name of a folder")
    return given


def fail(message: str, code: int) -> int:
    """Say what went wrong, in one line on standard error."""
    kind = "error" if code == InputError.exit_code else "infeasible"
    print(f"{kind}: {readable(message)}", file=sys.stderr)
    return code


@hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")
def _job(config: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    prefix = ""
    if hydra_config.mode == RunMode.MULTIRUN:
        prefix = f"job {folder.name}: "
    try:
        search_once(config, folder, hydra_config.runtime.choices.get("model"), hydra_config.overrides.task)
    except NoFeasiblePlan as error:
        _failures.append((f"{prefix}{error}", NoFeasiblePlan.exit_code))
    except (InputError, OSError) as error:
        message = system_line(error) if isinstance(error, OSError) else str(error)
        _failures.append((f"{prefix}{message}", InputError.exit_code))
        with suppress(OSError):
            if hydra_config.mode == RunMode.MULTIRUN:
                write_status(folder, BROKEN, message)
            else:
                forget(folder)
    except Exception as error:  # Hydra would print it, with the overrides
        _unexpected.append(error)
    finally:
        if hydra_config.mode == RunMode.MULTIRUN:
            release(folder)


def search_once(config: DictConfig, folder: Path, model: str | None, overrides: Sequence[str]) -> None:
    """Search, write the run, print it; raises ``InputError`` or ``NoFeasiblePlan``. ``model``: the chosen option of
    that group."""
    settings = own_model(typed(config), model, overrides)
    from search.optimizer.run import run
    from search.render.run_folder import write_run
    from search.render.terminal import infeasible_message, print_outcome, print_written

    if kept(folder, settings):
        return
    outcome = run(settings)
    for warning in outcome.warnings:
        print(f"warning: {plain(warning)}", file=sys.stderr)
    write_run(folder, outcome)
    if outcome.choice is None:
        print_written(folder)
        raise NoFeasiblePlan(infeasible_message(outcome))
    print_outcome(outcome, folder)


def sweep_code(folder: Path) -> int:
    """The exit code of a sweep: the worst of its jobs."""
    statuses = {job_status(job)["status"] for job in job_folders(folder)}
    if not statuses:
        return fail(f"hydra.sweep.dir: {folder}: the sweep has no jobs; its values select none", InputError.exit_code)
    if (folder / "sweep.csv").is_file():
        from search.render.sweep_table import print_sweep

        print_sweep(folder / "sweep.csv")
    print(f"Sweep written to {plain(shlex.quote(str(folder / 'sweep.csv')))}")
    if BROKEN in statuses:
        return InputError.exit_code
    return 0 if statuses == {"ok"} else NoFeasiblePlan.exit_code


def system_line(error: OSError) -> str:
    """What the system refused, and of which file."""
    return f"{error.filename or 'file'}: {error.strerror or error}"
