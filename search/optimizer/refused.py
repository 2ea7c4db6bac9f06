"""Which engine refuses a plan, by which rule: asked here by every command."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.engine import ENGINES
from costmodel.plans import Plans
from search.optimizer.legal import first_broken
from search.optimizer.rules.facts import Facts
from search.optimizer.rules.registry import engine_rules, engines_of, general_rules
from search.optimizer.rules.rule import Rule


@dataclass(frozen=True)
class Refused:
    """The first rule that one plan breaks: under ``layout`` if it does not exist at all, then of each engine; ``None``
    where it is taken."""

    layout: Rule | None
    engines: dict[str, Rule | None]

    def first(self, engine: str) -> Rule | None:
        """Why one engine cannot have it: that it does not exist, or the engine's own rule."""
        return self.layout or self.engines[engine]

    def by(self, engine: str) -> list[Rule]:
        """Why the plan is none of ``engine``, which may be ``any``: then each engine's rule. Empty if it is taken."""
        rules = [self.first(name) for name in engines_of(engine)]
        return [] if None in rules else list({rule.name: rule for rule in rules if rule is not None}.values())

    @property
    def takers(self) -> list[bool]:
        """Which of ``ENGINES`` take it."""
        return [self.first(name) is None for name in ENGINES]


def refused(plans: Plans, facts: Facts) -> list[Refused]:
    """One answer a plan."""
    layout = _first(general_rules(), plans, facts)
    engines = {name: _first(engine_rules(name), plans, facts) for name in ENGINES}
    return [Refused(layout[i], {name: rules[i] for name, rules in engines.items()}) for i in range(len(plans))]


def _first(rules: list[Rule], plans: Plans, facts: Facts) -> list[Rule | None]:
    found = [*rules, None]
    return [found[i] for i in first_broken(rules, plans, facts)]
