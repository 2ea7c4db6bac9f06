"""Strategy, resource allocation, and which module lies where."""

from __future__ import annotations

from search.render.document.engine_words import engine_words
from search.render.document.formats import bullets, plural, span, table
from search.render.document.view import View

SPLIT = {
    "embedding": "rows of the vocabulary over tp",
    "head": "columns of the vocabulary over tp",
    "attention": "heads over tp, copied in each attention group",
    "experts": "whole experts over ep, each expert's matrices over moe_tp",
    "shared": "width over tp, copied in each attention group",
    "dense": "width over tp, copied in each attention group",
    "mamba": "heads over tp, copied in each attention group",
    "vision": "over tp",
}


def strategy(v: View) -> str:
    r = v.at("recommended")
    rows = [
        ["dp", r.n("dp"), f"independent replicas of {r.n('replica_gpus')} GPUs, behind a load balancer"],
        ["pp", r.n("pp"), f"pipeline stages of {r.n('stage_width')} GPUs each"],
        ["tp", r.n("tp"), "ranks that share one attention group's matrices"],
        ["sp", r.n("sp"), "ranks that share one prompt's tokens"],
        ["attn_dp", r.n("attn_dp"), "attention groups of a stage, each with its own sequences (stage / (tp·sp))"],
        ["ep", r.n("ep"), "ranks over which the experts are spread"],
        ["moe_tp", r.n("moe_tp"), "ranks that share each expert's matrices (stage / ep)"],
        ["batch", r.n("batch"), f"sequences in flight a replica, {r.n('group.most')} an attention group"],
    ]
    text = table(["degree", "value", "meaning"], rows, text=(0, 1, 2))
    words = [engine_words(engine, r) for engine in str(r.raw("engines")).split(", ")]
    return (
        text
        + "\n\nEngines mean different things by tp and dp. The same plan in the words of those that take it:\n\n"
        + (bullets(words))
    )


def resources(v: View) -> str:
    r = v.at("recommended")
    moe = "rank.0.ep" in r
    header = ["node", "rank", "replica", "stage", "attention group", "sp rank", "tp rank"]
    header += ["ep rank", "moe_tp rank", "experts"] if moe else []
    rows = []
    for rank in r.each("rank"):
        row = [rank.n(k) for k in ("node", "rank", "replica", "stage", "group", "sp", "tp")]
        if moe:
            row += [rank.n("ep"), rank.n("moe_tp"), span(rank.n("first_expert"), rank.n("last_expert"))]
        rows.append(row)
    intro = (
        f"{plural(r.n('gpus'), 'GPU')} on {plural(r.n('nodes'), 'node')} of {r.n('node_size')}. Ranks are numbered "
        "with tp innermost, then "
        "sp, attention groups, stages and replicas."
    )
    left_out = f"\n\n{r.n('ranks_left_out')} more ranks follow in the same order." if "ranks_left_out" in r else ""
    kinds = [
        [t.text("name"), t.n("size"), t.n("stride"), t.n("groups"), t.n("leaving"), t.n("nodes_spanned")]
        for t in r.each("traffic")
    ]
    messages = "No messages: every replica is one GPU."
    if kinds:
        columns = ["messages", "ranks a group", "apart", "groups", "groups that leave their node", "nodes at most"]
        messages = table(columns, kinds)
    return "\n\n".join([intro, table(header, rows, text=()) + left_out, "Which messages stay in a node:", messages])


def modules(v: View) -> str:
    r = v.at("recommended")
    wide = v.at("input.engine").raw("dense_split") == "stage"
    rows = [_module(m, wide) for m in r.each("module")]
    header = ["module", "format", "layers", "one copy", "on a rank", "ways", "how it is split"]
    stages = [[x.n("number"), span(x.n("first"), x.n("last")), x.n("layers")] for x in r.each("stage")]
    return "\n\n".join(
        [
            f"On a rank of stage {r.n('heaviest_stage')}, which holds the most; ways: ranks of a stage that share "
            "one copy.",
            table(header, rows, text=(0, 1, 6)),
            "The embedding is on the first stage, the head on the last. Layers, counted from 0:",
            table(["stage", "layers", "number"], stages, text=()),
        ]
    )


def _module(m: View, wide: bool) -> list[str]:
    kind = str(m.raw("name")).split(".")[0]
    copied = m.number("ways") == 1.0
    how = "copied on every rank" if copied else SPLIT.get(kind, "over tp, copied in each attention group")
    if wide and kind in ("dense", "shared") and not copied:
        how = "width over all ranks of the stage"
    layers = m.n("layers") if m.number("layers") else "-"
    return [m.text("name"), m.text("format"), layers, size(m, "model_bytes"), size(m, "rank_bytes"), m.n("ways"), how]


def size(v: View, key: str) -> str:
    """Bytes of anything from a norm to all experts."""
    return v.gb(key) if v.number(key) >= 1e7 else f"{v.number(key) / 1e6:,.3f} MB"
