"""Whatever a name is, it stays a name: each escape is read back by a parser of its own format."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from omegaconf import OmegaConf

from search.base import escape
from search.base.errors import InputError
from search.inputs.plan_reader import MAX_NAME
from search.inputs.run_name import check_name
from search.inputs.saved_run import read_plan_file
from search.render.launch.shell import word
from search.render.plan_file import render

HOSTILE = (
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "=cmd|' /C calc'!A0", "=HYPERLINK(\"x\")",
    "-1+2", "+1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "a;=1", 'a;"=1', "\uff1d1", "$(reboot)", "`reboot`", "; reboot",
    "a' ; reboot '", "--trust-remote-code", "\x1b[31mred", "\x9b31m", "\x1b]0;title\x07", "[bold]x[/bold]", "[/]",
    "[link=x]y[/link]", "\\[bold]", "ends in \\", "**b** _i_ ~~s~~ `c` # h", "[a](javascript:x) ![i](x)", "| a | b",
    "a\n\n# heading\n- item", "---", "===", "1. x", "\u202eevil", "\u2028x", "\ufeffx", "x\x00y", "${oc.env:HOME}",
    "\\${x}", "'\"", "a: b # c", "😀 é 汉", "&lt;b&gt;", "<b", "http://x <y@z>", "\\\\${a}", "%s{0}", "~", "null",
    "1e5",
)  # fmt: skip
WORDS = (
    st.text()
    | st.sampled_from(HOSTILE)
    | st.lists(st.sampled_from(HOSTILE) | st.text(max_size=4), max_size=4).map("".join)
)
FORMULA = tuple("=+-@＝＋－＠\t\r\n")


@given(WORDS)
def test_plain_text_is_one_printable_line(text: str) -> None:
    line = escape.plain(text)
    assert line.isprintable()
    assert escape.plain(line) == line
    assert [c for c in text if c.isprintable() and c != " "] == [c for c in line if c != " "]


MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
PLACES = {
    "- {} on 8 GPUs": ["bullet_list_open", "list_item_open", "paragraph_open", "inline"],
    "# Plan: {}": ["heading_open", "inline"],
    "| a |\n| :-- |\n| {} |": ["table_open"],
    "{}": ["paragraph_open", "inline"],
}


@pytest.mark.parametrize("place", PLACES)
@given(text=WORDS)
@settings(max_examples=200)
def test_markdown_is_text_in_every_place(place: str, text: str) -> None:
    """A CommonMark parser finds one inline with the text itself, and no other block, link, emphasis or HTML."""
    assume(escape.plain(text))
    tokens = MARKDOWN.parse(place.format(escape.markdown(text)))
    assert [t.type for t in tokens][: len(PLACES[place])] == PLACES[place]
    inlines = [t for t in tokens if t.type == "inline"]
    assert len(inlines) == (2 if "|" in place else 1)
    children = inlines[-1].children or []
    assert {c.type for c in children} <= {"text", "text_special"}
    found = "".join(c.content for c in children)
    assert len(escape.plain(text)) > 399 or found == place.rsplit("\n")[-1].strip("|-# ").format(escape.plain(text))


class Page(html.parser.HTMLParser):
    """Tags, and the text between them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(WORDS)
def test_html_is_text_in_elements_and_attributes(text: str) -> None:
    for quote in "\"'":
        page = Page()
        page.feed(f"<p title={quote}{escape.html(text)}{quote}>{escape.html(text)}</p>")
        page.close()
        assert page.tags == [("p", [("title", escape.plain(text))])]
        assert page.text == escape.plain(text)


@given(st.recursive(WORDS | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)))
def test_json_in_a_script_holds_the_value_and_no_tag(value: object) -> None:
    text = escape.script_json(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_json_in_a_script_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        escape.script_json([float("nan")])


@given(st.lists(WORDS, min_size=1, max_size=4))
@example(['a;"=1'])
def test_no_cell_is_a_formula(texts: list[str]) -> None:
    """Read as commas, tabs or semicolons end a cell: which one does depends on the reader's language."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow([escape.csv_cell(t) for t in texts])
    line = file.getvalue()
    assert line.count("\n") == 1
    (cells,) = csv.reader([line])
    assert len(cells) == len(texts)
    for cell in cells:
        assert escape.NUMBER.fullmatch(cell) or not cell.lstrip().startswith(FORMULA)
    for delimiter in ";\t":
        for row in csv.reader([line], delimiter=delimiter):
            assert not [c for c in row[1:] if c.lstrip().startswith(FORMULA)]


@given(st.floats() | st.integers() | st.booleans() | st.none())
def test_numbers_are_left_alone(value: object) -> None:
    assert escape.csv_cell(value) is value


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_numbers_as_text_are_left_alone(value: float) -> None:
    assert escape.csv_cell(repr(value)) == repr(value)


@given(WORDS)
def test_a_shell_word_is_one_word(text: str) -> None:
    assert shlex.split(word(text), comments=True) == [text]


@pytest.mark.parametrize("text", [t for t in HOSTILE if "\x00" not in t])
def test_a_real_shell_takes_the_word_as_it_stands(text: str) -> None:
    done = subprocess.run(["sh", "-c", f"printf %s {word(text)}"], capture_output=True, check=True)
    assert done.stdout.decode() == text


@given(WORDS)
def test_yaml_reads_the_text_back(text: str) -> None:
    assert yaml.safe_load(f"name: {escape.yaml_text(text)}\nb: 1\n") == {"name": text, "b": 1}


@given(WORDS)
def test_literal_text_is_no_interpolation(text: str) -> None:
    assume(text != "???")  # OmegaConf's own word for a value that must be given
    config = OmegaConf.create({"name": escape.literal(text)})
    assert config.name == text


@given(name=WORDS, comment=WORDS)
def test_a_plan_file_reads_back_whatever_its_name(
    tmp_path_factory: pytest.TempPathFactory, name: str, comment: str
) -> None:
    assume("${" not in name and len(name) <= MAX_NAME)  # what the reader refuses
    layout = {"tp": 4, "ep": 1, "dp": 1, "pp": 1, "sp": 1, "gpus": 4}
    text = render({"name": name, "layout": layout, "batch": 8, "engine": "", "claims": {"tpot_s": 1e-5}}, comment)
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    plan = read_plan_file(path)
    assert (plan.name, plan.layout, plan.batch, plan.claims) == (name, layout, 8, {"tpot_s": 1e-5})


@given(WORDS)
def test_a_run_is_named_after_one_folder_or_not_at_all(text: str) -> None:
    try:
        name = check_name(text)
    except InputError as error:
        assert str(error).startswith("name: ")
        assert str(error).isprintable()
        return
    assert name == text
    assert name
    assert Path("outputs", name).parts == ("outputs", name)
    assert Path("/outputs", name).resolve().parent == Path("/outputs")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../x", "/etc/x", "a/b", "a\\b", "a\nb", " a", "x" * 201, "é" * 101, None]
)
def test_names_that_are_no_folders(name: str | None) -> None:
    with pytest.raises(InputError, match="name: "):
        check_name(name)
