"""The Hydra program around ``search.optimizer.run``: exit codes, one line an error, sweeps that outlive a bad job.

Exit 0: a plan was recommended (by every job of a sweep). 1: some search found no feasible plan. 2: some input could
not be used. 130: somebody ended it early (Ctrl-C), and what was found until then is written.
"""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from search.base import interrupt
from search.base.arguments import Parser
from search.base.errors import InputError, NoFeasiblePlan
from search.base.escape import plain
from search.base.paths import conf_dir
from search.base.whole_file import put_text
from search.commands import launcher, one_composition
from search.commands.folders import Refused, claimed, forget_claimed, release, sweep_of, sweeps
from search.commands.job import ENDED, begun, fail, failures, job, system_line, unexpected
from search.commands.resume import WORD, NothingToDo, resumed
from search.commands.sweep import BROKEN, PARTIAL, job_folders, job_status
from search.inputs import config_source
from search.inputs.aliases import by_file_name
from search.inputs.compose import PARSERS, missing_option, one_line
from search.inputs.typed import explain

if TYPE_CHECKING:  # what draws a sweep is imported where one ends
    from search.render.sweeps import Sweep

__all__ = ["fail", "main", "system_line"]
SAID = "interrupted: ending with what was found so far; once more ends at once"


def main(arguments: list[str]) -> int:
    """Run Hydra on ``arguments`` and return the exit code."""
    if not {"-h", "--help"}.isdisjoint(arguments):
        from search.commands import search_help

        print(search_help.text(arguments))
        return 0
    config_source.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hand exceptions over instead of printing them
    old, here = sys.argv, None
    sweeps.clear()
    failures.clear()
    unexpected.clear()
    begun[:] = [os.getpid()]
    launcher.register()
    try:
        if any(word.startswith(WORD) for word in arguments):
            here = os.getcwd()
            arguments = resumed(arguments)
        one_composition.register(check_flags(arguments))
        sys.argv = ["search", *by_file_name(arguments)]
        with interrupt.heeded(SAID):
            _program()
            ended = interrupt.asked()
    except NothingToDo as done:
        print(done)
        return 0
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
        line = system_line(error, claimed())
        forget_claimed()
        return fail(line, InputError.exit_code)
    except PARSERS as error:
        return fail(config_source.parser_line(error, arguments), InputError.exit_code)
    finally:
        sys.argv = old
        if here is not None:
            os.chdir(here)
        release()
    if unexpected:
        raise unexpected[0]
    for message, code in failures:
        fail(message, code)
    worst = max((code for _, code in failures), default=0)
    if sweeps:
        worst = max(worst, sweep_code(sweeps[-1]), ENDED if ended else 0)
    return worst


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


_program = hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")(job)


def sweep_code(folder: Path) -> int:
    """The exit code of a sweep: the worst of its jobs."""
    summaries = {job.name: job_status(job) for job in job_folders(folder)}
    statuses = {summary["status"] for summary in summaries.values()}
    if not statuses:
        return fail(f"hydra.sweep.dir: {folder}: the sweep has no jobs; its values select none", InputError.exit_code)
    written = [folder / "sweep.csv"]
    if written[0].is_file():
        from search.render.sweep_table import print_sweep
        from search.render.sweeps import read_sweep

        sweep = read_sweep(written[0], summaries)
        print_sweep(sweep)
        if any(job.has_page for job in sweep.jobs):  # not under report=none
            written.append(folder / "sweep.html")
            put_text(written[1], sweep_page(sweep, folder))
    print(f"Sweep written to {' and '.join(plain(shlex.quote(str(path))) for path in written)}")
    if PARTIAL in statuses:
        return ENDED
    if BROKEN in statuses:
        return InputError.exit_code
    return 0 if statuses == {"ok"} else NoFeasiblePlan.exit_code


def sweep_page(sweep: Sweep, folder: Path) -> str:
    """``sweep.html``."""
    from search.render import sweep_page as page

    return page.render(sweep, shlex.join(["servefront", "-m", *map(str, sweep_of(folder) or [])]))
