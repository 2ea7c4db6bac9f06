"""Every figure of the document is rendered from a keyed value, and from nothing else.

``keyed`` numbers print their keys in place of digits, so the rendered text tells which figure comes from which key, and
any digit that is left is written by a section itself. Then each key's value is changed, the text rendered again from
plain values, and exactly the lines in which the key stands must be others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from document_cases import dense_case, latent_case, worked_case
from keyed import MARK, Keyed, keyed, places

from search.base.escape import markdown
from search.optimizer.outcome import Outcome
from search.render.document import collect, render, render_annex
from search.render.document.view import Value

# What the sections may write themselves: numbers of the headings, and constants of formulas that stand beside the
# figures that went into them.
CONSTANTS = (
    r"^## \d+\. ", r"\(osl - 1\)", r"passes - 1\)", r"\(1 - \(1 - ", r"counted from 0:$", r"80 % interval",
    r"SHA-256",
)  # fmt: skip
# Numbers that choose a sentence elsewhere beside being shown.
ALSO_CHOOSING = {"recommended.dp"}

Values = dict[str, Value]


@pytest.fixture(scope="module", params=["worked", "dense", "latent"])
def values(request: pytest.FixtureRequest) -> Values:
    outcome: Outcome
    if request.param == "worked":
        prices = {"hardware.price_per_hour": 2.5, "hardware.price_as_of": "now", "hardware.power_w": 550.0}
        outcome = worked_case(**prices, **{"engine.version": "next"})
    else:
        outcome = {"dense": dense_case, "latent": latent_case}[request.param]()
    return collect(outcome)


def test_no_section_writes_a_number_of_its_own(values: Values) -> None:
    for line in render(keyed(values)).splitlines():
        rest = MARK.sub("", line)
        for constant in CONSTANTS:
            rest = re.sub(constant, "", rest)
        assert not re.search(r"\d", rest), line


def test_a_number_remembers_its_keys() -> None:
    a, b = Keyed(2.0, frozenset("a")), Keyed(3.0, frozenset("b"))
    assert f"{a:.2f} {(a * b) / 7:,.0f} {1 - abs(-a):+.1f} {a // 1}" == "⟦a⟧ ⟦a+b⟧ ⟦a⟧ ⟦a⟧"
    assert (float(a * b / 4), float(7 - a), float(a // 1), a < b) == (1.5, 5.0, 2.0, True)
    assert places("x\n⟦a⟧ ⟦a+b⟧\n⟦b⟧") == {"a": {1}, "b": {1, 2}}


def others(value: Value) -> Iterator[Value]:
    """Other values that every format shows differently; the first ones near, so that no threshold is passed."""
    if isinstance(value, str):
        yield f"another {value}"
    elif isinstance(value, int):
        yield from (value + 1, value + 2, value * 3 + 5, max(value - 1, 0))
    else:
        yield from (value * 1.11, value * 0.83, value * 1.7, value + 1.0, value - 1.0, value + 12345.0)


def lines_changed(before: list[str], after: list[str]) -> set[int]:
    """Lines of ``before`` that are not there any more; where a sentence came or went, wherever they now stand."""
    if len(before) == len(after):
        return {i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
    return {i for i, line in enumerate(before) if line not in after}


def apart(where: dict[str, set[int]], most: int = 12) -> list[list[str]]:
    """The keys in groups that stand in no line together, so that one text tells what each of a group changed."""
    groups: list[tuple[list[str], set[int]]] = []
    for key, lines in where.items():
        for keys, taken in groups:
            if len(keys) < most and taken.isdisjoint(lines):
                keys.append(key)
                taken |= lines
                break
        else:
            groups.append(([key], set(lines)))
    return [keys for keys, _ in groups]


def test_a_changed_value_changes_each_line_in_which_it_stands_and_no_other(values: Values) -> None:
    """A group of keys at a time; where their lines are not exactly what changed, each key by itself."""
    before = render(values).splitlines()
    where = places(render(keyed(values)))
    assert len(where) > 400
    for keys in apart(where):
        new = {key: next(others(values[key])) for key in keys}
        changed = lines_changed(before, render({**values, **new}).splitlines())
        if changed != set().union(*(where[key] for key in keys)):
            for key in keys:
                check_alone(values, key, before, where[key])


def check_alone(values: Values, key: str, before: list[str], expected: set[int]) -> None:
    tried: list[set[int]] = []
    for new in others(values[key]):
        tried.append(lines_changed(before, render({**values, key: new}).splitlines()))
        if tried[-1] == expected:
            return
    enough = [changed - expected for changed in tried if expected <= changed]
    assert enough, f"{key} = {values[key]} stands in lines {expected}; changed {tried}"
    beyond = [before[i] for i in min(enough, key=len)]
    assert key in ALSO_CHOOSING, f"{key} = {values[key]} also changes {beyond}"


def test_the_annex_shows_every_input_with_its_source(values: Values) -> None:
    """And plan.md names those that have none."""
    text = render_annex(values)
    rows = [key.removesuffix(".key") for key in values if re.fullmatch(r"input_row\.\d+\.key", key)]
    assert len(rows) > 100
    for row in rows:
        assert f"| {markdown(values[f'{row}.key'])} | " in text
        assert markdown(values[f"{row}.source"]) in text
    shown = {str(values[f"{row}.key"]).split(".")[1] for row in rows if str(values[f"{row}.key"]).startswith("engine.")}
    assert {key.split(".")[2] for key in values if key.startswith("input.engine.")} <= shown | {"version"}
    numbers = {key for key, value in values.items() if key.startswith("input_row.") and not isinstance(value, str)}
    assert numbers <= set(places(render_annex(keyed(values))))
