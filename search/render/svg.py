"""A small writer of SVG: elements, text, whole files. No browser, no fonts of its own, the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from search.base.escape import plain

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def element(name: str, *children: str, **attributes: str | float) -> str:
    """An element; ``children`` are markup already. ``stroke_width`` stands for ``stroke-width``, ``class_`` for
    ``class``."""
    words = [name]
    for key, value in attributes.items():
        shown = value if isinstance(value, str) else f"{value:.5g}"
        words.append(f"{key.rstrip('_').replace('_', '-')}={quoteattr(shown)}")
    inside = "".join(children)
    return f"<{' '.join(words)}>{inside}</{name}>" if inside else f"<{' '.join(words)}/>"


def words(name: str, said: str, **attributes: str | float) -> str:
    """An element that holds text, which is one plain line."""
    return element(name, escape(plain(said)), **attributes)


def text(x: float, y: float, said: str, **attributes: str | float) -> str:
    """A line of text."""
    return words("text", said, x=x, y=y, **attributes)


def document(
    width: float, height: float, title: str, description: str, parts: Iterable[str], **attributes: str | float
) -> str:
    """The file: ``parts`` on white. A screen reader says the title and the description in place of the shapes."""
    body = [
        words("title", title, id="picture-title"),
        words("desc", description, id="picture-words"),
        element("rect", width=width, height=height, fill="#ffffff"),
        *(part for part in parts if part),
    ]
    return (
        element(
            "svg", "\n" + "\n".join(body) + "\n", xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {width:g} {height:g}", width=width, height=height, role="img",
            aria_labelledby="picture-title picture-words", font_family=FONT, **attributes,
        )
        + "\n"
    )  # fmt: skip


class Picture:
    """``width`` by ``height`` pixels, drawn shape by shape. Coordinates are rounded to a tenth."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def rect(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        self._add("rect", x=x, y=y, width=max(width, 0.0), height=height, fill=fill)

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = "#999", width: float = 1.0) -> None:
        self._add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, stroke_width=width)

    def text(
        self, x: float, y: float, said: str, *, size: float = 12, anchor: str = "start", fill: str = "#222",
        weight: str = "normal",
    ) -> None:  # fmt: skip
        """``anchor`` start, middle or end of the words stands at ``x``, their base line at ``y``."""
        bold = {} if weight == "normal" else {"font_weight": weight}
        self._add("text", said, x=x, y=y, font_size=size, text_anchor=anchor, fill=fill, **bold)

    def polyline(self, points: Iterable[tuple[float, float]], stroke: str, width: float = 1.5) -> None:
        """A line through ``points``, filled with nothing."""
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._add("polyline", points=joined, fill="none", stroke=stroke, stroke_width=width)

    def render(self, title: str, description: str) -> str:
        """The file."""
        return document(self.width, self.height, title, description, self._parts)

    def _add(self, name: str, said: str = "", **attributes: float | str) -> None:
        rounded = {k: v if isinstance(v, str) else round(v, 1) + 0.0 for k, v in attributes.items()}  # no -0
        self._parts.append(words(name, said, **rounded))
