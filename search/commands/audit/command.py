"""A launch command as somebody runs it, read into the settings that it names. Nothing of it is executed;
variables have the values that the same text gives them, or none.

Values of flags that are passed over are never shown: there may be keys among them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.base.errors import InputError
from search.commands.audit.passed import is_harmless, is_switch, unmodelled
from search.render.launch.flags import SGLANG, VLLM, Flag

MAX_CHARACTERS = 100_000
# Settings that no other command of ours writes.
FLAGS: Mapping[str, Mapping[str, Flag]] = {
    "vllm": {**VLLM, "prefix": Flag(("--enable-prefix-caching",), "prompts share a cache", switch=True)},
    "sglang": {
        **SGLANG,
        "no_prefix": Flag(("--disable-radix-cache",), "prompts share no cache", switch=True),
        "exchange": Flag(("--moe-a2a-backend",), "how tokens reach their experts"),
    },
}
ALIASES = {"vllm": {"--device-memory-utilization": "memory"}, "sglang": {}}
# How each server is started: words in a row that its flags follow.
STARTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "vllm": (("vllm", "serve"), ("-m", "vllm.entrypoints.openai.api_server")),
    "sglang": (("-m", "sglang.launch_server"), ("sglang", "serve"), ("-m", "sglang", "serve")),
}
IMAGES = {"vllm": re.compile(r"(^|/)vllm-openai(:|@|$)"), "sglang": re.compile(r"$^")}
MODEL_FLAGS = {"vllm": ("--model",), "sglang": ("--model-path", "--model")}
REFUSED = {"--config": "its settings stand in a file; give them as flags"}
OPERATOR = re.compile(r"^[();<>|&]+$")


@dataclass(frozen=True)
class Command:
    """``given`` values by the names of ``search/render/launch/flags.py``, "" for a switch that is on and "no" for one
    that is off; ``ignored`` flags that change nothing; ``unmodelled`` flags that may change the figures, with the
    reason; ``notes`` on what else was passed over."""

    engine: str
    model: str
    given: Mapping[str, str]
    ignored: tuple[str, ...]
    unmodelled: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def flag(self, name: str) -> str:
        """How the engine spells a setting, for messages."""
        return FLAGS[self.engine][name].name

    def whole(self, name: str, default: int) -> int:
        """A count that the command gives, or the default."""
        return default if name not in self.given else whole(self.flag(name), self.given[name])

    def share(self, name: str) -> float | None:
        """A share above 0 and up to 1, or ``None`` where it is not given."""
        if name not in self.given:
            return None
        text = self.given[name]
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0.0 < value <= 1.0:
            raise InputError(f"{self.flag(name)}: {text[:60]!r} is not allowed; give a share above 0 and up to 1")
        return value


def whole(flag: str, text: str) -> int:
    """A count as both engines take it: k, m, g are powers of 1000, K, M, G of 1024 (human_readable_int)."""
    found = re.fullmatch(r"(\d{1,8}(?:\.\d{1,6})?)([kKmMgG]?)", text)
    if found:
        letter = found[2]
        unit = (1000 if letter.islower() else 1024) ** ("kmg".index(letter.lower()) + 1) if letter else 1
        value = float(found[1]) * unit
        if value.is_integer() and 1 <= value <= 10_000_000:
            return int(value)
    raise InputError(f"{flag}: {text[:60]!r} is not allowed; give a whole number from 1 to 10000000")


def read_command(engine: str, text: str) -> Command:
    """The command of ``engine`` in ``text``; ``InputError`` in one line."""
    tokens, notes = _server(engine, words(text))
    return _read(engine, tokens, notes)


def words(text: str) -> list[str]:
    """The words of a shell command. Lines continued with a backslash are joined, comment lines left out."""
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"command: {len(text)} characters are too many; give at most {MAX_CHARACTERS}")
    joined = re.sub(r"\\\r?\n", " ", text)
    joined = re.sub(r"(?<=\s)[012](?=>)", "", joined)  # the number of a stream that is redirected
    lines = [line for line in joined.splitlines() if not line.lstrip().startswith("#")]
    lexer = shlex.shlex("\n".join(lines), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise InputError(f"command: cannot be split into words: {error}") from error


def _server(engine: str, tokens: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words after the server's name, up to the next shell operator; what was passed over before and after."""
    start = _start(engine, tokens)
    assigned = dict(t.split("=", 1) for t in tokens[: start[0]] if re.match(r"^[A-Za-z_]\w*=", t))
    rest = [_filled_in(t, assigned) for t in tokens[start[1] :]]
    used = {name for name in assigned if any(re.search(rf"\$\{{?{name}\b", t) for t in tokens[start[1] :])}
    notes = []
    if set(assigned) - used:
        notes.append(f"variables passed over: {', '.join(name for name in assigned if name not in used)}")
    end = next((i for i, t in enumerate(rest) if OPERATOR.match(t)), len(rest))
    if end < len(rest):
        notes.append(f"what follows {rest[end]!r} is not read")
    return rest[:end], notes


