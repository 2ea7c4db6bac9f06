"""Fitted constants, written where they are read: ``conf/engine``, ``conf/hardware`` and ``conf/versions.yaml``."""

from __future__ import annotations

import re
from pathlib import Path

from search.base.paths import conf_dir
from search.evidence.measured.fitting import (
    CONSTANTS,
    GENERATIONS,
    SHARED,
    SHARED_CONSTANTS,
    VERSION_CONSTANTS,
    Fitted,
)

TYPICAL = ("launch_share", "stream_token_s")  # what an engine that is not known has of a typical one


def write_constants(fitted: Fitted, rows: int) -> None:
    """Three digits each, in place; the lines' sources stay as they are."""
    for name in ("vllm", "sglang", "trtllm"):
        own = {c.name: fitted[name, c.name] for c in CONSTANTS if (name, c.name) in fitted}
        shared = {c.name: fitted[SHARED, c.name] for c in SHARED_CONSTANTS}
        _replace(conf_dir() / "engine" / f"{name}.yaml", own | shared)
    hosts = ("sequence_overhead_s", "request_overhead_s", "prompt_token_s")
    _replace(conf_dir() / "engine" / "any.yaml", {name: fitted[SHARED, name] for name in (*TYPICAL, *hosts)})
    for option, generation in GENERATIONS.items():
        share = fitted.get((generation, "sustained_share"))
        if share is not None:
            _replace(conf_dir() / "hardware" / f"{option}.yaml", {"sustained_share": share})
    lines = [
        "# Written by `python -m search fidelity FILE --write`: constants of versions and launch scripts",
        "# (search/evidence/measured/versions.py and recipes.py say which; docs/fidelity.md).",
        f'source: "fitted to {rows} closed-loop rows"',
        *(f"{c.name}: {fitted[SHARED, c.name]:.3g}" for c in VERSION_CONSTANTS),
    ]
    (conf_dir() / "versions.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _replace(path: Path, values: dict[str, float]) -> None:
    text = path.read_text(encoding="utf-8")
    for name, value in values.items():
        text = re.sub(rf"(?m)^((?:efficiency: .*)?\b{name}: )[0-9.e+-]+", rf"\g<1>{value:.3g}", text, count=1)
    path.write_text(text, encoding="utf-8")
