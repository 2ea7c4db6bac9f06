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
from search.optimizer.decode_context import Dealt
from search.optimizer.front import Objectives
from search.optimizer.full.found import FullFound
from search.optimizer.legal import Legal
from search.optimizer.recommend import Choice, Policy
from search.optimizer.regimes import Regimes
from search.optimizer.sensitivity.records import Sensitivity
from search.optimizer.space import Space
from search.optimizer.speculation.search import SpeculationFound
from search.optimizer.split.search import SplitFound
from search.optimizer.split.verdict import Verdict
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
class Tally:
    """Every plan that was scored, counted once: ``feasible``, or under the first limit that it misses (``missed``, in
    the order of the scores' limits). ``spared``: of them, plans that a bound settled without scoring: more of a
    layout's sequences never take less memory (``search.optimizer.stream.fitting``); ``late``: those that the floor of
    the time to first token did (``search.optimizer.settled``)."""

    scored: int
    feasible: int
    missed: tuple[int, ...]
    spared: int = 0
    late: int = 0

    @classmethod
    def of(cls, scores: Scores) -> Tally:
        missed = np.bincount(scores.first_violated() + 1, minlength=len(scores.limits) + 1).tolist()
        return cls(len(scores), missed[0], tuple(missed[1:]))

    @property
    def counts(self) -> IntArray:
        """As an array, which other processes send."""
        return np.array([self.scored, self.feasible, self.spared, self.late, *self.missed])

    @classmethod
    def counted(cls, counts: IntArray) -> Tally:
        scored, feasible, spared, late, *missed = (int(n) for n in counts)
        return cls(scored, feasible, tuple(missed), spared, late)

    def __add__(self, other: Tally) -> Tally:
        missed = tuple(a + b for a, b in zip(self.missed, other.missed, strict=True))
        return Tally(
            self.scored + other.scored,
            self.feasible + other.feasible,
            missed,
            self.spared + other.spared,
            self.late + other.late,
        )


@dataclass(frozen=True)
class Compared:
    """One of the engines that were compared: its own ``outcome``, ``None`` where no plan is legal for it (``refused``
    says why). ``gain``: its best plan's deciding column over the recommended one's, positive where it would be better;
    ``apart``: its interval does not reach the recommended plan's prediction. ``None`` without a feasible plan."""

    engine: str
    outcome: Outcome | None
    refused: str = ""
    gain: float | None = None
    apart: bool | None = None


@dataclass(frozen=True)
class Outcome:
    """Everything that the documents are rendered from. ``plans`` and ``scores`` hold every plan that was scored (all
    legal ones when ``exact``), or, of more than are held at once (``tally`` counts them all), those that something may
    be asked about (``search.optimizer.stream``), ``sample`` of them drawn at random. ``engines`` which engine takes
    each, ``coverage`` how well measurements cover it (an index into ``search.evidence.measured.intervals.CLASSES``);
    ``front`` and ``choice`` are rows of them, the recommended plan always one of the front. ``warnings``: what is odd
    about the input, or that it was ended early, one line each; they stand among the ``assumptions`` too. Where engines
    were compared, ``compared`` holds all of them, this one too, in their order, and ``asked`` the configuration that
    compares; ``config`` is always of one engine. ``split``: what a search of split plans found, and the ``verdict``
    between its best and the recommended one; ``None`` where only aggregated plans were asked for. ``speculation``: what
    drafters come to, and ``drafted`` the verdict where both sides may draft; ``None`` without any. ``dealt``: the best
    plans with decode context parallelism. ``verified``: plans that were simulated, the leading one first. ``partial``:
    stages that were cut short or left out because somebody asked to end. ``workers``: who scored, and how many.
    ``regimes``: which plan wins at other rates and limits. ``command``:
    what somebody typed, empty where nobody did."""

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
    regimes: Regimes | None = None
    warnings: tuple[str, ...] = ()
    split: SplitFound | None = None
    verdict: Verdict | None = None
    drafted: Verdict | None = None
    speculation: SpeculationFound | None = None
    dealt: tuple[Dealt, ...] = ()
    tally: Tally | None = None
    sample: IntArray | None = None
    compared: tuple[Compared, ...] = ()
    asked: Config | None = None
    command: str = ""
    full: FullFound | None = None
    partial: tuple[str, ...] = ()
    workers: tuple[str, int] = ("local", 1)

    @property
    def counted(self) -> Tally:
        """Every scored plan, held or not."""
        return self.tally or Tally.of(self.scores)

    @property
    def engine(self) -> str:
        """Whose constants its plans are scored with."""
        return self.scenario.engine.name

    @property
    def each(self) -> tuple[Outcome, ...]:
        """The outcomes of all engines that were searched; this one alone where none were compared."""
        found = tuple(c.outcome for c in self.compared if c.outcome is not None)
        return found or (self,)
