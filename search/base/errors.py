"""The two ways a run can end badly, and their exit codes."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used: one line that names the key, the value and what is allowed. Exit 2."""

    exit_code = 2


class NoFeasiblePlan(Exception):
    """The search worked and nothing keeps every limit; the message tells the nearest plans. Exit 1."""

    exit_code = 1
