"""``plan.md`` with its annex as a page for paper: HTML, and a PDF that a Chromium prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

from search.base.errors import InputError

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "microsoft-edge")
MOST_S = 60.0
STYLE = """
@page { size: A4; margin: 13mm 15mm; @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt; } }
body { font: 9pt/1.32 "Liberation Sans", Arial, sans-serif; color: #111; margin: 0; }
h1 { font-size: 15pt; margin: 0 0 4pt; }
h2 { font-size: 11.5pt; margin: 9pt 0 3pt; border-bottom: 0.5pt solid #999; break-after: avoid; }
h3 { font-size: 10pt; margin: 8pt 0 3pt; break-after: avoid; }
ul { margin: 3pt 0; padding-left: 14pt; }
p { margin: 4pt 0; }
table { border-collapse: collapse; margin: 4pt 0; width: 100%; font-size: 7.8pt; }
th, td { border: 0.4pt solid #bbb; padding: 1.4pt 4pt; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
h2:nth-of-type(4) + table td { height: 15pt; }
h2:nth-of-type(5) { break-before: page; }
h1 ~ h1 { break-before: page; }
p:has(+ table) { break-after: avoid; }
th { background: #eee; }
tr { break-inside: avoid; }
thead { display: table-header-group; }
code { font-family: "Liberation Mono", monospace; font-size: 8pt; overflow-wrap: anywhere; }
pre { background: #f4f4f4; padding: 4pt; white-space: pre-wrap; break-inside: avoid; }
"""


def page(markdown: str, title: str) -> str:
    """One self-contained HTML page. HTML and pictures in ``markdown`` stay text: a name in a plan cannot load
    anything."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    body = parser.render(markdown)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def pdf(html: str) -> bytes:
    """``html`` as a PDF. ``InputError`` where there is no Chromium or it fails."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise InputError(f"--pdf: needs a Chromium, and none of {', '.join(BROWSERS)} is installed; --html needs none")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "plan.html"), Path(folder, "plan.pdf")
        source.write_text(html, encoding="utf-8")
        command = [
            browser, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-sync", "--no-pdf-header-footer", f"--user-data-dir={Path(folder, 'profile')}",
            f"--print-to-pdf={target}", source.as_uri(),
        ]  # fmt: skip
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # refused to root otherwise; the page has no scripts
        try:
            done = subprocess.run(command, capture_output=True, timeout=MOST_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"--pdf: {browser} did not print: {type(error).__name__}") from error
        if done.returncode or not target.is_file():
            said = (done.stderr.decode("utf-8", "replace").splitlines() or ["nothing said"])[-1]
            raise InputError(f"--pdf: {browser} did not print (exit code {done.returncode}): {said[:200]}")
        return target.read_bytes()
