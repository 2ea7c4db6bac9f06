"""``servefront fleet +fleet=NAME [KEY=VALUE ...]``: several models share accelerators of one or more kinds.

Exit 0: a fleet was planned. 1: not everybody can be served. 2: some input could not be used.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from omegaconf import OmegaConf

from search.base.arguments import Parser
from search.base.errors import InputError
from search.inputs.fleet.read import read_fleet
from search.inputs.run_name import register

FOLDER = "hydra.run.dir="


def main(argv: list[str]) -> int:
    """Read, search, write, print; returns the exit code."""
    options = _parser().parse_intermixed_args(argv)
    from search.commands.folders import claim_run, release
    from search.commands.search import fail, system_line

    register()
    try:
        words = [w for w in options.overrides if not w.startswith(FOLDER)]
        wrong = next((w for w in words if w.startswith("hydra.") or "=" not in w), None)
        if wrong is not None:
            raise InputError(f"{wrong!r} is not allowed; give KEY=VALUE, and of Hydra hydra.run.dir alone")
        fleet = read_fleet(words, options.config_dir)
        folder = _folder([w for w in options.overrides if w.startswith(FOLDER)], fleet.name)
        claim_run(OmegaConf.create({"hydra": {"run": {"dir": str(folder)}}}))
        from search.optimizer.fleet.run import run_fleet
        from search.render.fleet.folder import write_fleet
        from search.render.fleet.terminal import print_fleet, print_written
        from search.render.fleet.words import infeasible

        outcome = run_fleet(fleet)
        write_fleet(folder, outcome)
        if outcome.chosen is None:
            print_written(folder)
            return fail(infeasible(outcome), 1)
        print_fleet(outcome)
        print_written(folder)
        return 0
    except (InputError, OSError) as error:
        return fail(system_line(error) if isinstance(error, OSError) else str(error), InputError.exit_code)
    finally:
        release()


def _folder(given: list[str], name: str) -> Path:
    if not given:
        return Path("outputs", name, f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}")
    text = given[-1].removeprefix(FOLDER).strip("'\"")
    if not text or "\0" in text:
        raise InputError(f"hydra.run.dir: {text!r} is no name of a folder")
    return Path(text)


def _parser() -> Parser:
    parser = Parser(
        prog="servefront fleet",
        description="Several models share accelerators of one or more kinds: everybody's plan, share and accelerator "
        "for least cost, least energy or most served (docs/fleet.md).",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="+fleet=NAME chooses a file of conf/fleet; fleet.KEY=VALUE changes it, other keys change every model's "
        "search (limits.tpot_s=0.04), hydra.run.dir=FOLDER says where to write",
    )
    parser.add_argument("--config-dir", type=Path, metavar="FOLDER", help="a folder of your own with the same groups")
    return parser
