"""The version of vLLM that a log means."""

from __future__ import annotations

import re

from search.inputs.engine_versions import LATEST, version_of

# Releases of vLLM, by the months that logs of them name: what a build was called that month.
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
RELEASED = (
    ((2025, 3), (0, 8)), ((2025, 6), (0, 9)), ((2025, 8), (0, 10)), ((2025, 10), (0, 11)), ((2026, 1), (0, 15)),
    ((2026, 4), (0, 19)), ((2026, 6), (0, 22)), ((2026, 8), (0, 26)), ((2026, 9), (0, 30)), ((2026, 11), (0, 33)),
)  # fmt: skip


def vllm_of(printed: str) -> tuple[int, int]:
    """The version of a build, by its month where it has no number; the latest where it has neither."""
    version = version_of(printed)
    dated = re.search(r"(?:\b([A-Za-z]{3})[a-z]* )?(20\d\d)", printed)
    if version is not None or dated is None or dated[1] is None or dated[1].lower() not in MONTHS:
        return version or LATEST
    month = (int(dated[2]), MONTHS.index(dated[1].lower()) + 1)
    return max((release for day, release in RELEASED if day <= month), default=(0, 8))
