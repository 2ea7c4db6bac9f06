"""Vision and audio towers: parameters of all that is not the language model, and which part of a config is which."""

from search.inputs.models.towers.defaults import class_defaults
from search.inputs.models.towers.language import LanguagePart, language_part, rows, tower_parameters
from search.inputs.models.towers.wrappers import INNER, INNER_TRAITS, UNTIED, WRAPPERS, Wrapper

__all__ = [
    "INNER",
    "INNER_TRAITS",
    "UNTIED",
    "WRAPPERS",
    "LanguagePart",
    "Wrapper",
    "class_defaults",
    "language_part",
    "rows",
    "tower_parameters",
]
