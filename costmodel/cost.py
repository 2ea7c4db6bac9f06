"""Money and energy for an output token, as far as the accelerator's price and power are known.

A deployment costs ``gpus`` times the price of one accelerator's hour, whatever it does in that hour; dividing by what
it puts out leaves price over ``output_tokens_per_s_per_gpu``. The whole bill, prompts included, goes to the output
tokens of a deployment that is always busy.

Energy is an upper bound: ``power_w`` is the limit that the board enforces on its own draw, and a decode step that waits
for memory draws less. The catalog has no measured draw by load, so there is no estimate between the bound and nothing.
Hosts, switches and cooling are not in it.
"""

from __future__ import annotations

from costmodel.hardware import Accelerator
from costmodel.plans import Array

SECONDS_AN_HOUR = 3600.0
MILLION = 1e6


def usd_per_million_output_tokens(accelerator: Accelerator, output_tokens_per_s_per_gpu: Array) -> Array | None:
    """US dollars for a million output tokens; ``None`` where the price is unknown."""
    if accelerator.price_per_hour is None:
        return None
    return accelerator.price_per_hour / SECONDS_AN_HOUR * MILLION / output_tokens_per_s_per_gpu


def joules_per_output_token(accelerator: Accelerator, output_tokens_per_s_per_gpu: Array) -> Array | None:
    """Joules that the accelerators draw at most for an output token; ``None`` where their power is unknown."""
    if accelerator.power_w is None:
        return None
    return accelerator.power_w / output_tokens_per_s_per_gpu
