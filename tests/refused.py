"""What is refused, is refused in one line that names what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from search.base.errors import InputError


def refused(ask: Callable[..., Any], overrides: Sequence[str], words: Sequence[str]) -> None:
    """``ask`` of ``overrides`` is an ``InputError`` of one line that has the ``words``."""
    with pytest.raises(InputError) as error:
        ask(*overrides)
    assert "\n" not in str(error.value)
    assert [word for word in words if word not in str(error.value)] == []
