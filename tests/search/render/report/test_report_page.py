"""The page stands alone, asks the network for nothing, and no name can break out of it. No browser is needed here."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_cases import few_points, hostile_case, large_case, named_case

from search.optimizer.outcome import Outcome
from search.render.palette import BOUNDS, PARTS, ROLES, mark_of
from search.render.report import collect, render
from search.render.report.html import Html, json_script, tag
from search.render.report.page import page_script
from search.render.report.shell import plotly_source
from search.render.report.view import PageView

MOST_BYTES = 4_000_000
Search = Callable[..., tuple[int, str, str]]  # the fixture of conftest.py


class Page(HTMLParser):
    """Elements with their attributes, and the text of script elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def page(reported: Outcome) -> Page:
    return Page(render(collect(reported)))


def test_policy_names_the_two_scripts_and_forbids_the_rest(page: Page) -> None:
    (policy,) = (m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert not {"connect-src", "font-src", "frame-src"} & set(rules)
    data, packed, own = page.scripts
    plotly = gzip.decompress(base64.b64decode(packed)).decode()
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in (plotly, own)]
    assert rules["script-src"].split() == [f"'sha256-{h}'" for h in hashes]
    assert (plotly, own) == (plotly_source(), page_script())
    assert json.loads(data)["front"]["size"] > 0
    assert "http" not in rules["img-src"]


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    for name, attributes in page.elements:
        assert not {"src", "srcset", "data", "poster", "action"} & set(attributes), name
        assert (attributes.get("href") or "#").startswith("#"), attributes
        assert not any(key.startswith("on") for key in attributes), attributes
    assert not page.all("link")
    assert not page.all("iframe")


def test_page_can_be_read_by_machines_and_with_the_keyboard(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    identities = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identities) == len(set(identities))
    assert {a["href"] for a in page.all("a")} <= {f"#{i}" for i in identities}
    assert page.all("a")[0]["href"] == "#summary"  # the way past the contents comes first
    assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
    assert all(a.get("aria-label") for name, a in page.elements if a.get("role") in ("img", "region") and name != "svg")
    assert all(a.get("tabindex") == "0" for _, a in page.elements if a.get("role") == "region")


def test_a_picture_of_every_kind_has_its_place(page: Page) -> None:
    pictures = json.loads(page.scripts[0])["pictures"]
    places = {a["id"] for a in page.all("div") if (a.get("class") or "").startswith("picture") and "id" in a}
    assert places == {*pictures, "scatter"}
    kinds = {key.split("-")[0] for key in pictures}
    assert kinds >= {"time", "roofline", "memory", "sweep"}


def test_a_part_with_nothing_to_say_is_left_out(reported: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    from search.render.report import page as module

    def fleet(v: PageView) -> Html:
        return tag("p", v.n("fleet.share")) if "fleet.share" in v else Html("")

    monkeypatch.setattr(module, "SECTIONS", (*module.SECTIONS, module.Section("fleet", "Fleet", fleet)))
    values = collect(few_points(reported))
    assert "Fleet" not in render(values)
    text = render({**values, "fleet.share": 0.75})
    assert '<section id="fleet"><h2>Fleet</h2><p>0.75</p></section>' in text
    assert '<a href="#fleet">' in text


def test_no_name_breaks_out() -> None:
    outcome = few_points(hostile_case())
    text = render(collect(outcome))
    page, plain = Page(text), Page(render(collect(few_points(named_case("plain")))))
    assert len(page.scripts) == 3
    assert [name for name, _ in page.elements] == [name for name, _ in plain.elements]
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert "\u2028" not in text
    (first, *_) = json.loads(page.scripts[0])["marks"][2:]
    assert first["name"].startswith("baseline </script><script>alert(1)")


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "a & b", "\u2028\u2029", '"\\'])
def test_data_cannot_end_its_script(text: str) -> None:
    written = json_script("data", {"name": text})
    inside = written.removeprefix('<script type="application/json" id="data">').removesuffix("</script>")
    assert not re.search("[<>&\u2028\u2029]", inside)
    assert json.loads(inside) == {"name": text}


def test_what_is_not_html_is_quoted() -> None:
    assert tag("p", "<b>", Html("<i></i>"), title='"x" & <y>') == (
        '<p title="&quot;x&quot; &amp; &lt;y&gt;">&lt;b&gt;<i></i></p>'
    )


def test_page_of_a_large_search_is_below_its_size() -> None:
    outcome = large_case()
    text = render(collect(outcome))
    assert len(text.encode()) < MOST_BYTES
    assert "a sample of the other scored plans" in text
    # As large as a table of the front gets, with room for columns to come.
    long = replace(outcome, front=np.flatnonzero(outcome.scores.feasible)[::3])
    text = render(collect(long))
    assert len(text.encode()) < MOST_BYTES - 100_000
    assert "1,000 plans of the front (of " in text


def test_same_values_same_page(reported: Outcome) -> None:
    assert render(collect(reported)) == render(dict(collect(reported)))


def test_roles_bounds_and_parts_differ_without_colour() -> None:
    marks = [mark_of(role).symbol for role in ROLES] + [mark_of("baseline", i).symbol for i in range(3, 6)]
    assert len(set(marks)) == len(marks)
    for styles in (BOUNDS, PARTS):
        assert len({hatch for _, hatch in styles.values()}) == len(styles)


def test_runs_write_the_report_unless_told_not_to(search: Search, tmp_path: Path) -> None:
    few = "strategy.n_trials=20"
    assert search("+experiment=qwen3_235b", "hydra.run.dir=with", few)[0] == 0
    assert search("+experiment=qwen3_235b", "hydra.run.dir=without", few, "report=none")[0] == 0
    assert search("+experiment=qwen3_235b", "hydra.run.dir=nothing", few, "limits.tpot_s=0.0001")[0] == 1
    names = {run: {p.name for p in (tmp_path / run).iterdir()} for run in ("with", "without", "nothing")}
    assert names["with"] - names["without"] == {"report.html", "pareto.svg"}
    assert {"report.html", "pareto.svg"} <= names["nothing"]


@pytest.mark.parametrize(
    ("setting", "named"),
    [("report.kind=pdf", "report.kind"), ("report.max_points=-1", "report.max_points"), ("report=pdf", "html, none")],
)
def test_bad_settings_are_one_line(search: Search, setting: str, named: str) -> None:
    code, out, err = search("+experiment=qwen3_235b", setting)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert named in err
