"""Files of the user, read no further than they may be long."""

from __future__ import annotations

from pathlib import Path

from search.base.errors import InputError


def read_bounded(path: Path, most: int, holder: str, error: type[InputError] = InputError) -> bytes:
    """The bytes of a file of at most ``most``; ``error`` in one line if it is longer, no file, or cannot be read.
    ``holder`` is what the file should be, with its article."""
    try:
        special = path.exists() and not path.is_file() and not path.is_dir()
        raw = b"" if special else _start(path, most + 1)
    except (OSError, ValueError) as problem:  # a ValueError: a name that no file can have
        reason = problem.strerror or problem if isinstance(problem, OSError) else problem
        raise error(f"{path}: cannot be read: {' '.join(str(reason).split())}") from None
    if special:
        raise error(f"{path}: is a device or a pipe; give a file")
    if len(raw) > most:
        raise error(f"{path}: more than {most} bytes; {holder} has at most {most}")
    return raw


def _start(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)
