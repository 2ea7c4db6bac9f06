"""Vision and audio towers: parameters of all that is not the language model, and which part of a config is which."""

from search.inputs.models.towers.wrappers import (
    WRAPPERS,
    LanguagePart,
    Wrapper,
    class_defaults,
    language_part,
    tower_parameters,
)

__all__ = ["WRAPPERS", "LanguagePart", "Wrapper", "class_defaults", "language_part", "tower_parameters"]
