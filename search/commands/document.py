"""``servefront document RUN [--html FILE] [--pdf FILE]``: the document of a run's recommended plan.

Without an option it is printed as it stands in ``plan.md``. The page and the PDF are for paper and hold the annex,
``inputs.md``, too. Exit 1: the run recommends no plan. 2: bad input.
"""

from __future__ import annotations

from pathlib import Path

from search.base.arguments import Parser
from search.base.errors import InputError, NoFeasiblePlan
from search.base.whole_file import put, put_out, usable_out
from search.inputs.bounded_file import read_bounded
from search.inputs.saved_run import read_run

MAX_BYTES = 5_000_000  # of plan.md: the longest of the experiments has 60,000


def main(argv: list[str]) -> int:
    """Returns the exit code."""
    parser = Parser(prog="servefront document", description="The document of a run's recommended plan, for paper.")
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as one page of HTML")
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="write it as a PDF; needs an installed Chromium")
    options = parser.parse_args(argv)
    from search.commands.search import fail

    try:
        for flag in ("html", "pdf"):
            if (path := getattr(options, flag)) is not None:
                usable_out(f"--{flag}", path)
        text = document_of(options.run)
        if options.html is None and options.pdf is None:
            print(text, end="")
            return 0
        annex = options.run / "inputs.md"  # runs of the first versions have none
        write(f"{text}\n{_text(annex)}" if annex.is_file() else text, options.html, options.pdf)
    except (InputError, NoFeasiblePlan) as error:
        return fail(str(error), error.exit_code)
    return 0


def document_of(folder: Path) -> str:
    """``plan.md`` of a run."""
    run = read_run(folder)
    if run.recommended is None:
        raise NoFeasiblePlan(f"{folder}: no plan keeps its limits, so there is no document")
    return _text(folder / "plan.md")


def _text(path: Path) -> str:
    raw = read_bounded(path, MAX_BYTES, "a plan's document")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def write(text: str, html: Path | None, pdf: Path | None) -> None:
    """The files that are asked for."""
    from search.render.document import printed

    title = text.partition("\n")[0].lstrip("# ")
    page = printed.page(text, title)
    if html is not None:
        put_out("--html", html, page)
        print(f"Written to {html}")
    if pdf is not None:
        content = printed.pdf(page)
        put(pdf, lambda partial: partial.write_bytes(content))
        print(f"Written to {pdf}")
