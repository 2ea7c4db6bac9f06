"""Hydra composes a configuration twice: once to see whether a file of it sets ``hydra.mode``, once to run.

No file of ``conf/`` does (a test holds that), so the first is left out where no other file is read and no word of the
command line speaks to Hydra of more than where to write: a sixth of a short search.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import hydra._internal.hydra as hydras

_AS_IT_IS = hydras.Hydra
WRITES = ("hydra.run.dir=", "hydra.sweep.dir=", "hydra.sweep.subdir=", "hydra.job.name=")


class Hydra(hydras.Hydra):
    """Hydra's program, whose mode is known before anything is composed."""

    def get_mode(self, config_name: str | None, overrides: list[str]) -> Any:
        """``None``: nobody sets it, and the flags of the command line decide."""
        return None


def undecided(given: Namespace) -> bool:
    """Whether the words of a command line leave ``hydra.mode`` to ``-m`` alone."""
    if given.config_dir or given.config_path or given.config_name:
        return False
    return all(w.startswith(WRITES) or not w.lstrip("+~").startswith("hydra") for w in given.overrides)


def register(given: Namespace) -> None:
    """For the next ``hydra.main``; ``given``: its command line, parsed."""
    hydras.Hydra = Hydra if undecided(given) else _AS_IT_IS  # type: ignore[misc]
