"""Who does the work: this process, several of this machine, or a Ray cluster. The answers are the same, in the same
order."""

from __future__ import annotations

from search.base.workers.local import LOCAL, Finishing, Workers
from search.base.workers.opened import KINDS, opened

__all__ = ["KINDS", "LOCAL", "Finishing", "Workers", "opened"]
