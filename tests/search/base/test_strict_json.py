"""A key that is given twice is refused, wherever it stands."""

import pytest

from search.base.strict_json import strict


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "c": 2, "a": 3}}]'])
def test_keys_twice(text: str) -> None:
    with pytest.raises(ValueError, match="key 'a' is given twice"):
        strict(text)


def test_anything_else() -> None:
    assert strict('{"a": [{"a": 1.5}, null]}', parse_float=str) == {"a": [{"a": "1.5"}, None]}
