"""The flag ``--plan`` of the commands on a run's plan (``search.inputs.saved_run.named_plan`` reads it)."""

from __future__ import annotations

import argparse


def add_plan(parser: argparse.ArgumentParser, more: str = "") -> None:
    """``more``: what this command takes besides."""
    parser.add_argument(
        "--plan", default="recommended", metavar="PLAN",
        help="recommended (default), a row of pareto.csv (1 is the first), changes to the recommended plan such as "
        f"tp=4,ep=8,batch=128, or the path of a plan.yaml{more and f'; {more}'}",
    )  # fmt: skip
