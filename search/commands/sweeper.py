"""Hydra's own sweeper, less what our launcher does again. Imported once ``Plugins`` is there: it reads Hydra's modules
anew, and what they defined before is not what runs."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class Sweeper(BasicSweeper):
    """Leaves it to a launcher that composes all jobs before the first begins to see that they can be."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        if not getattr(self.launcher, "composes_first", False):
            super().validate_batch_is_legal(batch)
