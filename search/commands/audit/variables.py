"""Variables of a shell's text: values that the same text gives, arithmetic, arrays, and which branches they choose.
Nothing is run; what the text does not say stays as it stands."""

from __future__ import annotations

import ast
import operator
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from search.commands.audit.shell import Several, Simple

ASSIGNS = re.compile(r"^([A-Za-z_]\w*)(\+?)=", re.ASCII)
ARRAY = re.compile(r"^[A-Za-z_]\w*\+?=\(", re.ASCII)
MOST_NESTED = 4
MOST_WORDS = 2000
_NAMED = re.compile(
    r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:\[[@*]\])?(?::?-([^{}]*))?\}|\(([A-Za-z_]\w*)\)|(@))", re.ASCII
)
_COUNTED = re.compile(r"\$\(\(([^$`'\"]{1,200})\)\)")
_WHOLE = re.compile(r"\$(?:\{(?P<name>\w+)\[[@*]\][^{}]*\}|(?P<all>@))", re.ASCII)
_COUNTS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}  # fmt: skip
_COMPARES: Mapping[str, Callable[[int, int], bool]] = {
    "-eq": operator.eq, "-ne": operator.ne, "-lt": operator.lt, "-le": operator.le, "-gt": operator.gt,
    "-ge": operator.ge,
}  # fmt: skip
_KEYWORDS = ("if", "elif", "else", "then", "fi", "do")


def filled(text: str, values: Mapping[str, str]) -> str:
    """A word with the variables that the same text assigns, ``${X:-default}`` as its default where X has no value,
    ``$(X)`` as Kubernetes writes it, and ``$((...))`` worked out where all of it is known. The environment of whoever
    runs the audit is not looked at."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2] or found[4] or found[5]
        return values.get(name, found[0] if found[3] is None else found[3])

    for _ in range(MOST_NESTED):
        before, text = text, _COUNTED.sub(lambda found: _counted(found, values), _NAMED.sub(value, text))
        if text == before or len(text) > 100_000:
            break
    return text


def expanded(words: Sequence[str], values: Mapping[str, str], depth: int = 0) -> list[str]:
    """The words with their variables filled in; a word that is one variable becomes as many as its value has, none
    where that is empty."""
    found: list[str] = []
    for word in words:
        several = isinstance(word, Several) and depth < MOST_NESTED and len(found) < MOST_WORDS
        text = _of_several(word, values) if several else None
        if text is None:
            found.append(filled(word, values))
        else:
            found += expanded(text, values, depth + 1)
    return found


def _of_several(word: str, values: Mapping[str, str]) -> list[str] | None:
    whole = _WHOLE.fullmatch(word)
    if whole is None:
        text = filled(word, values)
        return None if text == word else text.split()
    text = values.get(whole["name"] or "@", word)
    if text == word:
        return None
    words = shlex.split(text)
    return [Several(w) if _WHOLE.fullmatch(w) else w for w in words]


def assigned(words: Sequence[str], values: dict[str, str]) -> None:
    """Adds the assignments among the words to the values."""
    for word in words:
        if found := ASSIGNS.match(word):
            text = word[found.end() :]
            text = text if isinstance(word, Several) else filled(text, values)
            values[found[1]] = f"{values.get(found[1], '')} {text}".strip() if found[2] else text


def _counted(found: re.Match[str], values: Mapping[str, str]) -> str:
    """``$((A * 2))`` as bash counts, on whole numbers."""

    def of(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name):
            return int(filled(values[node.id], values))
        if isinstance(node, ast.BinOp) and type(node.op) in _COUNTS:
            return _COUNTS[type(node.op)](of(node.left), of(node.right))
        raise ValueError

    try:
        return str(of(ast.parse(found[1].strip().replace("/", "//"), mode="eval").body))
    except (ValueError, KeyError, SyntaxError, ZeroDivisionError, RecursionError, MemoryError):
        return found[0]


def taken(commands: Sequence[Simple], values: Mapping[str, str]) -> Iterator[tuple[int, Simple]]:
    """The commands that run, with their places, words of the grammar left out: of ``if`` the branch that the values
    choose, all branches where they do not say. ``values`` may grow on the way."""
    branches: list[tuple[bool | None, bool]] = []  # whether this one runs, and whether an earlier one surely did
    skipped = ""  # the operator after which a command is left out
    for i, command in enumerate(commands):
        head, words = command.words[0], command.words
        if head in _KEYWORDS:
            words = words[1:]
        condition = _holds(words, values) if words else None
        alone = command.end in (";", "\n", "")
        if head == "if":
            branches.append((condition if alone else None, False))
        elif head in ("elif", "else") and branches:
            before, done = branches[-1]
            done = done or before is True
            chosen = condition if head == "elif" and alone else (True if head == "else" else None)
            unsure = before is None and chosen is True
            branches[-1] = (False if done else (None if unsure else chosen), done)
        elif head == "fi" and branches:
            branches.pop()
        left_out, skipped = bool(skipped), ""
        if condition is not None and (command.end, condition) in (("&&", False), ("||", True)):
            skipped = command.end
        if words and not left_out and all(runs is not False for runs, _ in branches):
            yield i, replace(command, words=words)


def _holds(words: Sequence[str], values: Mapping[str, str]) -> bool | None:
    """Whether ``[ ... ]`` or ``[[ ... ]]`` holds; ``None`` where it is no such condition or its values are unknown."""
    if len(words) < 3 or (words[0], words[-1]) not in (("[", "]"), ("[[", "]]")):
        return None
    parts = [filled(word, values) for word in words[1:-1]]
    if parts[0] == "!":
        inner = _holds([words[0], *words[2:]], values)
        return None if inner is None else not inner
    if any("$" in part or "`" in part for part in parts):
        return None
    if len(parts) == 2 and parts[0] in ("-n", "-z"):
        return (parts[1] != "") == (parts[0] == "-n")
    if len(parts) != 3:
        return None
    left, compares, right = parts
    if compares in ("=", "==", "!=") and not re.search(r"[*?\[]", right):
        return (left == right) == (compares != "!=")
    if compares in _COMPARES and re.fullmatch(r"-?\d{1,15}", left) and re.fullmatch(r"-?\d{1,15}", right):
        return _COMPARES[compares](int(left), int(right))
    return None
