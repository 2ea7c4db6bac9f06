"""Ways to spoil a value, a text, a tree of data. Each takes a seeded ``random.Random`` and what is good."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import yaml

VALUES: tuple[Any, ...] = (
    0, -1, 1, 2, 3, 7, 2**31, 2**64, 10**400, -(10**18), 0.5, 1e-320, 1e-30, 1e30, 1e200, float("nan"), float("inf"),
    -float("inf"), True, False, None, "", " ", "x", "1e5", "0x10", "1_000", "\u00b2", "\u202e", "a" * 3000, "null",
    "../../etc/passwd", "=1+1", "<script>", "${oc.env:HOME}", "${a", "???", [], [0], ["x"], [[1]], {}, {"a": 1},
    {"_target_": "os.getcwd"},
)  # fmt: skip

NUMBERS = (
    0, 1e-320, 1e-30, 1e-6, 0.001, 0.5, 1, 1.5, 2, 3, 8, 64, 1000, 4097, 10**6, 1e12, 1e30, 1e200, 2**31, -1,
)  # fmt: skip


def value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(VALUES))


def text(rng: random.Random, good: str) -> str:
    """A piece cut out, doubled, replaced or put in."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(good) + 1)
        to = min(len(good), at + rng.choice((0, 1, 2, 8, 40)))
        piece = rng.choice(
            ("", good[at:to] * 2, str(value(rng)), "\n", ",", "'", '"', "{", "[", ":", "\t", "\0", "\ufeff")
        )
        good = good[:at] + piece + good[to:]
    return good


def tree(rng: random.Random, good: Any) -> Any:
    """One to three places of JSON-like data spoilt."""
    spoilt = copy.deepcopy(good)
    for _ in range(rng.randint(1, 3)):
        spoilt = _spoil(rng, spoilt)
    return spoilt


def cell(rng: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    """One value of a table's row spoilt."""
    return row | {rng.choice(list(row)): str(value(rng))}


def words(rng: random.Random, good: list[str]) -> list[str]:
    """One or two words of a command line spoilt."""
    spoilt = list(good)
    for _ in range(rng.randint(1, 2)):
        spoilt[rng.randrange(len(spoilt))] = rng.choice((word(rng), text(rng, rng.choice(spoilt))))
    return spoilt


def word(rng: random.Random) -> str:
    """A value as it stands on a command line."""
    found = value(rng)
    return found if isinstance(found, str) else json.dumps(found)


def number(rng: random.Random) -> str:
    return str(rng.choice(NUMBERS))


def document(rng: random.Random, good: str) -> str:
    """A YAML file, spoilt as a text or, more deeply, as data."""
    if rng.random() < 0.4:
        return text(rng, good)
    spoilt = tree(rng, yaml.safe_load(good))
    return yaml.safe_dump(spoilt, sort_keys=False, allow_unicode=True)


def _spoil(rng: random.Random, node: Any) -> Any:
    if isinstance(node, dict) and node and rng.random() < 0.9:
        key = rng.choice(list(node))
        what = rng.random()
        if what < 0.15:
            del node[key]
        elif what < 0.25:
            node[str(value(rng))] = node.pop(key)
        else:
            node[key] = _spoil(rng, node[key])
        return node
    if isinstance(node, list) and node and rng.random() < 0.7:
        at = rng.randrange(len(node))
        node[at] = _spoil(rng, node[at])
        return node
    return value(rng)


def as_json(data: Any) -> str:
    """With the numbers that JSON does not know too."""
    return json.dumps(data, default=str)
