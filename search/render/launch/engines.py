"""The three engines side by side: how each starts a server, or the rule that keeps it from doing so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from costmodel.plans import Plans
from search.optimizer.rules.facts import Facts
from search.render.launch import sglang, trtllm, vllm
from search.render.launch.refusals import Refusal, layout_refusal, start_refusal
from search.render.launch.server import Server
from search.render.launch.shell import Command


@dataclass(frozen=True)
class Engine:
    """``casts`` number formats that it converts weights to while it loads them."""

    title: str
    command: Callable[[Server], Command]
    log_line: Callable[[Server], str]
    casts: tuple[str, ...]


LAUNCHED = {
    "vllm": Engine("vLLM 0.33.0", vllm.command, vllm.log_line, vllm.CASTS),
    "sglang": Engine("SGLang 0.5.23", sglang.command, sglang.log_line, sglang.CASTS),
    "trtllm": Engine("TensorRT-LLM 1.x", trtllm.command, trtllm.log_line, trtllm.CASTS),
}


def refusal(server: Server, plan: Plans, facts: Facts, engine: str) -> Refusal | None:
    """Why ``engine`` cannot start the plan; ``None`` if it can."""
    return layout_refusal(plan, facts, engine) or start_refusal(server, engine)
