"""Legality: which layouts exist, and which an engine takes."""

from search.rules.facts import Facts, facts_of
from search.rules.rule import ENGINES, Rule, engine_rules, general_rules

__all__ = ["ENGINES", "Facts", "Rule", "engine_rules", "facts_of", "general_rules"]
