"""A shell command, word by word. Text is always quoted; what the shell is to expand has a type of its own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

# Control characters, line ends of Unicode and what lies outside the planes that text uses.
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\u2027\u202f-\ud7ff\ue000-\ufffd]")


@dataclass(frozen=True)
class Variable:
    """A shell variable, by its name."""

    name: str


@dataclass(frozen=True)
class Expansion:
    """Shell code written in this package, from fixed text and numbers only; variables in it stand in double quotes."""

    code: str


Word = str | int | Variable | Expansion
Values = Mapping[str, Word]


def word(value: Word, values: Values | None = None) -> str:
    """A word as the shell reads it. A variable stands in double quotes, or as its value where ``values`` has one."""
    if isinstance(value, Variable):
        known = (values or {}).get(value.name)
        return f'"${{{value.name}}}"' if known is None else word(known)
    if isinstance(value, Expansion):
        code = value.code
        for name, text in (values or {}).items():
            if f"${{{name}}}" in code:
                code = code.replace(f"${{{name}}}", word(text).strip('"'))
        return code
    return shlex.quote(str(value))


@dataclass(frozen=True)
class Command:
    """A program with its first arguments, and flags each with its value."""

    program: tuple[Word, ...]
    flags: tuple[tuple[Word, ...], ...]

    def one_line(self, values: Values | None = None) -> str:
        """For a prompt."""
        words = [*self.program, *(w for flag in self.flags for w in flag)]
        return " ".join(word(w, values) for w in words)

    def many_lines(self) -> str:
        """For a script: a flag a line."""
        groups = [self.program, *self.flags]
        return " \\\n  ".join(" ".join(word(w) for w in group) for group in groups)


def comment(line: str) -> str:
    """A line that neither a shell nor a YAML reader acts on: what could end it is a space."""
    return f"# {_UNPRINTABLE.sub(' ', line)}".rstrip()
