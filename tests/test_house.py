"""The house stays as it is: every import goes down through the rooms, and no import goes round in a circle.

Imports inside functions count like those at the top; those that only a type checker follows do not.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
# From the ground up. What stands at the top of `search` (the front door) may open every room.
ROOMS = ("costmodel", "base", "inputs", "evidence", "optimizer", "render", "commands", "door")
MOST_FILES = 30  # at one level of a room


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(p): p for top in ("costmodel", "search") for p in sorted((REPO / top).rglob("*.py"))}


def room_of(module: str) -> str:
    parts = module.split(".")
    if parts[0] == "costmodel":
        return "costmodel"
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "door"


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below ``node`` but the bodies of ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from runtime_nodes(child)


def imported(module: str) -> set[str]:
    """The modules of ours that ``module`` names in an import, a package where only that can be told."""
    names: set[str] = set()
    for node in runtime_nodes(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module}: a relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in inner}
    return {name for name in names if name in MODULES and name != module}


GRAPH = {module: imported(module) for module in MODULES}


def test_every_room_is_there() -> None:
    assert {room_of(module) for module in MODULES} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_down(room: str) -> None:
    below = ROOMS[: ROOMS.index(room) + 1]
    up = [f"{m} -> {i}" for m in MODULES if room_of(m) == room for i in sorted(GRAPH[m]) if room_of(i) not in below]
    # A room may ask for the version, which stands at the door and imports nothing.
    assert not [line for line in up if not line.endswith("-> search")]


def test_no_module_imports_itself_by_way_of_others() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_package_imports_itself_by_way_of_others() -> None:
    """A package is whatever holds a module: ``search.render.report`` and ``search.render.report.sections`` are two; one
    inside the other may call each other's modules, as long as no module does so in a circle."""
    graph: dict[str, set[str]] = defaultdict(set)

    def package(module: str) -> str:
        return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]

    for module, found in GRAPH.items():
        for other in found:
            a, b = package(module), package(other)
            if not (f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.")):
                graph[a].add(b)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_room_is_over_full() -> None:
    count: dict[Path, int] = defaultdict(int)
    for path in MODULES.values():
        count[path.parent] += 1
    assert not {str(folder): n for folder, n in count.items() if n > MOST_FILES}
