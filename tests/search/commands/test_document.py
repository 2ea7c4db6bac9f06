"""The document on paper: HTML and PDF of a run's ``plan.md``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from search import cli
from search.render.document.printed import page

QUICK = (
    "model=qwen3_0_6b", "hardware=h200_sxm", "engine=vllm", "space.gpus=[1]", "space.batch=[8]", "strategy=exact",
    "report=none", "sensitivity=none", "hydra.run.dir=r",
)  # fmt: skip


@pytest.fixture
def run(search, tmp_path: Path) -> Path:
    assert search(*QUICK)[0] == 0
    return tmp_path / "r"


def test_the_page_holds_what_plan_md_says(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["document", str(run)]) == 0
    text = capsys.readouterr().out
    assert text == (run / "plan.md").read_text()
    assert cli.main(["document", str(run), "--html", str(tmp_path / "p.html")]) == 0
    html = (tmp_path / "p.html").read_text()
    text += "\n" + (run / "inputs.md").read_text()  # its annex stands behind it
    assert html.count("<h1>") == 2
    assert html.count("<h2>") == sum(line.startswith("## ") for line in text.splitlines())
    assert html.count("<table>") == text.count("|\n\n") + text.endswith("|\n")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_chromium_prints_it(run: Path, tmp_path: Path) -> None:
    assert cli.main(["document", str(run), "--pdf", str(tmp_path / "p.pdf")]) == 0
    assert (tmp_path / "p.pdf").read_bytes().startswith(b"%PDF-")


def test_hostile_text_stays_text() -> None:
    html = page("# <script>x</script>\n\n![a](file:///etc/passwd)\n\n[b](javascript:x)\n", "<script>")
    assert "<script>" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html


def test_bad_input(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    def line(*arguments: object) -> str:
        assert cli.main(["document", *map(str, arguments)]) == 2
        (said,) = capsys.readouterr().err.splitlines()
        return said

    assert "there is no folder" in line(run, "--html", tmp_path / "no" / "p.html")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "needs a Chromium" in line(run, "--pdf", tmp_path / "p.pdf")
    (run / "plan.md").write_bytes(b"\xff")
    assert "is not UTF-8" in line(run)
    (run / "plan.md").unlink()
    assert "plan.md" in line(run)
    assert not list(tmp_path.glob("p.*"))
