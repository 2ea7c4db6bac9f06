"""What may go wrong, and what everything rests on."""

from __future__ import annotations

from search.render.document import formats
from search.render.document.formats import bullets, plural
from search.render.document.view import View
from search.render.words import engine_list, figure_words

TIGHT = 0.05  # headroom below which a limit is a risk
MANY_MESSAGES = 0.1  # share of a pass


def risks(v: View) -> str:
    r, i = v.at("recommended"), v.at("input")
    lines = [f"Accuracy: all figures are predictions (coverage: {r.text('coverage')})."]
    lines += _tight(r)
    if r.number("admitted_batch") < r.number("batch"):
        lines.append(
            f"Cache: it admits {r.n('admitted_batch')} of {r.n('batch')} sequences a replica; the others wait, which "
            "TTFT counts."
        )
    sequences = r.number("cache.sequences")
    tokens = r.number("kv_capacity_tokens") / max(sequences, 1.0)
    lines.append(
        f"Lengths: with {r.n('cache.sequences')} sequences a group the cache holds {formats.count(tokens // 1)} tokens "
        f"each on average, for {i.n('total')} needed; longer ones are preempted or wait."
    )
    position = v.at("model")
    if "max_position" in position and position.number("max_position") < i.number("total"):
        lines.append(
            f"Context: requests of {i.n('total')} tokens exceed the model's {position.n('max_position')} positions."
        )
    if r.number("dp") == 1:
        lines.append(f"Redundancy: one replica of {plural(r.n('replica_gpus'), 'GPU')}; one failure stops all service.")
    else:
        lines.append(f"Redundancy: a failed GPU stops one of {r.n('dp')} replicas; the others must take its requests.")
    share = max(r.number("pass.decode_message_share"), r.number("pass.prefill_message_share"))
    if share > MANY_MESSAGES:
        lines.append(
            f"Interconnect: messages take {r.pct('pass.decode_message_share')} of a decode step and "
            f"{r.pct('pass.prefill_message_share')} of a prefill pass; assumed link speeds weigh that much."
        )
    if v.children("recommended.moe") and r.number("ep") > 1:
        lines.append(
            f"Experts: routing may be more uneven than {v.at('input.engine').n('expert_imbalance')} times the mean on "
            f"the busiest of {r.n('ep')} ranks."
        )
    engines = str(r.raw("engines")).split(", ")
    if len(engines) == 1:
        lines.append(f"Engines: only {engine_list(r.text('engines'))} takes this layout.")
    return bullets(lines)


def _tight(r: View) -> list[str]:
    lines = []
    for name in r.children("limit"):
        x = r.at("limit").at(name)
        if x.number("headroom") < TIGHT:
            column = str(x.raw("column"))
            lines.append(
                f"Headroom: {figure_words(x.text('column'))} is {formats.figure(column, x.number('value'))} of "
                f"{formats.figure(column, x.number('allowed'))}, {x.pct('headroom')} left; a larger error breaks it."
            )
    return lines
