"""Where files that travel with the program are found."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """The configuration folder: inside the package when installed from a wheel, else the checkout's ``conf``."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"
