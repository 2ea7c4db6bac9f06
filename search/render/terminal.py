"""What a run prints: the front, the recommended plan and what holds it there. Where nobody watches it is plain ASCII
without colours, and the table is one of markdown."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from costmodel.plans import READING_ORDER
from search.base.escape import one_line, plain
from search.evidence.measured.intervals import CLASSES, load_intervals
from search.optimizer.baselines import Baseline
from search.optimizer.hardened import CONFIDENCE, hardened
from search.optimizer.outcome import Outcome
from search.optimizer.recommend import axis_ends, nearest
from search.optimizer.sure import is_sure, kept_limits
from search.render.document.engines_compared import HEADER, compared_values, engine_rows
from search.render.document.evidence_words import evidence_lines
from search.render.document.formats import by, figure, plural, seconds
from search.render.document.speculation_words import speculation_lines
from search.render.document.split_words import verdict_lines
from search.render.document.view import View
from search.render.front_plot import front_plot
from search.render.front_table import change, front_table, three_digits
from search.render.full import full_line
from search.render.words import figure_words

WIDTH_WITHOUT_TERMINAL = 150


def print_outcome(outcome: Outcome, folder: Path) -> None:
    """A table of the front and a panel with the recommended plan, on standard output."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a name that the encoding lacks must not end the run
    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    console = Console(width=width, highlight=False, emoji=False, markup=False)
    table, panel = (box.HEAVY_HEAD, box.ROUNDED) if console.is_terminal else (box.MARKDOWN, box.ASCII)
    console.print(front_table(outcome, table, console.width))
    for line in front_plot(outcome, console.width):
        console.print(line)
    console.print(Panel(_recommendation(outcome), title="Recommended plan", expand=False, box=panel))
    for line in (*verdict_lines(outcome), *speculation_lines(outcome)):
        console.print(plain(line))
    if outcome.compared:
        console.print(_engines(outcome, table))
    for baseline in outcome.baselines:
        console.print(plain(_baseline_line(baseline)))
    console.print(plain(_ledger(outcome)))
    if outcome.full is not None:
        console.print(plain(full_line(outcome.full)))
    print_written(folder)


def print_written(folder: Path) -> None:
    """Where the run lies, on standard output; quoted where a shell would act on it: people copy this line."""
    print(f"Written to {plain(shlex.quote(str(folder)))}")


def _engines(outcome: Outcome, frame: box.Box) -> Table:
    """What each compared engine would do at best."""
    table = Table(title="Engines compared, each with its own best plan", box=frame)
    for i, name in enumerate(HEADER):
        table.add_column(name, justify="left" if i in (0, 1, len(HEADER) - 1) else "right")
    for cells in engine_rows(View(compared_values(outcome))):
        table.add_row(*map(plain, cells), style="bold" if cells[0] == outcome.engine else None)
    return table


def _layout(plan: dict[str, int]) -> str:
    return " ".join(f"{a} {plan[a]}" for a in READING_ORDER)


def _recommendation(outcome: Outcome) -> str:
    assert outcome.choice is not None
    choice, s = outcome.choice, outcome.scores
    row = choice.recommended
    lines = [
        f"{one_line(outcome.scenario.model.name)} on {one_line(outcome.scenario.accelerator.name)}",
        *([f"on {outcome.engine}, the best of the engines compared"] if outcome.compared else []),
        _layout(outcome.plans.row(row)),
        f"{three_digits(s.output_tokens_per_s[row])} output tokens/s "
        f"({three_digits(s.output_tokens_per_s_per_gpu[row])} a GPU, "
        f"{s.share_of_limit[row]:.0%} of the physical limit)",
        f"TTFT {seconds(s.ttft_s[row])}, {seconds(s.burst_ttft_s[row])} in a burst; TPOT {seconds(s.tpot_s[row])}; "
        f"{three_digits(s.requests_per_s[row])} requests/s; memory {s.memory_utilization[row]:.1%}",
    ]
    lines += _traffic_lines(outcome, row)
    lines.append(_interval_line(outcome, row))
    lines += evidence_lines(outcome.scenario, outcome.plans.take([row]), int(outcome.coverage[row]))
    lines += _draws_lines(outcome)
    lines += _sure_lines(outcome)
    if s.costs:
        lines.append(_cost_line(outcome, row))
    if choice.passed_over is not None:
        plan = _layout(outcome.plans.row(choice.passed_over))
        lines.append(f"predicted better, but no measurement covers its layout and the intervals overlap: {plan}")
    if choice.runner_up is not None:
        per_gpu = s.output_tokens_per_s_per_gpu[choice.runner_up]
        apart = "" if choice.runner_up_apart else "; the model cannot tell them apart"
        runner_up = _layout(outcome.plans.row(choice.runner_up))
        lines.append(f"runner-up: {runner_up}, {three_digits(per_gpu)} tokens/s a GPU{apart}")
    for relaxed in choice.relaxed:
        if relaxed.row is not None:
            plan = _layout(outcome.plans.row(relaxed.row))
            lines.append(f"pinned by the {relaxed.limit} limit: without it {plan}, {change(relaxed.gain)}")
    if choice.at_axis_end:
        lines.append(f"at the end of its axis: {', '.join(choice.at_axis_end)}")
    return "\n".join(plain(line) for line in lines)


