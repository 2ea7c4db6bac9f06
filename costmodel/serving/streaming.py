"""The process that sends tokens to their clients, beside the passes.

SGLang's tokenizer manager and the API servers of vLLM and TensorRT-LLM write the tokens of all requests one after the
other: w = osl ``stream_token_s`` / ``stream_interval`` seconds of work a request. With n requests in the server a stay
cannot be shorter than n w, however fast the passes are. Below that the process is a queue in a closed loop, for which
the quadratic of ``serving.closed_loop`` holds with the stay that the passes ask for in the place of n + D and w in
that of s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.scenario import Scenario

# In lockstep (``synchronised`` scenarios) the work swings with the wave, by this share of its mean: read off the open
# closed-loop rows of fixed length (docs/fidelity.md).
SWING = 0.27
# Share of the wait that falls before the first token: all of it where requests of all ages are served, since every
# token waits as long; in lockstep nothing waits when a wave begins and most when it ends.
BEFORE_FIRST, BEFORE_FIRST_IN_LOCKSTEP = 1.0, 0.5


def larger_root(alone: Any, saturated: Any, square: Any) -> Any:
    """The larger root N of (N - alone) (N - saturated) = square / 2."""
    return (alone + saturated) / 2 + np.sqrt(((alone - saturated) / 2) ** 2 + square / 2)


def streaming_wait(scenario: Scenario, served: Any, stay_s: Any) -> tuple[Any, Any]:
    """Seconds that a request's tokens wait to be sent, before the first one and after it. ``served`` requests are in
    the server, for ``stay_s`` each as far as the passes go."""
    engine = scenario.engine
    if not engine.stream_token_s:
        return 0.0, 0.0
    work = scenario.lengths.osl * engine.stream_token_s / engine.stream_interval
    busy = served * work
    swing = 2.0 * (SWING * busy) ** 2 if scenario.synchronised else busy * work
    wait = larger_root(stay_s, busy, swing) - stay_s
    before = BEFORE_FIRST_IN_LOCKSTEP if scenario.synchronised else BEFORE_FIRST
    return before * wait, (1.0 - before) * wait
