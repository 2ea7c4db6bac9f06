"""Files that are there when they are whole, and not before; and names that no output may take the place of."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar

from search.base.errors import InputError

T = TypeVar("T")
PARTIAL = re.compile(r"\.partial-(\d+)-(.*)", re.DOTALL)
LONGEST = 230  # bytes of a name that can take a prefix: file systems allow 255


def put(path: Path, write: Callable[[Path], T]) -> T:
    """``write`` a file beside its name, and move it there. ``InputError`` where the name is a link, a device, a pipe or
    a folder: an output takes the place of a regular file or of nothing."""
    refuse_special(str(path), path)
    name = path.name if len(os.fsencode(path.name)) <= LONGEST else path.name[-60:]
    # Each process writes its own: another one's that writes to the same name is never moved there before it is whole.
    partial = path.with_name(f".partial-{os.getpid()}-{name}")
    try:
        _clear_dead(path.parent, name)
        partial.unlink(missing_ok=True)  # a link that somebody laid there
        result = write(partial)
        partial.replace(path)
    except OSError as error:
        if error.filename in (None, str(partial)):  # a full disk, a limit: the system does not say of which file
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)
    return result


def _clear_dead(folder: Path, name: str) -> None:
    """Remove what killed processes of this machine left of a file."""
    with suppress(OSError):  # a folder that takes files but does not list them
        for there in os.listdir(folder):
            found = PARTIAL.fullmatch(there)
            if found and found[2] == name and not _runs(int(found[1])):
                (folder / there).unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def put_all(texts: Mapping[Path, str]) -> None:
    """``put_text`` for several files, in their order: none is moved to its name before all are on the disk."""
    if not texts:
        return
    *before, path = texts

    def write(partial: Path) -> None:
        partial.write_text(texts[path], encoding="utf-8")
        put_all({name: texts[name] for name in before})

    put(path, write)


def put_text(path: Path, text: str) -> None:
    """``put`` for text, in UTF-8."""
    put(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def put_out(flag: str, path: Path, text: str) -> None:
    """``put_text`` for the file that ``flag`` names; ``InputError`` in one line where it cannot be written."""
    usable_out(flag, path)
    try:
        put_text(path, text)
    except (OSError, ValueError) as error:  # a ValueError: text that no file name can be
        raise InputError(f"{flag} {path}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


def usable_out(flag: str, path: Path, *, new: bool = False) -> None:
    """``InputError`` for a ``path`` of ``flag`` that no file can be written to: asked before the work, so that none is
    lost. ``new``: there may be no file yet."""
    try:
        if path.name in ("", ".."):
            raise InputError(f"{flag} {path}: is a folder; give a file")
        refuse_special(f"{flag} {path}", path)
        if new and path.exists():
            raise InputError(f"{flag} {path}: exists; give a file that does not")
        if not path.parent.is_dir():
            raise InputError(f"{flag} {path}: cannot be written: there is no folder {path.parent}")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise InputError(f"{flag} {path}: cannot be written: folder {path.parent} is read-only")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{flag} {path}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


def usable_folder(flag: str, path: Path) -> None:
    """``InputError`` for a ``path`` of ``flag`` that is no folder to write into, nor one that can be made: tried, for
    what is read-only does not always say so, before the work. What was made for it is gone again."""
    made: list[Path] = []
    try:
        for folder in reversed([path, *path.parents]):
            with suppress(FileExistsError):
                folder.mkdir()
                made.append(folder)
        with TemporaryFile(dir=path):
            pass
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{flag} {path}: nothing can be written there: {said}") from error
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # another command writes into it already
                folder.rmdir()


def refuse_special(key: str, path: Path) -> None:
    """``InputError`` where ``path`` is there and no regular file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise InputError(f"{key}: is {kind}; give a file")
