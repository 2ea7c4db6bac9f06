"""What a search found: the record that everything which people read is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import optuna

from costmodel.plans import IntArray, Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.inputs.schema import Config
from search.optimizer.baselines import Baseline
from search.optimizer.front import Objectives
from search.optimizer.legal import Legal
from search.optimizer.recommend import Choice, Policy
from search.optimizer.sensitivity.records import Sensitivity
from search.optimizer.space import Space
from search.optimizer.verify import Verified


@dataclass(frozen=True)
class StudyReport:
    """What Optuna did: its study, how many trials, how many of them had been scored before, and the share of the exact
    hypervolume that its trials reach (``None`` without the exact front)."""

    study: optuna.Study
    trials: int
    repeats: int
    hypervolume_share: float | None


@dataclass(frozen=True)
class Outcome:
    """Everything that the documents are rendered from. ``plans`` and ``scores`` hold every plan that was scored (all
    legal ones when ``exact``), ``engines`` which engine takes each, ``coverage`` how well measurements cover it (an
    index into ``search.evidence.measured.intervals.CLASSES``); ``front`` and ``choice`` are rows of them, the
    recommended plan always one of the front. ``verified``: plans that were simulated, the
    leading one first. ``warnings``: what is odd about the input, one line each; they stand among
    the ``assumptions`` too."""

    config: Config
    scenario: Scenario
    assumptions: tuple[str, ...]
    space: Space
    legal: Legal
    objectives: Objectives
    policy: Policy
    plans: Plans
    scores: Scores
    engines: np.ndarray
    coverage: IntArray
    exact: bool
    front: IntArray
    choice: Choice | None
    study: StudyReport | None
    baselines: tuple[Baseline, ...]
    seconds: dict[str, float]
    sensitivity: Sensitivity | None = None
    verified: tuple[Verified, ...] = ()
    warnings: tuple[str, ...] = ()
