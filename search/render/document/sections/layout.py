"""Strategy, resource allocation, and which module lies where."""

from __future__ import annotations

from search.render.document.engine_words import engine_words
from search.render.document.formats import bullets, plural, span, table
from search.render.document.view import View

RANKS = {
    "rank": "rank", "node": "node", "replica": "replica", "stage": "stage", "group": "attention group", "sp": "sp rank",
    "tp": "tp rank", "ep": "ep rank", "moe_tp": "moe_tp rank",
}  # fmt: skip
SPLIT = {
    "embedding": "rows of the vocabulary over tp",
    "head": "columns of the vocabulary over tp",
    "attention": "heads over tp",
    "experts": "experts over ep, their matrices over moe_tp",
    "shared": "width over tp",
    "dense": "width over tp",
    "mamba": "heads over tp",
    "vision": "over tp",
}


def strategy(v: View) -> str:
    r = v.at("recommended")
    rows = [
        ["dp", r.n("dp"), f"replicas of {r.n('replica_gpus')} GPUs behind a load balancer"],
        ["pp", r.n("pp"), f"pipeline stages of {r.n('stage_width')} GPUs each"],
        ["tp", r.n("tp"), "ranks that share one attention group's matrices"],
        ["sp", r.n("sp"), "ranks that share one prompt's tokens"],
        ["attn_dp", r.n("attn_dp"), "attention groups of a stage: stage / (tp·sp)"],
        ["ep", r.n("ep"), "ranks over which the experts are spread"],
        ["moe_tp", r.n("moe_tp"), "ranks that share an expert: stage / ep"],
        ["batch", r.n("batch"), f"sequences in flight a replica, {r.n('group.most')} an attention group"],
    ]
    text = table(["degree", "value", "meaning"], rows, text=(0, 1, 2))
    words = [engine_words(engine, r) for engine in str(r.raw("engines")).split(", ")]
    return f"{text}\n\n{bullets(words)}"


def resources(v: View) -> str:
    r = v.at("recommended")
    first = r.at("rank.0")
    names = {key: title for key, title in RANKS.items() if key in first}
    rows = []
    for rank in r.each("rank"):
        row = [rank.n(k) for k in names]
        if "first_expert" in first:
            row.append(span(rank.n("first_expert"), rank.n("last_expert")))
        rows.append(row)
    header = [*names.values(), *(["experts"] if "first_expert" in first else [])]
    intro = (
        f"{plural(r.n('gpus'), 'GPU')} on {plural(r.n('nodes'), 'node')} of {r.n('node_size')}. Ranks count "
        "tp first, then sp, attention groups, stages, replicas."
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
    return "\n\n".join([intro, table(header, rows, text=()) + left_out, messages])


def modules(v: View) -> str:
    r = v.at("recommended")
    wide = v.at("input.engine").raw("dense_split") == "stage"
    rows = [_module(m, wide) for m in r.each("module")]
    if "tiny_modules_bytes" in r:
        rows.append(["the rest", "", "", "", size(r, "tiny_modules_bytes"), "", ""])
    header = ["module", "format", "layers", "one copy", "on a rank", "ways", "how it is split"]
    stages = list(r.each("stage"))
    placed = f"Layers {span(stages[0].n('first'), stages[0].n('last'))}, {stages[0].n('layers')} in all, are one stage."
    if len(stages) > 1:
        cells = [[x.n("number"), span(x.n("first"), x.n("last")), x.n("layers")] for x in stages]
        placed = table(["stage", "layers", "number"], cells, text=())
    return "\n\n".join(
        [
            f"On a rank of stage {r.n('heaviest_stage')}, which holds the most; ways: ranks of a stage that share "
            "one copy. What is split over tp is copied in each attention group.",
            table(header, rows, text=(0, 1, 6)),
            "The embedding is on the first stage, the head on the last.",
            placed,
        ]
    )


def _module(m: View, wide: bool) -> list[str]:
    kind = str(m.raw("name")).split(".")[0]
    copied = m.number("ways") == 1.0
    how = "copied" if copied else SPLIT.get(kind, "over tp")
    if wide and kind in ("dense", "shared") and not copied:
        how = "width over all ranks of the stage"
    layers = m.n("layers") if m.number("layers") else "-"
    return [m.text("name"), m.text("format"), layers, size(m, "model_bytes"), size(m, "rank_bytes"), m.n("ways"), how]


def size(v: View, key: str) -> str:
    """Bytes of anything from a norm to all experts."""
    return v.gb(key) if v.number(key) >= 1e7 else f"{v.number(key) / 1e6:,.3f} MB"
