"""What every page is, whatever it shows: one file with its style, its scripts and its data inside, which asks the
network for nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from search.render.report.html import Html, tag

POLICY = "default-src 'none'; {scripts}style-src 'unsafe-inline'; img-src {images}; base-uri 'none'; form-action 'none'"


def whole(title: str, body: Sequence[Html], own: str | None = None, style: str = "") -> str:
    """The page of a ``body``, with the scripts that its ``own`` one needs (``None``: it runs none) and more ``style``
    than all pages have."""
    if own is None:
        policy = POLICY.format(scripts="", images="data:")
    else:
        policy = POLICY.format(scripts=f"{_script_policy(own)}; ", images="data: blob:")
        body = [*body, _scripts(own)]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        *([tag("meta", name="color-scheme", content="light dark")] if own is not None else []),
        tag("title", f"{title}: servefront"),
        tag("style", Html(resource("report.css") + style)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', *body), lang='en')}\n"


def resource(name: str) -> str:
    return (files("search.render.report") / "assets" / name).read_text(encoding="utf-8")


def wrapped(parts: Sequence[str]) -> str:
    """A page's own script of its parts."""
    body = "\n".join(parts)
    return f'(async function () {{\n"use strict";\n{body}}})();\n'


@cache
def plotly_source() -> str:
    """plotly.js as its Python package carries it."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _scripts(own: str) -> Html:
    """plotly.js, which is 4.8 MB and travels compressed (``unpack.js``), and the page's ``own``."""
    packed = base64.b64encode(gzip.compress(plotly_source().encode(), 3, mtime=0)).decode()
    return Html(f'<script type="text/plain" id="plotly">{packed}</script><script>{own}</script>')


def _script_policy(own: str) -> str:
    """The part of a content security policy by which these scripts may run and no other."""
    return f"script-src {_hash(plotly_source())} {_hash(own)}"


@cache
def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
