"""Shell text as a shell would cut it: simple commands of words. Nothing is run or expanded.

POSIX.1-2024, XCU 2.3 (tokens) and 2.9 (commands), as far as launch scripts use them: quotes, backslashes, comments,
newlines, operators, redirections, and bash's arrays. ``$(...)`` and backquotes stay as they stand, inside their word.
``<name>``, which guides write where a reader's own value belongs, is a word.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from search.base.errors import InputError

MAX_CHARACTERS = 100_000
_OPERATORS = ("&&", "||", ";;", "|&", "&>>", "&>", "<<<", "<<-", "<<", ">>", ">|", ">&", "<&", "<>")
_REDIRECTIONS = frozenset({"&>>", "&>", "<<<", "<<-", "<<", ">>", ">|", ">&", "<&", "<>", ">", "<"})
_WRITES = (">", ">>", ">|", "&>")
_DOCUMENTS = ("<<", "<<-")
_SINGLE = ";&|<>()"
_CLOSES = {"(": ")", "{": "}"}
# Words whose value is several: variables outside quotes, all of an array, all arguments.
_SEVERAL = re.compile(r"""\$\w+|\$\{\w+(:?-[^{}"]*)?\}|"?\$\{\w+\[[@*]\](:[^{}"]*)?\}"?|"?\$@"?""", re.ASCII)
_ARRAY = re.compile(r"[A-Za-z_]\w*\+?=", re.ASCII)
_PLACEHOLDER = re.compile(r"<[A-Za-z][\w .-]*>(?=\s|$)", re.ASCII)


class Several(str):
    """A word that a shell replaces by as many as its value has."""

    __slots__ = ()


@dataclass(frozen=True)
class Simple:
    """``words`` of one command; ``end`` the operator or newline that ends it, "" at the end of the text. ``target``:
    the file that its output goes to; ``document`` what stands in a here-document for its input."""

    words: tuple[str, ...]
    end: str
    target: str = ""
    document: str | None = None
    appends: bool = False

    @property
    def written(self) -> tuple[str, str] | None:
        """A file and its content, where the command writes text that stands in it: ``cat > F <<EOF``, ``tee F <<EOF``,
        ``printf %s TEXT > F``, ``echo TEXT > F``."""
        name, *rest = self.words
        plain = [word for word in rest if not word.startswith("-")]
        if self.document is not None:
            target = self.target or (plain[0] if name == "tee" and plain else "")
            return (target, self.document) if target and name in ("cat", "tee") else None
        if self.target and name == "printf" and len(plain) == 2 and plain[0].rstrip("\\n") == "%s":
            return self.target, plain[1] + "\n" * plain[0].endswith("\\n")
        return (self.target, " ".join(plain) + "\n") if self.target and name == "echo" else None


def simple_commands(text: str) -> list[Simple]:
    """The commands of ``text`` in order; redirections and their targets are left out. ``InputError`` in one line."""
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"command: {len(text)} characters are too many; give at most {MAX_CHARACTERS}")
    commands: list[Simple] = []
    words: list[str] = []
    skip, target, document, appends = "", "", None, False
    for kind, token in _Lexer(text.replace("\r\n", "\n")).tokens():
        if kind == "document":
            document = token
        elif kind == "word":
            if not skip:
                words.append(token)
            elif skip in _WRITES:
                target, appends = token, skip == ">>"
            skip = ""
        elif token in _REDIRECTIONS:
            skip = token
        else:
            if words:
                commands.append(Simple(tuple(words), token, target, document, appends))
            words, skip, target, document, appends = [], "", "", None, False
    if words:
        commands.append(Simple(tuple(words), "", target, document, appends))
    return commands


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def tokens(self) -> list[tuple[str, str]]:
        """Words and operators; a newline is an operator."""
        found: list[tuple[str, str]] = []
        waiting: list[tuple[str, bool]] = []  # here-documents whose lines come after this one
        while self.at < len(self.text):
            here = self.text[self.at]
            if self.text.startswith("\\\n", self.at):
                self.at += 2
            elif here == "\n":
                self.at += 1
                found += [("document", self._document(*ends)) for ends in waiting]
                waiting = []
                found.append(("operator", "\n"))
            elif here.isspace():
                self.at += 1
            elif here == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif placeholder := _PLACEHOLDER.match(self.text, self.at):
                self.at = placeholder.end()
                found.append(("word", placeholder[0]))
            elif here in _SINGLE:
                found.append(("operator", self._operator()))
            else:
                word = self._word()
                number = word.isdecimal() and self.at < len(self.text) and self.text[self.at] in "<>"
                if found and found[-1] in [("operator", o) for o in _DOCUMENTS]:
                    waiting.append((word, found[-1][1] == "<<-"))
                if not number:  # a number right before a redirection names its stream
                    found.append(("word", word))
        return found

    def _document(self, end: str, tabs: bool) -> str:
        """The lines up to one that is ``end``, or all that are left; ``tabs`` in front of them go."""
        lines: list[str] = []
        while self.at < len(self.text):
            line, _, _ = self.text[self.at :].partition("\n")
            self.at = min(self.at + len(line) + 1, len(self.text))
            line = line.lstrip("\t") if tabs else line
            if line == end:
                break
            lines.append(line)
        return "".join(f"{line}\n" for line in lines)

    def _operator(self) -> str:
        two = next((o for o in _OPERATORS if self.text.startswith(o, self.at)), self.text[self.at])
        self.at += len(two)
        return two

    def _word(self) -> str:
        start = self.at
        word = self._joined()
        several = _SEVERAL.fullmatch(self.text, start, self.at)
        return Several(self.text[start : self.at].strip('"')) if several else word

    def _array(self) -> str:
        """``(...)`` as text that cuts into the same words; those that are several stay so."""
        self.at += 1
        words: list[str] = []
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == ")":
                self.at += 1
                return " ".join(w if isinstance(w, Several) else shlex.quote(w) for w in words)
            if here == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif here.isspace() or here in _SINGLE:
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            else:
                words.append(self._word())
        raise InputError("command: cannot be split into words: ( is not closed")

    def _joined(self) -> str:
        parts: list[str] = []
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "(" and _ARRAY.fullmatch("".join(parts)):
                parts.append(self._array())
                continue
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
