"""docs/gallery.md: a plan and its command for pairs of model and accelerator that people ask for.

``python scripts/gallery.py`` writes the page; ``tests/scripts/test_gallery.py`` holds that it is not stale.
"""

from __future__ import annotations

from pathlib import Path

import search
from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from search.inputs.config import read_model, read_scenario
from search.inputs.own_engine import as_launched
from search.render.launch.script import inline
from search.render.launch.server import server_of

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"
LIMITS = ["limits=interactive", "limits.ttft_s=2", "limits.tpot_s=0.05"]
PAIRS = (
    ("qwen3_8b", "l40s"),
    ("llama_3_1_8b", "h100_sxm"),
    ("gpt_oss_20b", "h100_sxm"),
    ("gpt_oss_120b", "h100_sxm"),
    ("gpt_oss_120b", "b200_sxm"),
    ("gemma_3_27b", "h100_sxm"),
    ("qwen3_32b", "a100_80gb_sxm"),
    ("qwen3_30b_a3b_fp8", "h100_sxm"),
    ("llama_3_1_70b_fp8", "h100_sxm"),
    ("llama_3_1_70b", "mi300x"),
    ("glm_4_6", "h200_sxm"),
    ("qwen3_235b_fp8", "h200_sxm"),
    ("qwen3_coder_480b_fp8", "h200_sxm"),
    ("deepseek_r1", "h200_sxm"),
    ("deepseek_r1", "mi300x"),
    ("deepseek_r1_nvfp4", "b200_sxm"),
    ("kimi_k2_5", "h200_sxm"),
)
DEGREES = ("gpus", "tp", "ep", "attn_dp", "dp", "batch")
HEAD = """\
# Ready plans

For popular pairs of a model and an accelerator: the plan that is recommended on up to eight of them, for prompts and
answers of 1,024 tokens with a mean TTFT of 2 s and 50 ms a token, and the command that starts it. They are predictions
([how far to trust them](../README.md#how-far-to-trust-the-figures)); `servefront audit` reads each command back. Other
lengths and limits change the answer:

    servefront model=MODEL hardware=ACCELERATOR {limits} "space.gpus=[1,2,4,8]"

The page is written by `python scripts/gallery.py`.

| model | accelerator | engine | GPUs | tp | ep | attention dp | dp | batch | tokens/s a GPU | TTFT | TPOT |
|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""


def overrides(model: str, hardware: str) -> list[str]:
    return [
        f"model={model}", f"hardware={hardware}", *LIMITS, "space.gpus=[1,2,4,8]", "strategy=exact", "report=none",
        "sensitivity=none",
    ]  # fmt: skip


def entry(model: str, hardware: str) -> tuple[str, str]:
    """The row of a pair and its section with the command."""
    found = search.run(overrides=overrides(model, hardware))
    assert found.recommended is not None, (model, hardware)
    row = found.front_table().query("recommended").iloc[0]
    config = as_launched(found.outcome.config, found.engine)
    architecture = read_model(config.model).architecture
    scenario, plan = read_scenario(config, architecture), Plans.of(**found.recommended)
    server = server_of(config, scenario, plan, evaluate(scenario, plan), 0)
    cells = [
        architecture.name, hardware, found.engine, *(f"{row[name]:,}" for name in DEGREES),
        f"{row.output_tokens_per_s_per_gpu:,.0f}", f"{row.ttft_s:.2f} s", f"{1e3 * row.tpot_s:.1f} ms",
    ]  # fmt: skip
    command = inline(server, found.engine, "trtllm.yaml")
    return f"| {' | '.join(cells)} |", f"## {architecture.name} on {hardware}\n\n```bash\n{command}\n```\n"


def page() -> str:
    entries = [entry(*pair) for pair in PAIRS]
    rows, sections = ("\n".join(part) for part in zip(*entries, strict=True))
    return HEAD.format(limits=" ".join(LIMITS)) + rows + "\n\n" + sections


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
