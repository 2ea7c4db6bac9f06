"""The name of a run: a folder below ``outputs/`` and the name of the study, so it must be able to be one."""

from __future__ import annotations

from omegaconf import OmegaConf

from search.base.errors import InputError

LONGEST = 200  # bytes of UTF-8; file systems allow 255


def check_name(name: object) -> str:
    """``name`` if it can name a folder that lies where it is put; ``InputError`` otherwise."""
    text = "" if name is None else str(name)
    good = text.isprintable() and text.strip() == text and not set("/\\") & set(text) and not text.startswith(".")
    if not text or not good or len(text.encode("utf-8", "replace")) > LONGEST:
        raise InputError(
            f"name: {text[:LONGEST]!r} is not allowed; give printable text without slashes, up to {LONGEST} bytes, "
            "that neither begins with a dot nor has spaces at its ends"
        )
    return text


def register() -> None:
    """``${run_name:...}`` of ``conf/config.yaml``: checked before Hydra makes the folder."""
    OmegaConf.register_new_resolver("run_name", check_name, replace=True)
