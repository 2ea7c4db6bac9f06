"""What was typed, and what starts the plan: commands with a button that copies them."""

from __future__ import annotations

from search.base.escape import plain
from search.render.report.html import Html, details, join, tag
from search.render.report.view import PageView
from search.render.words import ENGINES


def commands(v: PageView) -> Html:
    """Nothing where no command is known."""
    parts = []
    if "run.command" in v:
        parts.append(_command("This run:", plain(str(v.raw("run.command"))), "asked"))
    starts = list(v.each("launch"))
    for i, start in enumerate(starts):
        engine = start.text("engine")
        title = f"Starts the first server on {ENGINES.get(engine, engine)}:"
        shown = _command(title, plain(str(start.raw("command"))), f"launch-{engine}")
        parts.append(shown if i == 0 else details(title.removesuffix(":"), shown))
    if starts:
        parts.append(tag("p", "Scripts for all servers, Kubernetes, Slurm and the benchmark that checks the "
                         "prediction lie in launch/ beside this page.", class_="hint"))  # fmt: skip
    return join(parts)


def _command(title: str, line: str, identity: str) -> Html:
    button = tag("button", "Copy", type="button", class_="copy js", data_copy=f"command-{identity}",
                 aria_label=f"Copy the command: {title.removesuffix(':').lower()}")  # fmt: skip
    code = tag("pre", tag("code", line, id=f"command-{identity}"), tabindex="0", role="region", aria_label=title)
    return tag("div", tag("p", title, " ", button), code, class_="command")
