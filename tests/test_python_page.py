"""Python in the documentation runs: every line of docs/python.md in order, and the notebook beside it."""

import os
import re
import sys
from pathlib import Path

import pytest
from doc_commands import missing

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "python.md"
NOTEBOOK = DOCS / "score_plans.ipynb"
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<text>.*?)^```$)?", re.MULTILINE | re.DOTALL)


def test_every_line_of_the_page_runs_and_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = list(BLOCK.finditer(PAGE.read_text()))
    assert len(blocks) == PAGE.read_text().count("```python") >= 5
    for block in blocks:
        exec(compile(block["code"], str(PAGE), "exec"), names)
        printed = capsys.readouterr().out.splitlines()
        assert not missing((block["text"] or "").splitlines(), printed), printed
        assert block["text"] or not printed
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def notebook():
    nbformat = pytest.importorskip("nbformat")
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_holds_no_outputs(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) >= 5
    assert not [cell for cell in cells if cell.outputs or cell.execution_count]


@pytest.mark.filterwarnings("ignore")  # those of Jupyter
def test_the_notebook_runs(notebook, tmp_path, monkeypatch):
    """In a kernel of its own, in an empty folder; a cell that fails is an error."""
    nbclient, traitlets = pytest.importorskip("nbclient"), pytest.importorskip("traitlets.config")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(DOCS.parent), *sys.path]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    folder = tmp_path / "work"
    folder.mkdir()
    sockets = traitlets.Config({"KernelManager": {"transport": "ipc", "ip": str(tmp_path / "k")}})  # no ports
    place = {"metadata": {"path": str(folder)}}
    done = nbclient.NotebookClient(notebook, timeout=300, config=sockets, resources=place).execute()
    cells = [cell for cell in done.cells if cell.cell_type == "code"]
    streams = [out for cell in cells for out in cell.outputs if out.output_type == "stream"]
    assert not [out.text for out in streams if out.name == "stderr"]
    assert "rule attention_fills_stage" in "".join(out.text for out in streams)
    assert sum(out.output_type == "execute_result" for cell in cells for out in cell.outputs) >= 4
    assert not list(folder.iterdir())