def _filled_in(token: str, assigned: Mapping[str, str]) -> str:
    """A word with the variables that the same text assigns, ``X=${X:-default}`` as its default. The environment of
    whoever runs the audit is not looked at."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        text = assigned.get(name, found[0])
        default = re.fullmatch(rf"\$\{{{name}:?-(.*)\}}", text)
        return default[1] if default else text

    return re.sub(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", value, token)


def _start(engine: str, tokens: Sequence[str]) -> tuple[int, int]:
    """Where the server's name begins and where its arguments do."""
    for i, token in enumerate(tokens):
        for names in STARTS[engine]:
            found = [token.rsplit("/", 1)[-1] if names[0] != "-m" else token, *tokens[i + 1 : i + len(names)]]
            if tuple(found) == names:
                return i, i + len(names)
        if IMAGES[engine].search(token):
            return i, i + 1
    starts = " or ".join(repr(" ".join(names)) for names in STARTS[engine])
    raise InputError(f"command: starts no {engine} server that is known; give one with {starts}")


def _read(engine: str, tokens: Sequence[str], notes: list[str]) -> Command:
    spellings = {s: (name, flag.switch) for name, flag in FLAGS[engine].items() for s in flag.spellings}
    spellings |= {s: (name, False) for s, name in ALIASES[engine].items()}
    given: dict[str, str] = {}
    models: list[str] = []
    ignored: dict[str, None] = {}
    open_ends: dict[str, str] = {}
    i = 0
    while i < len(tokens):
        token = tokens[i]
        i += 1
        if not _is_flag(token):
            models.append(token)
            continue
        flag, value = _flag(token)
        name, switch = spellings.get(flag, (None, is_switch(engine, flag)))
        off = flag.startswith("--no-") and "--" + flag.removeprefix("--no-") in spellings
        if off:
            name, switch = spellings["--" + flag.removeprefix("--no-")]
        if flag in REFUSED:
            raise InputError(f"{flag}: {REFUSED[flag]}")
        if value is None and not switch and i < len(tokens) and not _is_flag(tokens[i]):
            value = tokens[i]
            i += 1
        if flag in MODEL_FLAGS[engine]:
            models.insert(0, _needed(flag, value))
        elif name is not None:
            given[name] = ("no" if off else "") if switch else _needed(flag, value)
        elif is_harmless(engine, flag):
            ignored[flag] = None
        else:
            open_ends[flag] = unmodelled(engine, flag) or _unknown(flag, spellings)
    if not models:
        raise InputError(f"command: names no model; {engine} takes it {_where(engine)}")
    if models[1:]:
        notes = [*notes, f"words passed over: {len(models) - 1}"]
    return Command(engine, models[0], given, tuple(ignored), tuple(open_ends.items()), tuple(notes))


def _is_flag(token: str) -> bool:
    return token.startswith("-") and not re.fullmatch(r"-\d+(\.\d+)?", token)


def _flag(token: str) -> tuple[str, str | None]:
    """A flag with dashes for underscores, and the value behind ``=``."""
    flag, equals, value = token.partition("=")
    return flag.replace("_", "-") if flag.startswith("--") else flag, value if equals else None


def _unknown(flag: str, spellings: Mapping[str, object]) -> str:
    """Both engines take a beginning for the whole where it is unambiguous (argparse); which are is for them to say."""
    whole_flag = next((s for s in spellings if len(flag) > 3 and s.startswith(flag)), None)
    if whole_flag is not None:
        raise InputError(f"{flag}: may be short for {whole_flag}; write it in full")
    glued = re.fullmatch(r"(-[a-z]+)\d+", flag)
    if glued and glued[1] in spellings:
        raise InputError(f"{flag}: a value stands apart; write {glued[1]} and the number")
    return "not known here"


def _needed(flag: str, value: str | None) -> str:
    if value is None:
        raise InputError(f"{flag}: a value must follow")
    return value


def _where(engine: str) -> str:
    return "after `serve`" if engine == "vllm" else "as --model-path"
