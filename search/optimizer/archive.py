"""Every plan that was scored, scored once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.plans import IntArray, Plans
from costmodel.plans import concatenate as join_plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from costmodel.scores import concatenate as join_scores
from search.optimizer.legal import Legal


@dataclass
class Archive:
    """Rows in the order in which they were first asked for. ``repeats`` counts later askings of the same plan."""

    scenario: Scenario
    legal: Legal
    repeats: int = 0
    row_of: dict[int, int] = field(default_factory=dict)  # place in ``legal`` -> row
    _plans: list[Plans] = field(default_factory=list)
    _scores: list[Scores] = field(default_factory=list)

    def score(self, places: IntArray) -> IntArray:
        """Rows of the legal plans at ``places``; those not seen before are evaluated together."""
        new = list(dict.fromkeys(int(p) for p in places if int(p) not in self.row_of))
        if new:
            plans = self.legal.at(np.array(new))
            for place in new:
                self.row_of[place] = len(self.row_of)
            self._plans.append(plans)
            self._scores.append(evaluate(self.scenario, plans))
        self.repeats += len(places) - len(new)
        return np.array([self.row_of[int(p)] for p in places])

    def places(self) -> IntArray:
        """The place in ``legal`` of every row."""
        return np.array(list(self.row_of), dtype=np.int64)

    def contents(self) -> tuple[Plans, Scores]:
        """All rows."""
        if len(self._plans) > 1:
            self._plans, self._scores = [join_plans(self._plans)], [join_scores(self._scores)]
        return self._plans[0], self._scores[0]
