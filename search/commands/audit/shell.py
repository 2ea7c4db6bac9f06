"""Shell text as a shell would cut it: simple commands of words. Nothing is run or expanded.

POSIX.1-2024, XCU 2.3 (tokens) and 2.9 (commands), as far as launch scripts use them: quotes, backslashes, comments,
newlines, operators, redirections. ``$(...)`` and backquotes stay as they stand, inside their word.
"""

from __future__ import annotations

from dataclasses import dataclass

from search.base.errors import InputError

MAX_CHARACTERS = 100_000
_OPERATORS = ("&&", "||", ";;", "|&", "&>>", "&>", "<<<", "<<-", "<<", ">>", ">|", ">&", "<&", "<>")
_REDIRECTIONS = frozenset({"&>>", "&>", "<<<", "<<-", "<<", ">>", ">|", ">&", "<&", "<>", ">", "<"})
_SINGLE = ";&|<>()"
_CLOSES = {"(": ")", "{": "}"}


@dataclass(frozen=True)
class Simple:
    """``words`` of one command; ``end`` the operator or newline that ends it, "" at the end of the text."""

    words: tuple[str, ...]
    end: str


def simple_commands(text: str) -> list[Simple]:
    """The commands of ``text`` in order; redirections and their targets are left out. ``InputError`` in one line."""
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"command: {len(text)} characters are too many; give at most {MAX_CHARACTERS}")
    commands: list[Simple] = []
    words: list[str] = []
    skip = False
    for kind, token in _Lexer(text.replace("\r\n", "\n")).tokens():
        if kind == "word":
            if not skip:
                words.append(token)
            skip = False
        elif token in _REDIRECTIONS:
            skip = True
        else:
            skip = False
            if words:
                commands.append(Simple(tuple(words), token))
            words = []
    if words:
        commands.append(Simple(tuple(words), ""))
    return commands


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def tokens(self) -> list[tuple[str, str]]:
        """Words and operators; a newline is an operator."""
        found: list[tuple[str, str]] = []
        while self.at < len(self.text):
            here = self.text[self.at]
            if self.text.startswith("\\\n", self.at):
                self.at += 2
            elif here == "\n":
                found.append(("operator", "\n"))
                self.at += 1
            elif here.isspace():
                self.at += 1
            elif here == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif here in _SINGLE:
                found.append(("operator", self._operator()))
            else:
                word = self._word()
                number = word.isdecimal() and self.at < len(self.text) and self.text[self.at] in "<>"
                if not number:  # a number right before a redirection names its stream
                    found.append(("word", word))
        return found

    def _operator(self) -> str:
        two = next((o for o in _OPERATORS if self.text.startswith(o, self.at)), self.text[self.at])
        self.at += len(two)
        return two

    def _word(self) -> str:
        parts: list[str] = []
        while self.at < len(self.text):
            here = self.text[self.at]
            if here.isspace() or here in _SINGLE:
                break
            if here == "\\":
                parts.append(self._escaped())
            elif here == "'":
                parts.append(self._until("'"))
            elif here == '"':
                self.at += 1
                parts.append(self._double())
            elif here == "`":
                parts.append("`" + self._until("`") + "`")
            elif here == "$" and self.text[self.at + 1 : self.at + 2] in ("(", "{"):
                parts.append(self._nested())
            elif here == "$" and self.text[self.at + 1 : self.at + 2] == "'":
                self.at += 1
                parts.append(self._until("'"))
            else:
                parts.append(here)
                self.at += 1
        return "".join(parts)

    def _escaped(self) -> str:
        """One character; a backslash before a newline joins lines, one at the end of the text is nothing."""
        found = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        return "" if found == "\n" else found

    def _until(self, quote: str) -> str:
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise InputError("command: cannot be split into words: No closing quotation")
        found = self.text[self.at + 1 : end]
        self.at = end + 1
        return found

    def _double(self) -> str:
        parts: list[str] = []
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == '"':
                self.at += 1
                return "".join(parts)
            if here == "\\" and self.text[self.at + 1 : self.at + 2] in ("$", "`", '"', "\\", "\n"):
                parts.append(self._escaped())
            elif here == "$" and self.text[self.at + 1 : self.at + 2] in ("(", "{"):
                parts.append(self._nested())
            else:
                parts.append(here)
                self.at += 1
        raise InputError("command: cannot be split into words: No closing quotation")

    def _nested(self) -> str:
        """``$(...)`` or ``${...}`` up to the bracket that closes it."""
        start = self.at
        opens = self.text[self.at + 1]
        depth = 0
        for i in range(self.at + 1, len(self.text)):
            depth += (self.text[i] == opens) - (self.text[i] == _CLOSES[opens])
            if depth == 0:
                self.at = i + 1
                return self.text[start : self.at]
        raise InputError(f"command: cannot be split into words: {self.text[start : start + 2]} is not closed")
