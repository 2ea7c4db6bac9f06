"""How to measure what was predicted, and to fit the model to it: commands to copy, for one server of the plan."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from costmodel.serving.traffic import Length
from search.inputs.schema import Config, WorkloadConfig
from search.inputs.traffic import read_traffic
from search.render.launch.server import Server
from search.render.launch.shell import Command, Expansion, Values, Variable, Word

WAVES = 10  # requests over concurrency, as the public benchmarks that the model was fitted to
TRAFFIC_REQUESTS = 2000  # of a run at a rate: twenty beyond its 99th percentile
SAMPLE = 4096
EVEN = 1000.0  # shape of gaps that hardly differ
STEP = 4  # concurrencies of a calibration: powers of it, and the plan's own batch


def benchmark(server: Server, load: Sequence[tuple[Word, ...]], requests: Word, result: Word) -> Command:
    """``vllm bench serve`` (0.33.0, vllm/benchmarks/serve.py) against the server of any engine. A run with random
    prompts of the plan's lengths under ``load``: at fixed concurrency the steady closed loop that is predicted."""
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
        *load,
        ("--num-prompts", requests),
        ("--percentile-metrics", "ttft,tpot,itl,e2el"),
        ("--metric-percentiles", "50,90,95,99"),
        ("--save-result",),
        ("--result-filename", result),
    ]
    return Command(("vllm", "bench", "serve"), tuple(flags))


def predicted(server: Server, values: Values) -> str:
    """The run at the plan's own batch."""
    name = f"run_{server.batch}.json"
    return benchmark(server, [("--max-concurrency", server.batch)], WAVES * server.batch, name).one_line(values)


def under_traffic(server: Server, config: WorkloadConfig, values: Values) -> str | None:
    """The run's own traffic, the part of it that one server gets: its rate, how its gaps vary, its lengths. ``None``
    where it is the closed loop of equal requests that ``predicted`` sends."""
    traffic = read_traffic(config)
    load: list[tuple[Word, ...]] = [("--max-concurrency", server.batch)]
    if traffic.rate is not None:
        # vllm/benchmarks/serve.py: gaps of a gamma distribution of this shape, 1 at random.
        shape = {"constant": EVEN, "poisson": 1.0}.get(traffic.process, traffic.cv**-2)
        load = [("--request-rate", f"{traffic.rate / server.dp:.6g}"), ("--burstiness", f"{shape:.6g}")]
    elif traffic.prompt.kind == "fixed":
        return None
    if traffic.trace is not None:
        return None  # its lengths belong together, which no benchmark's own data do
    if traffic.prompt.kind == "fixed":
        return benchmark(server, load, TRAFFIC_REQUESTS, "run_traffic.json").one_line(values)
    if traffic.rate is None:
        profile: list[tuple[Word, ...]] = [("--rate-type", "concurrent"), ("--rate", server.batch)]
    else:
        kind = "constant" if traffic.process == "constant" else "poisson"
        profile = [("--rate-type", kind), ("--rate", f"{traffic.rate / server.dp:.6g}")]
    data = ",".join([*_spread("prompt_tokens", traffic.prompt), *_spread("output_tokens", traffic.answer)])
    flags: list[tuple[Word, ...]] = [
        ("--target", Variable("URL")), ("--model", Variable("MODEL")), *profile, ("--data", data),
        ("--max-requests", TRAFFIC_REQUESTS), ("--output-path", "run_traffic.json"),
    ]  # fmt: skip
    return Command(("guidellm", "benchmark"), tuple(flags)).one_line(values)


def _spread(name: str, length: Length) -> list[str]:
    """A length as GuideLLM's synthetic data take it: normal, of the same mean, deviation and bounds."""
    drawn = length.quantiles(SAMPLE)
    told = {"": drawn.mean(), "_stdev": drawn.std(), "_min": drawn.min(), "_max": drawn.max()}
    return [f"{name}{word}={value:.0f}" for word, value in told.items()]


def check(server: Server, engine: str) -> str:
    """``servefront check`` of the run of ``predicted``."""
    return shlex.join(["servefront", "check", "RUN", f"run_{server.batch}.json", "--engine", engine])


def concurrencies(batch: int) -> list[int]:
    """What to measure for a calibration: 1, 4, 16, ... and ``batch``."""
    steps = [1]
    while steps[-1] * STEP < batch:
        steps.append(steps[-1] * STEP)
    return sorted({*steps, batch})


def series(server: Server, values: Values) -> str:
    """The same at several concurrencies, one line of shell."""
    load = [("--max-concurrency", Expansion('"$c"'))]
    each = benchmark(server, load, Expansion(f"$(({WAVES} * c))"), Expansion('"run_$c.json"'))
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