def _traffic_lines(outcome: Outcome, row: int) -> list[str]:
    """Percentiles at the rate, what the plan carries, and what a simulation says of it, which may be all in the
    closed loop."""
    s, demand = outcome.scores, outcome.scenario.demand

    def said(name: str) -> str:
        return figure(name, float(getattr(s, name)[row]))

    p99 = {"TTFT": "ttft_s_p99", "TPOT": "tpot_s_p99", "end to end": "e2e_s_p99"}
    lines = []
    if demand is not None:
        lines = [
            f"at {demand.requests_per_s:g} requests/s, p99: " + ", ".join(f"{k} {said(v)}" for k, v in p99.items()),
            f"{said('requests_in_flight')} in flight; carries {said('max_requests_per_s')} requests/s within the "
            f"limits ({s.rate_headroom[row]:+.0%}), {said('capacity_requests_per_s')} at most; "  # type: ignore[index]
            f"caches overflow with a chance of {said('overflow_risk')}",
        ]
    for v in outcome.verified:
        if v.row == row:
            figures = ", ".join(f"{k} {figure(name, v.figures[name])}" for k, name in p99.items())
            kept = "limits kept" if v.kept else f"a limit missed {by(v.missed)}"
            lines.append(f"simulated, {v.seeds} x {v.requests} requests, p99: {figures}; {kept}")
    return lines


def _interval_line(outcome: Outcome, row: int) -> str:
    known = outcome.coverage[[row]]

    def span(name: str) -> str:
        values = getattr(outcome.scores, name)[[row]]
        low, high = load_intervals().of(name, known, values)
        return f"{figure(name, float(low[0]))} to {figure(name, float(high[0]))}"

    return (
        f"80 % intervals ({CLASSES[int(known[0])]}): {span('output_tokens_per_s')} tokens/s, "
        f"TTFT {span('ttft_s')}, TPOT {span('tpot_s')}"
    )


def _draws_lines(outcome: Outcome) -> list[str]:
    """How often the plan holds within the ranges of the inputs; nothing where nobody drew."""
    draws = outcome.sensitivity.draws if outcome.sensitivity is not None else None
    if draws is None:
        return []
    return [
        f"feasible in {draws.feasible:.0%} of {draws.count} draws over the inputs' ranges, best layout in "
        f"{draws.layout:.0%}"
    ]


def _sure_lines(outcome: Outcome) -> list[str]:
    """Each limit beside the interval and the share of draws that keep it; whether that is a coin flip."""
    lines = []
    for k in kept_limits(outcome):
        span = "" if k.low == k.high else f" ({figure(k.figure, k.low)} to {figure(k.figure, k.high)})"
        share = "" if k.share is None else f", kept in {k.share:.0%} of draws"
        bound = "at least " if k.limit == "requests" else "at most "
        lines.append(
            f"{k.limit} limit, {bound}{figure(k.figure, k.allowed)}: {figure(k.figure, k.predicted)}{span}{share}"
        )
    if outcome.choice is not None and not is_sure(outcome):
        lines.append(f"a coin flip: {coin_flip(outcome)}")
    return lines


