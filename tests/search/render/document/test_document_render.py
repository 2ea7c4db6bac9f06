"""What people read: every part is there, the worked case's figures stand where they belong, names cannot break it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from document_cases import renamed, worked_case
from hypothesis import given
from hypothesis import strategies as st

from search import __version__
from search.base.escape import markdown
from search.inputs.saved_run import config_text
from search.optimizer.outcome import Outcome
from search.render.document import collect, render, render_plan
from search.render.document.formats import bytes_per_s, count, figure, gb, percent, plural, seconds, signed_percent
from search.render.document.render import FIRST_PAGE, OPTIONAL, SECTIONS

PARTS = (
    *FIRST_PAGE,
    "Model", "Hardware", "Input", "Strategy", "Resource allocation", "Performance", "Module division", "Rationale",
    "Memory check", "TTFT check", "Throughput", "Load balance", "Comparison with earlier plans",
    "Claims of earlier plans", "Assumptions and sources",
)  # fmt: skip
HOSTILE = "| a `b` <script>alert(1)</script> **c** [d](e)\n# f\n| - $x$ \\| \u202egpj ~~g~~ &lt; _h_ 1."


def sections(text: str) -> dict[str, str]:
    """Bodies by title."""
    parts = re.split(r"^## \d+\. (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def check_tables(text: str) -> int:
    """Every table has as many cells in each row as in its head; returns the number of tables."""
    tables = re.findall(r"(?:^\|.*\|$\n?)+", text, flags=re.M)
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table.strip().split("\n")}
        assert len(widths) == 1, table
    assert text.count("\n|") == sum(t.strip().count("\n") + 1 for t in tables)
    return len(tables)


def test_no_part_is_missing(any_outcome: Outcome) -> None:
    text = render_plan(any_outcome)
    found = sections(text)
    assert set(PARTS) <= set(found)
    assert list(found) == [title for title in SECTIONS if title not in OPTIONAL]
    assert all(body.strip() for body in found.values())
    assert check_tables(text) >= 12
    assert not re.search(r"\bnan\b|\binf\b|None|np\.|\{|\}", text)


@pytest.mark.parametrize(
    ("part", "figures"),
    [
        ("Model", ["235.09 billion", "96,256 elements", "128", "151,936"]),
        ("Memory check", ["experts 28.39 GB", "attention 1.68 GB", "30.79 GB", "24,064 bytes a token"]),
        ("Comparison with earlier plans", ["12.62 GB", "27.7 ms", "12.30 s", "vLLM, SGLang"]),
        ("Claims of earlier plans", ["107 %", "27.7 ms", "20.8 ms", "14.77 GB", "68.5 %", "69.7 %", "12.62 GB"]),
        ("Load balance", ["16 each", "1.20 times"]),
        ("Against earlier plans", ["Claims of original: 1 of 4 hold", "Claims of refined: 1 of 11 hold", "(fails)"]),
        ("Rationale", ["Pinned by the ttft limit", "Runner-up"]),
    ],
)
def test_figures_of_the_worked_case(worked: Outcome, part: str, figures: list[str]) -> None:
    body = sections(render_plan(worked))[part]
    for shown in figures:
        assert shown in body


def test_one_cache_figure_by_hand(worked: Outcome) -> None:
    """256 sequences of 4096 tokens at 96,256 bytes are 100.9 GB a replica and 12.6 GB on each of its 8 GPUs."""
    values = collect(worked)
    assert values["model.kv_elements_per_token"] == 2 * 4 * 128 * 94
    assert values["baseline.1.kv_cache_bytes_per_gpu"] == 256 * 4096 * 96256 / 8


def test_front_joins_plans_that_differ_in_dp(worked: Outcome) -> None:
    values = collect(worked)
    assert (values["front.0.dp_low"], values["front.0.dp_high"]) == (1.0, 2.0)
    assert "recommended" in str(values["front.0.note"])
    body = sections(render_plan(worked))["The front"]
    assert len([line for line in body.split("\n") if line.startswith("| ")]) <= 22
    assert f"{values['front.left_out']} more rows" in body


def test_assumed_inputs_are_listed(worked: Outcome) -> None:
    body = sections(render_plan(worked))["Assumptions and sources"]
    assert "the KV cache is FP8" in body
    assert "| engine.reserve_bytes | 2.00 GB | context, communication buffers and captured graphs |" in body
    assert "| cluster.node.bytes_per_s | 400 GB/s | 400 GB/s one way |" in body
    assert "| hardware.peak_flops.fp32, bf16, fp8, int8, fp4 | 400 TFLOP/s | " in body
    assert "Inputs without a source: hardware.cluster, dependent_launch; " in body


def test_it_is_short_enough_to_be_read(any_outcome: Outcome) -> None:
    """Words and figures alike; the bars of tables are neither."""
    text = render_plan(any_outcome)
    assert len([word for word in text.split() if re.search(r"\w", word)]) < 3500
    for name in ("Law", "FlatLaw", "MoeFfn", "GroupedQueryAttention", "tokens_per_s", "_utilization", "ttft_s"):
        assert name not in text


def test_it_says_which_run_it_is_about(worked: Outcome) -> None:
    values = collect(replace(worked, command="servefront +experiment=qwen3_235b"))
    config = config_text(worked.config).encode()
    text = render(values)
    assert f"| SHA-256 of config.yaml | {hashlib.sha256(config).hexdigest()} |" in text
    assert f"| {date.today().isoformat()} |" in text or f"| {datetime.now(UTC).date().isoformat()} |" in text
    assert f"| {values['run.id']}, servefront {__version__} |" in text
    assert "| servefront +experiment=qwen3\\_235b |" in text or "| servefront +experiment=qwen3_235b |" in text
    assert collect(worked)["run.id"] == values["run.id"]
    other = replace(worked.config, strategy=replace(worked.config.strategy, seed=7))
    assert collect(replace(worked, config=other))["run.id"] != values["run.id"]


def test_ledger_adds_up(any_outcome: Outcome) -> None:
    values = collect(any_outcome)
    rules = sum(int(v) for k, v in values.items() if re.fullmatch(r"rule\.\d+\.removed", k))
    limits = sum(int(v) for k, v in values.items() if re.fullmatch(r"missed\.\d+\.removed", k))
    assert int(values["ledger.space"]) == rules + int(values["ledger.legal"])
    assert int(values["ledger.scored"]) == limits + int(values["ledger.feasible"])


def test_headroom_of_every_limit_that_is_set(any_outcome: Outcome) -> None:
    """And what is left, the interval and the chance beside it, on the first page."""
    body = sections(render_plan(any_outcome))["Summary"]
    limits = any_outcome.scenario.limits
    rows = {line.split(" | ")[0].strip("| "): line for line in body.split("\n") if "| at " in line}
    assert ("requests/s" in rows) == (limits.min_requests_per_s is not None)
    assert ("TPOT" in rows) == (limits.tpot_s is not None)
    assert all(line.count("%") >= 2 and ("worse end" in line or "counted" in line) for line in rows.values())


def test_hostile_names_stay_names(worked: Outcome) -> None:
    outcome = renamed(worked_case(assumptions=[HOSTILE, "- " + HOSTILE]), HOSTILE)
    text, plain = render_plan(outcome), render_plan(worked)
    assert check_tables(text) == check_tables(plain)
    assert text.count("\n") == plain.count("\n") - 3  # six assumptions against three
    assert re.findall(r"^#+ ", text, flags=re.M) == re.findall(r"^#+ ", plain, flags=re.M)
    assert "<script" not in text
    assert "\u202e" not in text


@given(st.text())
def test_escaped_text_is_one_harmless_line(text: str) -> None:
    line = markdown(text)
    assert len(line.splitlines()) <= 1
    assert "<" not in line
    assert ">" not in line
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`*\[\]~$#]", re.sub(r"&(?:amp|lt|gt);", "", line))


def test_figures_read_well() -> None:
    assert gb(28.387e9) == "28.39 GB"
    assert [seconds(s) for s in (18.074, 0.0277, 0.00363, 5e-6, 0.0)] == [
        "18.07 s",
        "27.7 ms",
        "3.63 ms",
        "5 µs",
        "0 s",
    ]
    assert [count(n) for n in (96256, 3.376, 11171.7, 0.00343)] == ["96,256", "3.38", "11,172", "0.00343"]
    assert [percent(x) for x in (0.685, 1.068)] == ["68.5 %", "107 %"]
    assert signed_percent(-0.021) == "-2.1 %"
    assert bytes_per_s(1.44e12) == "1.44 TB/s"
    assert figure("output_tokens_per_s_per_gpu", 864.2) == "864"
    assert [plural(n, "pass") for n in ("1", "2")] == ["1 pass", "2 passes"]
    assert [markdown(t) for t in ("worked_case", "_a_", "1. x", "14.69")] == [
        "worked_case",
        "\\_a\\_",
        "1\\. x",
        "14.69",
    ]


def test_render_needs_nothing_but_the_values(worked: Outcome) -> None:
    assert render(dict(collect(worked))) == render_plan(worked)


def test_a_plan_passed_over_is_named_and_the_recommended_one_is_not_called_the_best(worked: Outcome) -> None:
    assert worked.choice is not None
    better = int(np.argmax(np.where(worked.scores.feasible, worked.scores.output_tokens_per_s_per_gpu, 0.0)))
    choice = replace(worked.choice, recommended=worked.choice.runner_up, passed_over=better)  # type: ignore[arg-type]
    text = render_plan(replace(worked, choice=choice))
    speed = worked.scores.output_tokens_per_s_per_gpu
    chosen, most = f"{speed[choice.recommended]:.0f}", f"{speed[better]:.0f}"
    assert f"keep every limit, among those whose layout measurements cover: {chosen}" in text
    plan = worked.plans.row(better)
    axes = ", ".join(f"{axis} {plan[axis]}" for axis in ("gpus", "dp", "pp", "sp", "tp", "ep", "batch"))
    assert f"Passed over: {axes}, predicted to have {most}." in text
    assert "Passed over" not in render_plan(worked)
