"""Typed access to a config.json's keys. It remembers what was read, so that what was not can be named.

Every complaint is one line: the key, the value, and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.base.errors import InputError

MISSING: Any = object()
LIMIT = 10_000_000  # no width, count or length of a published model comes near


class ConfigError(InputError):
    """A config that cannot be read exactly. The message is one line."""


def shown(value: Any) -> str:
    """``value`` as a message shows it: short, on one line."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**18 else "a number of over 18 digits"
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."


class Fields:
    """One object of a config. ``defaults`` are what transformers takes for absent keys; ``null`` counts as absent.
    ``spelled``: how this config spells our keys, where it has words of its own."""

    def __init__(
        self,
        config: Mapping[str, Any],
        where: str = "",
        defaults: Mapping[str, Any] | None = None,
        spelled: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.where = where
        self.defaults = defaults or {}
        self.spelled = spelled or {}
        self.seen: set[str] = set()

    def key(self, name: str) -> str:
        return f"{self.where}{self.spelled.get(name, name)}"

    def renamed(self, names: Mapping[str, str], defaults: Mapping[str, Any]) -> Fields:
        """The same object with their keys (of ``names``) under ours. Two spellings that disagree are an error."""
        config: dict[str, Any] = {}
        spelled: dict[str, str] = {}
        for theirs, value in self.config.items():
            ours = names.get(theirs, theirs)
            if config.get(ours) is not None and value is not None and config[ours] != value:
                raise ConfigError(
                    f"{self.key(spelled.get(ours, ours))} = {shown(config[ours])} contradicts "
                    f"{self.key(theirs)} = {shown(value)}"
                )
            if config.get(ours) is None:
                config[ours] = value
                if ours != theirs:
                    spelled[ours] = theirs
        return Fields(config, self.where, defaults, spelled)

    def get(self, *names: str, default: Any = MISSING) -> tuple[str, Any]:
        """The first of several spellings that is present, and its value. Two that disagree are an error."""
        self.seen.update(names)
        given = [(n, self.config[n]) for n in names if self.config.get(n) is not None]
        if given:
            for other, value in given[1:]:
                if value != given[0][1] or isinstance(value, bool) != isinstance(given[0][1], bool):
                    raise ConfigError(
                        f"{self.key(given[0][0])} = {shown(given[0][1])} contradicts {self.key(other)} = {shown(value)}"
                    )
            return given[0]
        for name in names:
            if self.defaults.get(name) is not None:
                return name, self.defaults[name]
        if default is MISSING:
            raise ConfigError(f"{self.key(names[0])} is missing; the model's shape depends on it")
        return names[0], default

    def has(self, *names: str) -> bool:
        """Whether any spelling is present and not null."""
        return self.get(*names, default=None)[1] is not None

    def integer(self, *names: str, default: Any = MISSING, low: int = 1, high: int = LIMIT) -> int:
        """A whole number within ``low`` and ``high``."""
        name, value = self.get(*names, default=default)
        if value is default:
            return default  # type: ignore[no-any-return]
        return self.whole(name, value, low, high)

    def whole(self, name: str, value: Any, low: int = 1, high: int = LIMIT) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigError(f"{self.key(name)} = {shown(value)} must be a whole number from {low} to {high}")
        return value

    def flag(self, name: str, default: Any = MISSING) -> bool:
        name, value = self.get(name, default=default)
        if value is not default and not isinstance(value, bool):
            raise ConfigError(f"{self.key(name)} = {shown(value)} must be true or false")
        return bool(value)

    def choice(self, name: str, allowed: Sequence[str], default: Any = MISSING) -> str:
        name, value = self.get(name, default=default)
        if value is not default and (not isinstance(value, str) or value not in allowed):
            raise ConfigError(f"{self.key(name)} = {shown(value)} must be one of {', '.join(allowed)}")
        return value  # type: ignore[no-any-return]

    def text(self, name: str, default: Any = MISSING) -> str:
        name, value = self.get(name, default=default)
        if value is not default and not isinstance(value, str):
            raise ConfigError(f"{self.key(name)} = {shown(value)} must be text")
        return value  # type: ignore[no-any-return]

    def items(self, name: str, default: Any = MISSING) -> list[Any]:
        name, value = self.get(name, default=default)
        if value is not default and not isinstance(value, list):
            raise ConfigError(f"{self.key(name)} = {shown(value)} must be a list")
        return value  # type: ignore[no-any-return]

    def object(self, name: str, defaults: Mapping[str, Any] | None = None) -> Fields | None:
        """A nested object, ``None`` where absent."""
        name, value = self.get(name, default=None)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise ConfigError(f"{self.key(name)} = {shown(value)} must be an object")
        return Fields(value, f"{self.where}{name}.", defaults)

    def expect(self, name: str, *allowed: Any) -> None:
        """A key whose other values mean a structure that is not modelled."""
        name, value = self.get(name, default=None)
        if value is not None and not any(value is a or (value == a and type(value) is type(a)) for a in allowed):
            known = ", ".join(shown(a) for a in allowed) or "null"
            raise ConfigError(f"{self.key(name)} = {shown(value)} is not modelled; allowed: {known}")

    def skip(self, *names: str) -> None:
        """Keys that say nothing new here."""
        self.seen.update(names)

    def unread(self) -> list[str]:
        return [str(name) for name in self.config if name not in self.seen]


def divide(fields: Fields, name: str, whole: int, by: str, part: int) -> int:
    """``whole / part``, which must come out even."""
    if whole % part:
        raise ConfigError(f"{fields.key(name)} = {whole} must be a multiple of {fields.key(by)} = {part}")
    return whole // part
