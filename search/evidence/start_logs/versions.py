"""The version of an engine that a log means."""

from __future__ import annotations

import re
from dataclasses import replace

from costmodel.working_memory import WorkingMemory
from search.inputs.engine_versions import LATEST, version_of

# Releases of vLLM, by the months that logs of them name: what a build was called that month.
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
RELEASED = (
    ((2025, 3), (0, 8)), ((2025, 6), (0, 9)), ((2025, 8), (0, 10)), ((2025, 10), (0, 11)), ((2026, 1), (0, 15)),
    ((2026, 4), (0, 19)), ((2026, 6), (0, 22)), ((2026, 8), (0, 26)), ((2026, 9), (0, 30)), ((2026, 11), (0, 33)),
)  # fmt: skip
RINGS_BY_TOKEN = (2026, 8), 12  # before that month, or up to that release of 0.5


def month_of(printed: str) -> tuple[int, int] | None:
    """Year and month that a build is named after."""
    dated = re.search(r"(?:\b([A-Za-z]{3})[a-z]* )?(20\d\d)", printed)
    if dated is None or dated[1] is None or dated[1].lower() not in MONTHS:
        return None
    return int(dated[2]), MONTHS.index(dated[1].lower()) + 1


def sglang_memory(memory: WorkingMemory, printed: str) -> WorkingMemory:
    """SGLang's constants as a build had them: a log of August 2026 prints 9,259.9 bytes a token of DeepSeek-V4-Flash,
    one of 0.5.12 has rings by token."""
    numbered, month = re.search(r"\b0\.5\.(\d+)", printed), month_of(printed)
    older = int(numbered[1]) <= RINGS_BY_TOKEN[1] if numbered else month is not None and month < RINGS_BY_TOKEN[0]
    return replace(memory, coarse_rings="tokens") if older else memory


def vllm_of(printed: str) -> tuple[int, int]:
    """The version of a build, by its month where it has no number; the latest where it has neither."""
    version, month = version_of(printed), month_of(printed)
    if version is not None or month is None:
        return version or LATEST
    return max((release for day, release in RELEASED if day <= month), default=(0, 8))
