"""Which code this is: the version and a digest of every source file, so that processes of one search can tell whether
they run the same."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from functools import cache
from pathlib import Path

from search import __version__
from search.base.paths import conf_dir

PACKAGES = ("numpy", "scipy", "optuna", "moocore")  # that figures depend on


@cache
def code_version() -> str:
    """Text that is equal where the same sources run on the same versions of what they stand on."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for folder, files in ((root / "costmodel", "*.py"), (root / "search", "*.py"), (conf_dir(), "*.yaml")):
        for path in sorted(folder.rglob(files)):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    beside = " ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return f"servefront {__version__} {digest.hexdigest()[:12]}, Python {platform.python_version()}, {beside}"
