"""HTML that cannot be broken from inside: whatever is not ``Html`` already is quoted."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from search.base.escape import script_json


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


VOID = ("meta", "input", "br", "hr", "link")


def tag(element: str, /, *children: str, **attributes: str | bool | None) -> Html:
    """An element. ``class_`` stands for ``class``, ``aria_label`` for ``aria-label``; True is a bare attribute, False
    and None leave it out."""
    words = [element]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(key)
        elif value is not None and value is not False:
            words.append(f'{key}="{html.escape(str(value))}"')
    start = Html(f"<{' '.join(words)}>")
    return start if element in VOID else Html(f"{start}{join(children)}</{element}>")


def join(children: Iterable[str]) -> Html:
    """Children one after another, quoted where they are plain text."""
    return Html("".join(c if isinstance(c, Html) else html.escape(c) for c in children))


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, text: Sequence[int] = (0,)) -> Html:
    """A table that can be scrolled by itself, also with the keyboard; columns ``text`` stand to the left. On a phone
    each row is a card (``report.css``), whose cells carry their headings as ``data-label``."""

    def cells(kind: str, line: Sequence[str], **scope: str) -> list[Html]:
        return [tag(kind, c, class_="t" if i in text else None, data_label=header[i] if kind == "td" else None, **scope)
                for i, c in enumerate(line)]  # fmt: skip

    def row(line: Sequence[str]) -> Html:
        first, *rest = cells("td", line)
        first = Html(first.replace(f' data-label="{html.escape(header[0])}"', "", 1))
        head = Html(first.replace("<td", '<th scope="row"', 1).removesuffix("</td>") + "</th>")
        return tag("tr", head, *rest)

    head = tag("thead", tag("tr", *cells("th", header, scope="col")))
    body = tag("tbody", *(row(line) for line in rows))
    inside = tag("table", tag("caption", caption), head, body)
    return tag("div", inside, class_="scroll rows", tabindex="0", role="region", aria_label=caption)


def bullets(lines: Iterable[str]) -> Html:
    """A list."""
    return tag("ul", *(tag("li", line) for line in lines))


def details(summary: str, *children: str) -> Html:
    """What opens on demand."""
    return tag("details", tag("summary", summary), *children)


def json_script(identity: str, data: Any) -> Html:
    """Data for the page's script, in an element that nothing executes."""
    return Html(f'<script type="application/json" id="{html.escape(identity)}">{script_json(data)}</script>')
