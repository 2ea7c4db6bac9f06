"""How to measure what was predicted, and to fit the model to it: commands to copy, for one server of the plan."""

from __future__ import annotations

import shlex

from search.inputs.schema import Config
from search.render.launch.server import Server
from search.render.launch.shell import Command, Expansion, Values, Variable, Word

WAVES = 10  # requests over concurrency, as the public benchmarks that the model was fitted to
STEP = 4  # concurrencies of a calibration: powers of it, and the plan's own batch


def benchmark(server: Server, concurrency: Word, requests: Word, result: Word) -> Command:
    """``vllm bench serve`` (0.33.0, vllm/benchmarks/serve.py) against the server of any engine. A run with random
    prompts of the plan's lengths at fixed concurrency: the steady closed loop that the model predicts."""
    flags: list[tuple[Word, ...]] = [
        ("--backend", "openai"),
        ("--base-url", Variable("URL")),
        ("--model", Variable("MODEL")),
        ("--dataset-name", "random"),
        ("--random-input-len", server.isl - server.prefix),
        ("--random-output-len", server.osl),
    ]
    if server.prefix:
        flags.append(("--random-prefix-len", server.prefix))
    flags += [
        ("--ignore-eos",),
        ("--max-concurrency", concurrency),
        ("--num-prompts", requests),
        ("--save-result",),
        ("--result-filename", result),
    ]
    return Command(("vllm", "bench", "serve"), tuple(flags))


def predicted(server: Server, values: Values) -> str:
    """The run at the plan's own batch."""
    name = f"run_{server.batch}.json"
    return benchmark(server, server.batch, WAVES * server.batch, name).one_line(values)


def concurrencies(batch: int) -> list[int]:
    """What to measure for a calibration: 1, 4, 16, ... and ``batch``."""
    steps = [1]
    while steps[-1] * STEP < batch:
        steps.append(steps[-1] * STEP)
    return sorted({*steps, batch})


def series(server: Server, values: Values) -> str:
    """The same at several concurrencies, one line of shell."""
    each = benchmark(server, Expansion('"$c"'), Expansion(f"$(({WAVES} * c))"), Expansion('"run_$c.json"'))
    steps = " ".join(str(c) for c in concurrencies(server.batch))
    return f"for c in {steps}; do {each.one_line(values)}; done"


def calibrate(server: Server, engine: str, config: Config) -> str:
    """``servefront calibrate`` for the runs of ``series``. It takes model and accelerator from the catalog by any of
    their names, and says itself where one is not in it; a ``config.json`` of one's own never is."""
    if config.model.config or not config.model.source.startswith("https://"):
        return "servefront calibrate takes models of the catalog, and this is one of your own"
    words = ["servefront", "calibrate", *(f"run_{c}.json" for c in concurrencies(server.batch))]
    words += ["--out", f"{engine}_measured.yaml", "--engine", engine]
    words += ["--model", config.model.name, "--hardware", config.hardware.name]
    if config.model.weights not in (None, "fp32"):
        words += ["--precision", str(config.model.weights)]
    words += ["--gpus", str(server.gpus_each)]
    for flag, value in (("tp", server.tp), ("pp", server.pp), ("attn-dp", server.attn_dp), ("ep", server.ep)):
        words += [f"--{flag}", str(value)]
    return shlex.join(words)