def coin_flip(outcome: Outcome) -> str:
    """What makes the recommended plan unsure, and the best plan that is sure, with its price."""
    missed = [k.limit for k in kept_limits(outcome) if not k.surely]
    draws = outcome.sensitivity.draws if outcome.sensitivity is not None else None
    said = [f"the interval reaches beyond the {' and the '.join(missed)} limit"] if missed else []
    if draws is not None and draws.feasible < CONFIDENCE:
        said.append(f"every limit is kept in {draws.feasible:.0%} of draws")
    if draws is None:
        return "; ".join(said)
    if draws.sure is None:
        return "; ".join(
            [*said, f"no ranked plan keeps every limit in {CONFIDENCE:.0%} of draws and over the interval"]
        )
    sure, name = draws.sure, outcome.policy.first[0]
    plan = f"{_layout(sure.plan)}, {sure.share:.0%} of draws, {change(sure.gain)} in {figure_words(name)}"
    return "; ".join([*said, f"the best sure plan: {plan}"])


def _cost_line(outcome: Outcome, row: int) -> str:
    s, known = outcome.scores, outcome.coverage[[row]]

    def span(figure: str) -> str:
        value = getattr(s, figure)[[row]]
        low, high = load_intervals().of(figure, known, value)
        return f"{three_digits(value[0])} ({three_digits(low[0])} to {three_digits(high[0])})"

    said = {
        "usd_per_million_output_tokens": "USD {} per million output tokens",
        "joules_per_output_token": "at most {} J per output token",
    }
    parts = [text.format(span(figure)) for figure, text in said.items() if figure in s.costs]
    if (price := outcome.scenario.accelerator.price_per_hour) is not None:
        gpus = int(outcome.plans.gpus[row])
        parts.insert(1, f"USD {three_digits(price * gpus)} an hour for {plural(str(gpus), 'GPU')}")
    return "; ".join(parts)


def _baseline_line(baseline: Baseline) -> str:
    tokens, tpot = baseline.scores.output_tokens_per_s[0], baseline.scores.tpot_s[0]
    taken = ", ".join(baseline.engines) or "no engine"
    figures = f"{three_digits(tokens)} output tokens/s, TPOT {seconds(tpot)}"
    if not np.isfinite(tpot):
        figures = f"unstable, carries {three_digits(baseline.scores.requests_per_s[0])} requests/s at most"
    return f"baseline {one_line(baseline.name)}: {figures}, taken by {taken}"


def _ledger(outcome: Outcome) -> str:
    points = plural(f"{outcome.space.size:,}", "point")
    text = f"{points}, {len(outcome.legal):,} legal, {outcome.counted.feasible:,} feasible"
    if outcome.study is not None:
        text += f"; {outcome.config.strategy.sampler}: {plural(f'{outcome.study.trials:,}', 'trial')}"
        if outcome.study.hypervolume_share is not None:
            text += f" reached {outcome.study.hypervolume_share:.2%} of the exact hypervolume"
    return text


NEAREST = 3


def _unsure(outcome: Outcome) -> str:
    """Plans keep the limits as predicted, and none with the confidence that was asked for."""
    s, asked = outcome.scores, outcome.config.objective.confidence
    over = int(hardened(outcome.scenario, s, outcome.coverage).feasible.sum())
    return (
        f"{int(s.feasible.sum()):,} of {len(s):,} legal plans keep every limit as predicted and {over:,} over their "
        f"80 % intervals, but none of those in {asked:.0%} of the draws (objective.confidence); relax a limit, or ask "
        "for less confidence"
    )


def infeasible_message(outcome: Outcome) -> str:
    """One line: the nearest plans, each with the limits that it misses, least first, and the axes of the space at whose
    end the nearest one stands: beyond it there may be a feasible plan."""
    s = outcome.scores

    def misses(row: int) -> str:
        missed = sorted((v, n) for n, v in zip(s.limits, s.violations[:, row].tolist(), strict=True) if v > 0)
        return f"{_layout(outcome.plans.row(row))} misses " + ", ".join(f"{n} {by(v)}" for v, n in missed)

    if s.feasible.any():
        return _unsure(outcome)
    rows = nearest(outcome.plans, s)[:NEAREST]
    none = f"none of {len(s):,} legal plans keeps every limit; the nearest: "
    text = (none if len(s) > 1 else "the only legal plan misses a limit: ") + "; ".join(misses(r) for r in rows)
    ends = axis_ends(outcome.plans.row(rows[0]), outcome.space.axes)
    said = [f"{axis} {value} is the {side} of space.{axis}" for axis, value, side in ends]
    text += f"; of the nearest {' and '.join(said)}" if said else ""
    return text + "".join(f"; {line}" for line in verdict_lines(outcome)[:2])
