"""A small writer of SVG pictures: shapes and text in order, with a title and a description for who cannot see them."""

from __future__ import annotations

import unicodedata
from xml.sax.saxutils import escape, quoteattr

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


class Picture:
    """``width`` by ``height`` pixels on white. Coordinates are rounded to a tenth, so that the same picture is the same
    text."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def rect(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        self._add("rect", x=x, y=y, width=max(width, 0.0), height=height, fill=fill)

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = "#999", width: float = 1.0) -> None:
        self._add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, stroke_width=width)

    def text(
        self, x: float, y: float, words: str, *, size: float = 12, anchor: str = "start", fill: str = "#222",
        weight: str = "normal",
    ) -> None:  # fmt: skip
        """``anchor`` start, middle or end of the words stands at ``x``, their base line at ``y``."""
        attributes: dict[str, float | str] = {"x": x, "y": y, "font_size": size, "text_anchor": anchor, "fill": fill}
        if weight != "normal":
            attributes["font_weight"] = weight
        self._add("text", plain(words), **attributes)

    def render(self, title: str, description: str) -> str:
        """The file. A screen reader says the title and the description in place of the shapes."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_number(self.width)}" height="{_number(self.height)}" '
            f'viewBox="0 0 {_number(self.width)} {_number(self.height)}" role="img" aria-labelledby="title desc" '
            f"font-family={quoteattr(FONT)}>"
        )
        body = [
            f'<title id="title">{escape(plain(title))}</title>',
            f'<desc id="desc">{escape(plain(description))}</desc>',
        ]
        body.append('<rect width="100%" height="100%" fill="#fff"/>')
        return "\n".join([head, *body, *self._parts, "</svg>"]) + "\n"

    def _add(self, tag: str, words: str | None = None, **attributes: float | str) -> None:
        written = " ".join(f"{k.replace('_', '-')}={quoteattr(_number(v))}" for k, v in attributes.items())
        self._parts.append(f"<{tag} {written}/>" if words is None else f"<{tag} {written}>{escape(words)}</{tag}>")


def plain(words: str) -> str:
    """One line without control and direction characters, which XML and readers do not take."""
    return " ".join("".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in words).split())


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"
