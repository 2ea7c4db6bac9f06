"""Names that somebody else chose, made harmless for the place where they end up.

A model, a baseline or a run may be called anything: ``<script>``, ``=cmd()``, ``$(reboot)``, a terminal's escape
sequence. Every writer passes such text through the function of its format; numbers and this program's own words need
none. Words of a shell command are ``search.render.launch.shell``'s.
"""

from __future__ import annotations

import html as _html
import json
import re
import unicodedata
from typing import Any

LONGEST_NAME = 400  # of a name in a document
LONGEST_WORD = 260  # of a word in a message: a path fits
LONGEST_MESSAGE = 2000  # the options of the longest group fit
# What a spreadsheet takes for the start of a formula, full-width forms included (OWASP, CSV Injection).
FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def plain(text: object) -> str:
    """One line that a terminal prints and does not obey: control, direction and separator characters, and halves of
    characters that cannot be encoded, become spaces; spaces are joined."""
    return " ".join(_tamed(str(text)).split())


def _tamed(text: str) -> str:
    return "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)


def one_line(text: object) -> str:
    """``plain``; very long names are cut."""
    line = plain(text)
    return line[: LONGEST_NAME - 1] + "…" if len(line) > LONGEST_NAME else line


def message(text: object) -> str:
    """``plain``, for a line about somebody's input: an echoed word or the line is cut to a readable length."""
    line = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: f"{word[0][: LONGEST_WORD // 2]}…", plain(text))
    return line[: LONGEST_MESSAGE - 1] + "…" if len(line) > LONGEST_MESSAGE else line


def markdown(text: object) -> str:
    """``one_line``, with what markdown or HTML would act on quoted."""
    line = one_line(text)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\|`*\[\]#~$])", r"\\\1", line)
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)
    return re.sub(r"^(\d*)([-+.)=])(?=[-=\s]|$)", r"\1\\\2", line)  # a bullet, a list number, a rule or an underline


def html(text: object) -> str:
    """``plain``, for the text of an element or a quoted attribute."""
    return _html.escape(plain(text), quote=True)


def script_json(value: Any) -> str:
    """JSON that may stand inside ``<script>``: no character in it opens or closes a tag. Raises ``ValueError`` for
    infinities and NaN, which JSON does not have."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def csv_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula. Numbers, and text that is one, stay as they are. Other text is
    one line, with an apostrophe where a formula would begin: also after a semicolon, which may end a cell."""
    if not isinstance(value, str) or NUMBER.fullmatch(value):
        return value
    return re.sub(rf"(^|;)(?=[\s\"]*[{FORMULA}])", r"\1'", _tamed(value))


def yaml_text(text: str) -> str:
    """A double-quoted YAML scalar that reads back as exactly this text."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else _yaml_escape(c) for c in text) + '"'


def _yaml_escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def literal(value: Any) -> Any:
    """Text, and data with text in it, that OmegaConf takes as it stands: ``${...}`` is no interpolation."""
    if isinstance(value, dict):
        return {key: literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [literal(inner) for inner in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", value)
