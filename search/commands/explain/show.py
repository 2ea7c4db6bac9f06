"""The verdict as text: tables on a terminal, plain columns in a pipe."""

from __future__ import annotations

import sys
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

from costmodel.columns import column
from search.base.escape import plain
from search.commands.explain.explained import Verdict, axes_words
from search.commands.explain.tables import figures_in, tables
from search.optimizer.outcome import Outcome
from search.optimizer.starting import Starting
from search.render.document.formats import figure, percent, signed_percent

WIDTH_WITHOUT_TERMINAL = 250  # nothing is cut off in a pipe


def print_verdict(outcome: Outcome, found: Verdict, beside: str = "") -> None:
    """The whole explanation, on standard output; ``beside``: a line on other engines' plans."""
    watched = sys.stdout.isatty()
    console = Console(width=None if watched else WIDTH_WITHOUT_TERMINAL, highlight=False, markup=False)
    # Names come from configurations: no control character of theirs reaches a terminal.
    console.print(plain(f"Plan {found.name}: {axes_words(found.plan.row(0))}"))
    console.print(plain(f"{outcome.scenario.model.name} on {outcome.scenario.accelerator.name}"))
    for line in verdict_lines(outcome, found, beside):
        console.print(line)
    for title, header, rows in tables(outcome, found):
        console.print()
        console.print(title, style="bold")
        table = Table(box=box.SIMPLE_HEAD if watched else None, pad_edge=watched)
        for i, name in enumerate(header):
            side: Literal["left", "right"] = "left" if i == 0 or not figures_in(rows, i) else "right"
            table.add_column(name, justify=side, overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)


def verdict_lines(outcome: Outcome, found: Verdict, beside: str = "") -> list[str]:
    """Why it is, or is not, recommended, in a few sentences."""
    lines = [*([beside] if beside else []), _verdict(outcome, found)]
    if found.legality.off_axis:
        row = found.plan.row(0)
        off = ", ".join(f"{axis} {row[axis]}" for axis in found.legality.off_axis)
        lines.append(f"It is no point of the space: {off} is not on its axis, so the search did not see it.")
    if found.starting is not None:
        lines.append(_starts(found.starting))
    where = found.standing
    if where is not None and where.rank is not None:
        name, direction = outcome.policy.first
        lines.append(
            f"Rank {where.rank:,} of {where.feasible:,} feasible plans by {name} ({direction}) and the policy's ties; "
            + ("on the front." if where.on_front else f"{where.dominating} plans of the front dominate it.")
        )
    feasible = where is not None and where.rank is not None and found.legality.legal
    if feasible and found.apart is not None:
        lines.append(
            "Its 80 % interval does not reach the recommended plan's prediction."
            if found.apart
            else "Its 80 % interval reaches the recommended plan's prediction: the model cannot tell them apart."
        )
    return [*lines, *_reasons(outcome)] if found.recommended else lines


def _starts(found: Starting) -> str:
    """Whether its server starts, and by which rules it does not."""
    if found.starts is True:
        return f"Its server starts, with a chance of {percent(found.probability or 0.0)} that the memory suffices."
    why = "; ".join(f"rule {w.rule}: {w.arithmetic}" for w in found.why_not)
    if found.starts == "close":
        return f"Whether its server starts is close, a chance of {percent(found.probability or 0.0)}: {why}."
    return f"Its server does not start: {why}."


def _reasons(outcome: Outcome) -> list[str]:
    """What holds the recommended plan where it is."""
    assert outcome.choice is not None
    choice, name = outcome.choice, outcome.policy.first[0]
    lines = []
    if choice.passed_over is not None:
        plan = axes_words(outcome.plans.row(choice.passed_over))
        lines.append(f"{plan} is predicted better, but no measurement covers its layout and the intervals overlap.")
    if choice.runner_up is not None:
        value = float(column(name, outcome.plans, outcome.scores)[choice.runner_up])
        apart = "" if choice.runner_up_apart else "; the model cannot tell them apart"
        plan = axes_words(outcome.plans.row(choice.runner_up))
        lines.append(f"The best plan with another layout is {plan}: {figure(name, value)}{apart}.")
    lines += [
        f"Without the {r.limit} limit {axes_words(outcome.plans.row(r.row))} would be recommended, "
        f"{signed_percent(r.gain)}."
        for r in choice.relaxed
        if r.row is not None
    ]
    if choice.at_axis_end:
        lines.append(f"It stands at the end of its axis in {', '.join(choice.at_axis_end)}: better may lie beyond.")
    return lines


def _verdict(outcome: Outcome, found: Verdict) -> str:
    legal = found.legality
    if found.recommended:
        return "It is the recommended plan."
    if legal.broken is not None:
        return f"Not recommended: the layout does not exist, by rule {legal.broken.name}: {legal.broken.text}."
    if not legal.legal:
        engine = outcome.config.engine.name
        return f"Not recommended: {'no engine takes' if engine == 'any' else f'{engine} does not take'} it."
    assert found.scores is not None
    violations = zip(found.scores.limits, found.scores.violations[:, 0], strict=True)
    missed = [f"{name} by {percent(float(excess))}" for name, excess in violations if excess > 0]
    if missed:
        return f"Not recommended: it misses {', '.join(missed)}."
    if outcome.choice is None:
        return "It keeps every limit, and no plan of the run's space does."
    passed = outcome.choice.passed_over
    if passed is not None and outcome.plans.row(passed) == found.plan.row(0):
        return "Not recommended: predicted better, but no measurement covers its layout and the intervals overlap."
    name, _ = outcome.policy.first
    mine = float(column(name, found.plan, found.scores)[0])
    best = float(column(name, outcome.plans, outcome.scores)[outcome.choice.recommended])
    return (
        f"Not recommended: {name} is {figure(name, mine)}, the recommended plan's {figure(name, best)} "
        f"({signed_percent(mine / best - 1.0)})."
    )
