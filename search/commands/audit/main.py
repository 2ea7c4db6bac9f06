"""``servefront audit PLAN.yaml`` or ``--vllm "vllm serve ..."``: a plan that somebody wrote, or a command that
somebody runs, against the model.

Exit 0: every claim holds. 1: some claim fails, claims contradict each other or the layout, something measured is far
from what is predicted, or it does not start or run. 2: some input could not be used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from costmodel.engine import ENGINES
from search.base.arguments import Parser
from search.base.errors import InputError
from search.base.whole_file import usable_out
from search.commands.audit.audited import Audit, audit_command, audit_plan, with_measured
from search.commands.audit.command import read_command
from search.commands.audit.inputs import OVERRIDE, read_config, split_words, with_model, with_version
from search.commands.audit.settings import launched
from search.inputs.plan_reader import MOST_CLAIMED
from search.inputs.split.machines import POOLS

MOST = 10_000_000


def main(argv: list[str]) -> int:
    """Read, judge, print; returns the exit code."""
    from search.commands.search import fail, system_line

    options = _parser().parse_intermixed_args(argv)
    try:
        if options.json is not None:
            if OVERRIDE.match(str(options.json)):
                raise InputError(f"--json {options.json}: is an override; give the file to write first, --json FILE")
            usable_out("--json", options.json)
        audits, origin = run(options)
        from search.commands.audit.report import print_audits

        if options.json is not None:
            from search.commands.audit.record import write_records

            write_records(audits, origin, options.json)
        print_audits(audits, origin)
    except InputError as error:
        return fail(str(error), InputError.exit_code)
    except OSError as error:
        return fail(system_line(error), InputError.exit_code)
    return 0 if all(audit.passed for audit in audits) else 1


def run(options: argparse.Namespace) -> tuple[list[Audit], str]:
    """The audits of what the options name, and where the configuration comes from."""
    path, overrides = split_words(options.words)
    commands = [(engine, text) for engine in ENGINES if (text := getattr(options, engine)) is not None]
    if len(commands) + (path is not None) > 1:
        raise InputError("PLAN: give one of a plan, --vllm, --sglang and --trtllm")
    for name in ("batch", "command", "pool"):
        if getattr(options, name) is not None and not commands:
            raise InputError(f"--{name}: a plan says its own; it is for --vllm, --sglang and --trtllm")
    claims, measurements = _figures("--claim", options.claim), _figures("--measured", options.measured)
    config, origin = read_config(path, options.run, options.experiment, overrides, options.config_dir)
    if commands:
        command = read_command(*commands[0], options.command)
        config, model = with_model(config, command, overrides)
        config, version = with_version(config, *commands[0], overrides)
        found = launched(command, config, _whole("--replicas", options.replicas, 1), options.pool)
        batch = None if options.batch is None else _whole("--batch", options.batch, 1)
        return [with_measured(audit_command(command, found, claims, batch, (model, *version)), measurements)], origin
    if options.replicas is not None:
        raise InputError("--replicas: a plan says its own, layout.dp; it is for --vllm, --sglang and --trtllm")
    from search.inputs.plan_reader import read_plan_file

    plans = [read_plan_file(path)] if path is not None else list(config.baselines)
    if options.baseline is not None:
        plans = [p for p in plans if p.name == options.baseline]
        if not plans:
            raise InputError(f"--baseline: there is no plan {options.baseline!r}")
    if not plans:
        raise InputError("PLAN: no plan is given, and the configuration has no baselines")
    audits = [audit_plan(config, replace(p, claims={**p.claims, **claims})) for p in plans]
    return [with_measured(audit, measurements) for audit in audits], origin


def _figures(option: str, given: Sequence[str]) -> dict[str, float]:
    from costmodel.columns import COLUMNS

    claims = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in COLUMNS:
            raise InputError(f"{option}: unknown figure {name!r}; known: {', '.join(COLUMNS)}")
        if not 0.0 <= number <= MOST_CLAIMED:
            raise InputError(f"{option} {name}: {value!r} is not allowed; give a number from 0 to {MOST_CLAIMED:g}")
        claims[name] = number
    return claims


def _whole(option: str, value: int | None, default: int) -> int:
    if value is None:
        return default
    if not 1 <= value <= MOST:
        raise InputError(f"{option}: {value} is not allowed; give a whole number from 1 to {MOST}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="servefront audit",
        description="Set a plan that somebody wrote, or a command that somebody runs, against the model.",
    )
    parser.add_argument(
        "words", nargs="*", metavar="PLAN.yaml | key=value",
        help="the plan (none: the baselines of the configuration), and overrides as after `python -m search`",
    )  # fmt: skip
    parser.add_argument("--vllm", metavar="COMMAND", help='a command, as "vllm serve ..."; it is read, never run')
    parser.add_argument("--sglang", metavar="COMMAND", help='a command, as "python -m sglang.launch_server ..."')
    parser.add_argument("--trtllm", metavar="COMMAND", help='a command, as "trtllm-serve ..."')
    parser.add_argument(
        "--command", type=int, metavar="N", help="of several servers in the text, the N-th (default: 1)"
    )
    parser.add_argument("--run", type=Path, metavar="RUN", help="folder of a run: its configuration is the scenario")
    parser.add_argument("--experiment", metavar="NAME", help="an experiment of conf/experiment")
    parser.add_argument("--config-dir", type=Path, metavar="FOLDER", help="configuration files of your own")
    parser.add_argument("--baseline", metavar="NAME", help="of several plans, the one of this name")
    parser.add_argument(
        "--claim", action="append", default=[], metavar="FIGURE=VALUE", help="one more claim, as tpot_s=0.02; SI units"
    )
    parser.add_argument(
        "--measured", action="append", default=[], metavar="FIGURE=VALUE",
        help="what was measured; far from what is predicted, better or worse, it is flagged",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, help="sequences in flight per replica of a command (default: as admitted)")
    parser.add_argument("--replicas", type=int, help="servers that run the command behind a balancer (default: 1)")
    parser.add_argument("--pool", choices=POOLS, help="of a command of a split plan that does not say it: which pool")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the audit as JSON too")
    return parser
