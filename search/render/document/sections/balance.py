"""Load balance: experts, attention groups, stages."""

from __future__ import annotations

from search.render.document.formats import bullets, plural, span
from search.render.document.view import View


def load_balance(v: View) -> str:
    r = v.at("recommended")
    lines = []
    for moe in r.each("moe"):
        fewest = f" (the last ranks {moe.n('fewest')})" if "fewest" in moe else ""
        lines.append(
            f"Experts: {moe.n('experts')} over {r.n('ep')} ranks, {moe.n('local')} each{fewest}, top "
            f"{moe.n('top_k')} a "
            f"token. A decode step of {moe.n('tokens')} tokens in the stage is expected to hit {moe.n('hit')} of a "
            f"rank's {moe.n('local')}: {moe.n('local')} × (1 - (1 - {moe.n('top_k')}/{moe.n('experts')})^tokens). "
            f"A rank computes {moe.n('rows')} rows on average, {moe.n('rows_each')} an expert, the busiest "
            f"{v.at('input.engine').n('expert_imbalance')} times as many (an input)."
        )
    if not lines:
        lines.append("No experts: every rank of a tensor-parallel group computes the same number of rows.")
    lines.append(
        f"Attention groups: {r.n('attn_dp')} a stage, with {span(r.n('group.fewest'), r.n('group.most'))} of the "
        f"replica's {r.n('batch')} sequences. Sizes and times are those of the fullest."
    )
    even = r.number("stages.most") == r.number("stages.fewest")
    uneven = "" if even else "; the fullest one sets the pace"
    lines.append(f"{plural(r.n('pp'), 'stage')} with {span(r.n('stages.fewest'), r.n('stages.most'))} layers{uneven}.")
    return bullets(lines)
