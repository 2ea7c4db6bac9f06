"""A plan whose claims are judged, with the parts that verdicts are explained by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from costmodel.evaluate import evaluate
from costmodel.formats import BF16
from costmodel.parameters import weight_bytes
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.scores import Scores
from search.render.document.account import ModuleWeights, Reading, decode_reading, module_weights, scalar
from search.render.document.spans import COUNTED, span, within
from search.render.document.steady import Steady, steady


@dataclass(frozen=True)
class Meaning:
    """One way to read a figure: its value under it, and how that comes about. ``exact``: the value is counted, whatever
    the figure's interval is."""

    name: str
    value: float
    arithmetic: str
    exact: bool = False


@dataclass(frozen=True)
class Case:
    """A plan (one row) with its scores. Derived parts are computed when they are asked for."""

    scenario: Scenario
    plan: Plans
    scores: Scores

    def score(self, name: str) -> float:
        return scalar(getattr(self.scores, name))

    def span(self, name: str, meaning: Meaning) -> tuple[float, float]:
        """(low, high) around a meaning's value, within which a claim of it holds."""
        if meaning.exact:
            return within(meaning.value, COUNTED)
        return span(name, meaning.value, self.scenario, self.plan, self.scores)

    @property
    def gpus(self) -> int:
        return int(self.plan.gpus[0])

    @property
    def replicas(self) -> int:
        return int(self.plan.dp[0])

    @property
    def in_flight(self) -> int:
        """Sequences of the whole deployment."""
        return int(self.plan.dp[0] * self.plan.batch[0])

    @cached_property
    def steady(self) -> Steady:
        return steady(self.scenario, self.plan)

    @cached_property
    def reading(self) -> Reading:
        return decode_reading(self.scenario, self.plan)

    @cached_property
    def modules(self) -> list[ModuleWeights]:
        return module_weights(self.scenario, self.plan)

    @cached_property
    def alone(self) -> Scores:
        """The same layout with one sequence."""
        return evaluate(self.scenario, replace(self.plan, batch=0 * self.plan.batch + 1))

    @cached_property
    def whole_prompts(self) -> Scores:
        """The same plan with its batch prefilled in one pass, however many tokens that is."""
        tokens = int(self.steady.sequences * self.scenario.lengths.new)
        engine = replace(self.scenario.engine, max_batched_tokens=max(tokens, 1))
        return evaluate(replace(self.scenario, engine=engine), self.plan)

    @cached_property
    def model_bytes(self) -> float:
        """One copy of the model."""
        model = self.scenario.model
        return sum(weight_bytes(model).values()) + model.vision_parameters * BF16.bytes_per_element
