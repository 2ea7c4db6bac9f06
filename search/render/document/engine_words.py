"""A layout in each engine's words. Engines mean different things by tp and dp (docs/words.md)."""

from __future__ import annotations

from search.render.document.formats import plural
from search.render.document.view import View

NAMES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM"}


def engine_words(engine: str, r: View) -> str:
    """One sentence; ``r`` the values of a plan (``plan_values`` with ``full``)."""
    servers = plural(r.n("dp"), "server")
    if engine == "vllm":
        return (
            f"vLLM: {servers} of {r.n('replica_gpus')} GPUs, each tensor-parallel {r.n('tp')}, "
            f"data-parallel {r.n('attn_dp')}, pipeline-parallel {r.n('pp')}, expert parallelism "
            f"{'on' if r.number('ep') > 1 else 'off'}, max-num-seqs {r.n('group.most')}"
        )
    if engine == "sglang":
        return (
            f"SGLang: {servers}, each tp-size {r.n('stage_width')}, attn-dp-size {r.n('attn_dp')}, "
            f"ep-size {r.n('ep')}, pp-size {r.n('pp')}, max-running-requests {r.n('batch')}"
        )
    return (
        f"TensorRT-LLM: {servers}, each tensor-parallel {r.n('attention_width')}, expert-parallel "
        f"{r.n('ep')}, moe tensor-parallel {r.n('moe_tp')}, pipeline-parallel {r.n('pp')}"
    )


def beware(r: View) -> str | None:
    """How the letters DP of a plan with experts are easily misread in vLLM; ``None`` where they cannot be."""
    if "moe.0.experts" not in r:
        return None
    tp, dp, groups = (int(r.number(k)) for k in ("tp", "dp", "attn_dp"))
    if dp > 1 and groups > 1:
        return (
            f'In vLLM "TP {tp}, DP {dp}" is one engine of {tp * dp} GPUs that share the experts, not {dp} replicas: '
            f"this plan is {dp} engines, each with data-parallel size {groups}."
        )
    if dp > 1:
        return f'In vLLM "TP {tp}, DP {dp}" is one engine of {tp * dp} GPUs; this plan is {dp} engines without DP.'
    if groups > 1:
        return (
            f'In vLLM this plan is "TP {tp}, DP {groups}": one engine of {tp * groups} GPUs, not {groups} replicas.'
            if int(r.number("pp")) == 1
            else None
        )
    return None
