"""Which run a document is about: its date, the program, the configuration by its hash, the command."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime

from search import __version__
from search.inputs.saved_run import config_text
from search.optimizer.outcome import Outcome
from search.render.document.view import Values

SHOWN = 12  # letters of a run's identity
EPOCH = "SOURCE_DATE_EPOCH"  # of reproducible builds: the day that documents are dated in its place


def identity_values(outcome: Outcome) -> Values:
    """Keys ``run.``. The run's identity is that of its configuration and the program, which together fix the result:
    the same search has the same one. ``config`` is the SHA-256 of ``config.yaml``, as ``sha256sum`` prints it."""
    config = hashlib.sha256(config_text(outcome.asked or outcome.config).encode()).hexdigest()
    identity = hashlib.sha256(f"{__version__} {config}".encode()).hexdigest()[:SHOWN]
    values: Values = {"date": today(), "version": __version__, "id": identity, "config": config}
    if outcome.command:
        values["command"] = outcome.command
    return {f"run.{key}": value for key, value in values.items()}


def today() -> str:
    """The day in UTC, or that of ``SOURCE_DATE_EPOCH``."""
    given = os.environ.get(EPOCH, "")
    moment = datetime.fromtimestamp(int(given), UTC) if given.isdigit() else datetime.now(UTC)
    return moment.date().isoformat()
