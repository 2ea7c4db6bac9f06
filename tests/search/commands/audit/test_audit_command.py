"""Launch commands read into layouts: what somebody runs, in our words."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.base.errors import InputError
from search.commands.audit.command import FLAGS, read_command, whole
from search.commands.audit.passed import HARMLESS, SWITCHES, TOUCHED, UNMODELLED
from search.commands.audit.settings import Launched, launched
from search.commands.audit.shell import simple_commands
from search.inputs.compose import composed
from search.inputs.schema import Config
from search.render.launch.flags import VLLM

MOE, DENSE = "model=qwen3_235b_fp8", "model=qwen3_32b"


@pytest.fixture(scope="module")
def configs() -> dict[str, Config]:
    return {name: composed([name, "hardware=h100_sxm"]) for name in (MOE, DENSE)}


def layout(found: Launched) -> tuple[int, ...]:
    return tuple(found.layout[d] for d in ("gpus", "tp", "ep", "dp", "pp", "sp"))


@pytest.mark.parametrize(
    ("command", "model", "replicas", "expected", "batch"),
    [
        ("vllm serve M", MOE, 1, (1, 1, 1, 1, 1, 1), 1024),
        ("vllm serve M -tp 8 --enable-expert-parallel", MOE, 1, (8, 8, 8, 1, 1, 1), 1024),
        # One engine of 8 GPUs with experts over all of them, not two replicas.
        ("vllm serve M -tp 4 -dp 2 -ep --max-num-seqs 96", MOE, 1, (8, 4, 8, 1, 1, 1), 192),
        ("vllm serve M -tp 4 -dp 2 -ep --max-num-seqs 128", MOE, 2, (16, 4, 8, 2, 1, 1), 256),
        ("vllm serve M -tp=4 --data_parallel_size=2", MOE, 1, (8, 4, 1, 1, 1, 1), 2048),
        ("vllm serve M -tp 2 -pp 2 -ep --no-enable-expert-parallel", MOE, 1, (4, 2, 1, 1, 2, 1), 1024),
        ("vllm serve M -tp 2 -tp 4", MOE, 1, (4, 4, 1, 1, 1, 1), 1024),
        # A dense model's data-parallel ranks have nothing to do with each other.
        ("vllm serve M -tp 2 -dp 4 --max-num-seqs 32", DENSE, 1, (8, 2, 1, 4, 1, 1), 32),
        ("python -m vllm.entrypoints.openai.api_server --model M -tp 2", DENSE, 1, (2, 2, 1, 1, 1, 1), 1024),
        ("/opt/bin/vllm serve --model=M --tensor-parallel-size 2", DENSE, 1, (2, 2, 1, 1, 1, 1), 1024),
        ("docker run --gpus all vllm/vllm-openai:v0.33.0 --model M -tp 2", DENSE, 1, (2, 2, 1, 1, 1, 1), 1024),
        ("python -m sglang.launch_server --model M --tp 8 --attn-dp-size 2 --ep 8", MOE, 1, (8, 4, 8, 1, 1, 1), 2048),
        ("sglang serve --model M --tp-size 8 --dp-size 2 --enable-dp-attention", MOE, 1, (8, 4, 1, 1, 1, 1), 2048),
        ("sglang serve --model M --tp-size 4 --dp-size 2", DENSE, 1, (8, 4, 1, 2, 1, 1), 2048),
        ("sglang serve --model M --tp 8 --moe-a2a-backend deepep", MOE, 1, (8, 8, 8, 1, 1, 1), 2048),
        ("sglang serve --model M --tp 8 --ep-size 4 --max-running-requests 77", MOE, 1, (8, 8, 4, 1, 1, 1), 77),
    ],
)  # fmt: skip
def test_layouts_of_commands(
    configs: dict[str, Config], command: str, model: str, replicas: int, expected: tuple[int, ...], batch: int
) -> None:
    engine = "sglang" if "sglang" in command else "vllm"
    read = read_command(engine, command)
    found = launched(read, configs[model], replicas)
    assert read.model == "M"
    assert (layout(found), found.batch) == (expected, batch)
    assert found.config.engine.name == engine


def test_settings_of_a_vllm_command(configs: dict[str, Config]) -> None:
    text = (
        "vllm serve M --max-num-batched-tokens 16K --gpu-memory-utilization 0.85 --kv-cache-dtype fp8_e5m2 "
        "--block-size 32 --no-enable-prefix-caching --max-model-len auto --stream-interval 20 "
        "--max-cudagraph-capture-size 2048"
    )
    config = launched(read_command("vllm", text), configs[DENSE], 1).config
    assert config.engine.max_batched_tokens == 16384
    assert config.engine.block_tokens == 32
    assert config.engine.stream_interval == 20
    assert config.engine.captured_tokens == 2048
    assert config.limits.memory_fraction == 0.85
    assert config.model.kv_cache == "fp8"
    assert config.workload.prefix_hit == 0.0


@pytest.mark.parametrize(
    ("hardware", "tokens", "sequences", "graphs"),
    [
        ("h100_sxm", 8192, 1024, 512), ("a100_80gb_sxm", 2048, 256, 512), ("b200_sxm", 16384, 1024, 1024),
        ("l40s", 2048, 256, 512), ("rtx_pro_6000", 8192, 1024, 512), ("mi355x", 16384, 1024, 512),
    ],
)  # fmt: skip
def test_what_vllm_takes_where_nothing_is_said(hardware: str, tokens: int, sequences: int, graphs: int) -> None:
    """vllm/engine/arg_utils.py get_batch_defaults, config/vllm.py _set_cudagraph_sizes, 0.33.0."""
    found = launched(read_command("vllm", "vllm serve M"), composed([DENSE, f"hardware={hardware}"]), 1)
    assert (found.config.engine.max_batched_tokens, found.batch) == (tokens, sequences)
    assert found.config.engine.captured_tokens == graphs
    assert found.config.limits.memory_fraction == 0.92
    few = launched(read_command("vllm", "vllm serve M --max-num-seqs 8"), composed([DENSE, f"hardware={hardware}"]), 1)
    assert few.config.engine.captured_tokens == 16


@pytest.mark.parametrize(("interval", "steps"), [("1", 0.0), ("10", 5.0), ("15", 7.5)])
def test_sglang_looks_for_requests_every_so_many_steps(configs: dict[str, Config], interval: str, steps: float) -> None:
    read = read_command("sglang", f"sglang serve --model M --scheduler-recv-interval {interval} --stream-interval 30")
    engine = launched(read, configs[DENSE], 1).config.engine
    assert (engine.hold_steps, engine.stream_interval) == (steps, 30)


@pytest.mark.parametrize(
    ("flags", "rules", "rows"),
    [
        ("", "breakable", 0),
        ("--disable-prefill-cuda-graph", "counted", 0),
        ("--disable-piecewise-cuda-graph", "counted", 0),
        ("--cuda-graph-max-bs-prefill 4096", "counted", 4096),
    ],
)
def test_sglangs_graphs_of_passes_with_prompts(configs: dict[str, Config], flags: str, rules: str, rows: int) -> None:
    found = launched(read_command("sglang", f"sglang serve --model M {flags}"), configs[DENSE], 1)
    assert (found.config.engine.prefill_graphs, found.config.engine.captured_tokens) == (rules, rows)
    assert not found.unmodelled


def test_attention_groups_share_sglangs_chunk(configs: dict[str, Config]) -> None:
    text = "sglang serve --model M --tp 8 --attn-dp-size 2 --chunked-prefill-size 16384 --mem-fraction-static 0.8"
    found = launched(read_command("sglang", text), configs[MOE], 1)
    assert found.config.engine.max_batched_tokens == 8192
    assert (found.told.fraction, found.told.memory_of) == (0.8, "static")
    whole_prompts = read_command("sglang", "sglang serve --model M --chunked-prefill-size -1")
    assert launched(whole_prompts, configs[DENSE], 1).config.engine.max_batched_tokens == 16384


def test_weights_are_cast_only_where_the_checkpoint_has_no_format(configs: dict[str, Config]) -> None:
    def cast(model: str, flag: str) -> Launched:
        return launched(read_command("vllm", f"vllm serve M --quantization {flag}"), configs[model], 1)

    assert cast(DENSE, "fp8").config.model.weights == "fp8"
    assert cast(MOE, "fp8").config.model.weights is None
    assert [flag for flag, _ in cast(DENSE, "awq").unmodelled] == ["--quantization"]
    assert not cast(MOE, "awq").unmodelled


def test_flags_are_sorted_by_what_they_change(configs: dict[str, Config]) -> None:
    text = (
        "HF_TOKEN=hf_secret VLLM_USE_V1=1 exec vllm serve M --port 8000 --api-key sk-secret --trust-remote-code "
        "--enforce-eager --brand-new-thing 3 --decode-context-parallel-size 2 2>&1 | tee log; rm -rf /"
    )
    read = read_command("vllm", text)
    assert read.ignored == ("--port", "--api-key", "--trust-remote-code")
    assert dict(read.unmodelled)["--brand-new-thing"] == "not known here"
    assert "graphs" in dict(read.unmodelled)["--enforce-eager"]
    assert "--decode-context-parallel-size" in dict(launched(read, configs[MOE], 1).unmodelled)
    assert "secret" not in repr(read)
    assert any("HF_TOKEN, VLLM_USE_V1" in note for note in read.notes)
    assert any("not read" in note for note in read.notes)


def test_findings_say_why_it_does_not_work(configs: dict[str, Config]) -> None:
    text = "vllm serve M --enable-expert-parallel --max-model-len 2k"
    found = launched(read_command("vllm", text), configs[DENSE], 1)
    assert any("without experts" in line for _, line in found.refused)
    assert any("--max-model-len 2000" in line for line in found.findings)


def test_scripts_with_comments_and_continued_lines() -> None:
    text = "#!/bin/sh\n# don't\nexport A='b c'\nvllm serve M \\\n  -tp 2 \\\r\n  --max-num-seqs 64 > log\n"
    read = read_command("vllm", text)
    assert (read.model, read.given) == ("M", {"tp": "2", "batch": "64"})


BAD = {
    "vllm serve 'M": "No closing quotation",
    "": "starts no vllm server",
    "vllm bench serve M": "starts no vllm server",
    "vllm serve": "names no model",
    "vllm serve -tp 4": "names no model",
    "vllm serve M -tp": "-tp: a value must follow",
    "vllm serve M -tp --port 3": "-tp: a value must follow",
    "vllm serve M -tp $TP": "--tensor-parallel-size: '$TP' is not allowed",
    "vllm serve M -tp 0": "--tensor-parallel-size: '0' is not allowed",
    "vllm serve M -tp -4": "--tensor-parallel-size: '-4' is not allowed",
    "vllm serve M -tp 4.5": "--tensor-parallel-size: '4.5' is not allowed",
    "vllm serve M -tp 99999999": "--tensor-parallel-size",
    "vllm serve M --max-model-len 1e400": "--max-model-len",
    "vllm serve M --gpu-memory-utilization nan": "--gpu-memory-utilization: 'nan' is not allowed",
    "vllm serve M --gpu-memory-utilization 1.2": "--gpu-memory-utilization",
    "vllm serve M --max-num 4": "may be short for --max-num-batched-tokens",
    "vllm serve M -tp4": "-tp4: a value stands apart",
    "vllm serve M --config c.yaml": "--config",
    "vllm serve M " + "x" * 200_000: "characters are too many",
}


@pytest.mark.parametrize("command", BAD, ids=lambda c: c[:40])
def test_bad_commands(configs: dict[str, Config], command: str) -> None:
    with pytest.raises(InputError) as caught:
        launched(read_command("vllm", command), configs[DENSE], 1)
    assert BAD[command] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sglang_groups_must_divide(configs: dict[str, Config]) -> None:
    read = read_command("sglang", "sglang serve --model M --tp 8 --attn-dp-size 3")
    with pytest.raises(InputError, match="--tp-size: 8 is not allowed"):
        launched(read, configs[MOE], 1)


@given(st.text(max_size=200))
def test_any_text_is_words_or_one_error(text: str) -> None:
    try:
        found = simple_commands(text)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert all(command.words for command in found)


TOKENS = [
    "-tp", "--tp-size", "--tp", "--dp", "--ep", "-dp=2", "--enable-expert-parallel", "--enable-dp-attention", "--no-x",
    "--max-num-seqs", "--mem-fraction-static", "0.5", "4", "8", "0", "-1", "1e9", "nan", "--", "-", "--=", "=", "M", "",
    "--kv-cache-dtype", "fp8", "--quantization", "awq", "--model-path", "--moe-a2a-backend", "deepep", "|", "x=y", "$X",
    "--chunked-prefill-size", "--page-size", "--context-length", "32k", "--model",
]  # fmt: skip


@settings(deadline=None)
@given(engine=st.sampled_from(["vllm", "sglang", "trtllm"]), tokens=st.lists(st.sampled_from(TOKENS), max_size=8))
def test_any_command_is_read_or_one_error(configs: dict[str, Config], engine: str, tokens: list[str]) -> None:
    start = {"vllm": "vllm serve M ", "sglang": "sglang serve --model M ", "trtllm": "trtllm-serve M "}[engine]
    try:
        found = launched(read_command(engine, start + shlex.join(tokens)), configs[MOE], 1)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert found.batch >= 1
        assert found.config.engine.max_batched_tokens >= 1
        assert 0.0 < found.config.limits.memory_fraction <= 1.0
        assert found.layout["gpus"] % found.layout["dp"] == 0


@given(
    flags=st.dictionaries(
        st.sampled_from(["tp", "pp", "attn_dp", "batch", "tokens"]), st.integers(1, 4096), min_size=1, max_size=5
    ),
    spaced=st.booleans(),
    dashes=st.booleans(),
)
def test_every_spelling_gives_the_same(flags: dict[str, int], spaced: bool, dashes: bool) -> None:
    expected = {name: str(value) for name, value in flags.items()}
    for which in (0, -1):
        spelt = [(VLLM[name].spellings[which], value) for name, value in flags.items()]
        spelt = [(f if dashes or f.count("-") < 3 else "--" + f[2:].replace("-", "_"), v) for f, v in spelt]
        text = " ".join(f"{flag}{' ' if spaced else '='}{value}" for flag, value in spelt)
        assert read_command("vllm", f"vllm serve M {text}").given == expected


@pytest.mark.parametrize(
    ("text", "value"), [("32k", 32000), ("32K", 32768), ("2M", 2 * 2**20), ("25.6k", 25600), ("7", 7)]
)
def test_human_readable_counts(text: str, value: int) -> None:
    """vllm/utils/argparse_utils.py human_readable_int, 0.33.0."""
    assert whole("--max-model-len", text) == value


def test_a_flag_is_in_one_list_only() -> None:
    open_too = {"--cpu-offload-gb", "--enforce-eager", "--hf-overrides", "--disable-cuda-graph"}
    open_too |= {"--json-model-override-args"}
    for engine, table in FLAGS.items():
        read = {s for flag in table.values() for s in flag.spellings}
        harmless, unmodelled = set(HARMLESS[engine].split()), set(UNMODELLED[engine])
        assert not read & harmless
        assert read & unmodelled <= open_too
        assert not harmless & unmodelled
        switches = {s for flag in table.values() if flag.switch for s in flag.spellings}
        assert not set(SWITCHES[engine].split()) & (read - switches)
    assert set(TOUCHED) <= {flag for table in UNMODELLED.values() for flag in table}
