"""How a command line spells its flags: dashes, values behind an equals sign, keys behind a point, beginnings."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from search.base.errors import InputError


def is_flag(token: str) -> bool:
    """Whether a word is a flag: negative numbers are none."""
    return token.startswith("-") and not re.fullmatch(r"-\d+(\.\d+)?", token)


def flag_of(token: str) -> tuple[str, str | None]:
    """A flag with dashes for underscores, and the value behind ``=``. ``--compilation-config.mode`` and ``-cc.mode``
    are keys of the flag before the point, ``-O3`` a value of ``-O`` (vllm/utils/argparse_utils.py, 0.33)."""
    flag, equals, value = token.partition("=")
    if re.match(r"-O[\d.]", flag):
        return "-O", flag[2:]
    if flag.startswith("--"):
        flag = flag.partition(".")[0].replace("_", "-")
    elif re.match(r"-[a-z]{2,3}\.", flag):
        flag = flag.partition(".")[0]
    return flag, value if equals else None


def key_of(token: str) -> str:
    """The key behind the point of a flag, "" without one."""
    return token.partition("=")[0].partition(".")[2].replace("-", "_")


def switched(off: bool, value: str | None) -> str:
    """A switch may be given its value (``--x true``, ``--x=false``): "" where it is on, "no" where it is off."""
    return "no" if off != ((value or "true").lower() in ("false", "0", "no")) else ""


def in_full(flag: str, known: Collection[str]) -> str:
    """A beginning as the one known flag that begins so: argparse takes it. ``InputError`` where several do: which of
    an engine's flags there are is for it to say."""
    if flag in known or not flag.startswith("--") or len(flag) < 6:
        return flag
    found = sorted({name for name in known if name.startswith(flag)})
    if len(found) > 1:
        raise InputError(f"{flag}: may be short for {', '.join(found[:4])}; write it in full")
    return found[0] if found else flag


def not_known(flag: str, spellings: Mapping[str, object]) -> str:
    """Why a flag is passed over, or ``InputError`` for a value that is glued to its flag."""
    glued = re.fullmatch(r"(-[a-z]+)\d+", flag)
    if glued and glued[1] in spellings:
        raise InputError(f"{flag}: a value stands apart; write {glued[1]} and the number")
    return "not known here"
