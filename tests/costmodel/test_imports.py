"""The physics stands by itself, and no file outgrows its reader."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {"hydra", "omegaconf", "optuna", "pandas", "search"}
ALLOWED = {"costmodel", "numpy", "scipy"}
PHYSICS = sorted((ROOT / "costmodel").rglob("*.py"))
OURS = [p for room in ("costmodel", "search", "scripts", "tests", "docs") for p in sorted((ROOT / room).rglob("*.py"))]
LINES = 320


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_importing_every_module_pulls_in_nothing_of_the_search() -> None:
    modules = [name(p).removesuffix(".py").replace("/", ".").removesuffix(".__init__") for p in PHYSICS]
    code = f"import importlib, sys; [importlib.import_module(m) for m in {modules}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {module.split(".")[0] for module in done.stdout.split()}
    assert "numpy" in loaded
    assert not loaded & FORBIDDEN


@pytest.mark.parametrize("path", PHYSICS, ids=name)
def test_physics_names_only_numpy_and_scipy(path: Path) -> None:
    """Also inside functions, where an import would escape the test above."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert imported <= ALLOWED | set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", OURS, ids=name)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES
