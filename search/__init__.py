"""Search over layouts, and what it hands to people.

For Python (docs/python.md), each imported when it is first asked for:

    search.run(experiment, overrides)              -> Result, what the command does, nothing written
    search.evaluate(experiment, plans, overrides)  -> a table of the given plans
    search.InputError, search.NoFeasiblePlan       what they raise
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without importing it
if TYPE_CHECKING:
    from typing import Any

    from search.api import InputError, NoFeasiblePlan, Result, evaluate, run

__version__ = "0.1.0"
__all__ = ["InputError", "NoFeasiblePlan", "Result", "__version__", "evaluate", "run"]


def __getattr__(name: str) -> Any:
    """The front door opens when somebody knocks: commands and ``import search`` do not wait for pandas."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import warnings
    from importlib import import_module

    with warnings.catch_warnings():  # in a notebook tqdm, which Optuna imports, misses widgets that nothing here shows
        warnings.filterwarnings("ignore", "IProgress not found")
        door = import_module("search.api")
    return getattr(door, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
