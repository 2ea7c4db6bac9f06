"""``servefront launch`` on the command line: rows, all of them, changes, refusals and bad input."""

import pytest
import yaml

from search.cli import main as servefront
from search.commands.launch import main as launch
from search.inputs.schema import ModelConfig
from search.render.launch.checkpoint import checkpoint_of
from search.render.launch.server import _length


def printed(capsys, *arguments: str) -> tuple[int, list[str], str]:
    code = launch(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_one_command_line_a_plan(run_of, capsys):
    folder = str(run_of("+experiment=qwen3_235b"))
    for plan in ("recommended", "3", "tp=8,batch=64", f"{folder}/plan.yaml"):
        code, lines, err = printed(capsys, folder, "--plan", plan, "--engine", "vllm")
        assert (code, err) == (0, "")
        assert [line.split()[:2] for line in lines if not line.startswith("#")] == [["vllm", "serve"]]
        assert any("GPU KV cache size: " in line for line in lines)
    assert servefront(["launch", folder, "--engine", "sglang"]) == 0
    assert "sglang.launch_server" in capsys.readouterr().out


def test_the_log_line_is_the_capacity_in_the_table(run_of, capsys):
    import csv

    folder = run_of("+experiment=llama_70b_h100", "engine=vllm")
    with (folder / "pareto.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    code, lines, _ = printed(capsys, str(folder), "--plan", "all", "--engine", "vllm")
    assert code == 0
    comments = [line for line in lines if line.startswith("# row ")]
    assert len(comments) == len(rows)
    for row, line in zip(rows, comments, strict=True):
        assert f"GPU KV cache size: {int(float(row['kv_capacity_tokens'])):,} tokens" in line


def test_all_names_the_rows_that_are_refused(run_of, capsys):
    folder = str(run_of("+experiment=qwen3_235b"))
    code, lines, err = printed(capsys, folder, "--plan", "all", "--engine", "trtllm")
    refused = [line for line in lines if "refused by rule trtllm.attention_dp_all_or_nothing" in line]
    taken = [line for line in lines if not line.startswith("#")]
    assert (code, err) == (0, "")
    assert refused and taken
    assert all(line.startswith("# row ") for line in refused)


def test_all_refused_is_exit_1(run_of, capsys):
    """vLLM has no expert parallelism between 1 and the whole stage."""
    folder = str(run_of("+experiment=qwen3_235b", "engine=sglang", "space.tp=8", "space.ep=4", "space.gpus=8"))
    code, lines, _ = printed(capsys, folder, "--plan", "all", "--engine", "vllm")
    assert code == 1
    assert lines
    assert all("refused by rule vllm.experts_whole_or_split" in line for line in lines)


REFUSED = [
    ("tp=3", "attention_fills_stage"),
    ("tp=8,ep=4", "vllm.experts_whole_or_split"),
    ("sp=2,tp=2", "vllm.prefill_context_parallel"),
    ("gpus=20,tp=4,ep=20", "vllm.nodes_divide"),
    ("batch=20000", "vllm.budget_holds_batch"),
    ("gpus=2,tp=2,ep=2", "start.cache_holds_a_request"),
]


@pytest.mark.parametrize(("plan", "rule"), REFUSED)
def test_one_refused_plan_is_one_line_and_exit_1(run_of, capsys, plan, rule):
    folder = str(run_of("+experiment=qwen3_235b"))
    code, lines, err = printed(capsys, folder, "--plan", plan, "--engine", "vllm")
    assert (code, lines, err.count("\n")) == (1, [], 1)
    assert f"rule {rule}:" in err


@pytest.mark.parametrize(("model", "order"), [("deepseek_v3_2", "interleave"), ("qwen3_30b_a3b", "zigzag")])
def test_prefill_context_parallelism_in_sglang(run_of, capsys, model, order):
    """All attention ranks of a stage are context ranks; sparse attention takes its tokens interleaved."""
    folder = run_of(f"model={model}", "hardware=b200_sxm", "engine=sglang", "space.gpus=8")
    code, lines, err = printed(capsys, str(folder), "--plan", "tp=1,sp=8,ep=8,dp=1,pp=1,batch=8", "--engine", "sglang")
    assert (code, err) == (0, "")
    assert f"--tp-size 8 --ep-size 8 --attn-cp-size 8 --enable-prefill-cp --cp-strategy {order} " in lines[-1]


def options_of(folder):
    return yaml.safe_load((folder / "launch" / "trtllm.yaml").read_text())


def test_how_prompts_are_held_and_tokens_are_sent(run_of, capsys):
    """What the figures assume is written; nothing where that is what the engine does by itself."""
    case = ("model=qwen3_8b", "engine=trtllm", "space.gpus=1")
    plain, told = run_of(*case), run_of(*case, "engine.hold_steps=20", "engine.stream_interval=10")
    more = {"stream_interval": 10, "batch_wait_timeout_iters": 20, "batch_wait_max_tokens_ratio": 0.9}
    plan = "tp=1,sp=1,ep=1,dp=1,pp=1,batch=8"
    assert not set(more) & set(options_of(plain))
    assert options_of(told).items() >= more.items()
    for engine, words in (("sglang", "--stream-interval 10 --scheduler-recv-interval 40 "), ("vllm", None)):
        code, lines, err = printed(capsys, str(told), "--plan", plan, "--engine", engine)
        if words:
            assert (code, err) == (0, "")
            assert words in lines[-1]
        else:
            assert (code, lines) == (1, [])
            assert "rule start.held_prompts:" in err
        code, lines, err = printed(capsys, str(plain), "--plan", plan, "--engine", engine)
        assert (code, err) == (0, "")
        assert "interval" not in lines[-1]


def test_graphs_for_every_decode_batch(run_of, capsys):
    folder = str(run_of("model=qwen3_8b", "engine=vllm", "space.gpus=1", "space.batch=[8,520,1000]"))
    for batch, rows in ((8, 512), (520, 528), (1000, 1008)):
        plan = f"tp=1,sp=1,ep=1,dp=1,pp=1,batch={batch}"
        code, lines, _ = printed(capsys, folder, "--plan", plan, "--engine", "vllm")
        assert code == 0
        assert f"--max-cudagraph-capture-size {rows} " in lines[-1]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ((), None),
        (("engine.prefill_graphs=counted",), " --disable-prefill-cuda-graph "),
        (("engine.prefill_graphs=counted", "engine.captured_tokens=1024"), " --cuda-graph-max-bs-prefill 1024 "),
    ],
)
def test_graphs_of_passes_with_prompts_in_sglang(run_of, capsys, overrides, words):
    """Nothing where SGLang's own rules are what the figures take, nor for a run that was scored for another engine."""
    case, plan = ("model=qwen3_8b", "space.gpus=1"), "tp=1,sp=1,ep=1,dp=1,pp=1,batch=8"
    for engine in ("sglang", "any"):
        folder = str(run_of(*case, f"engine={engine}", *overrides))
        code, lines, _ = printed(capsys, folder, "--plan", plan, "--engine", "sglang")
        assert code == 0
        assert ("prefill-cuda" in lines[-1] or "bs-prefill" in lines[-1]) == (words is not None and engine == "sglang")
        assert words is None or engine == "any" or words in lines[-1]


def test_graphs_of_passes_with_prompts_in_tensorrt_llm(run_of):
    case = ("model=qwen3_8b", "engine=trtllm", "space.gpus=1")
    assert "torch_compile_config" not in options_of(run_of(*case))
    told = options_of(run_of(*case, "engine.captured_tokens=600"))["torch_compile_config"]
    assert told["enable_piecewise_cuda_graph"] is True
    assert told["capture_num_tokens"] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]


@pytest.mark.parametrize(
    ("hardware", "kernels", "written"),
    [("b200_sxm", "generated", {"backend": "TRTLLM"}), ("b200_sxm", "cutlass", None), ("h200_sxm", "generated", None)],
)
def test_expert_kernels_of_tensorrt_llm(run_of, hardware, kernels, written):
    run = ("model=qwen3_30b_a3b", "engine=trtllm", f"hardware={hardware}", "space.gpus=1")
    folder = run_of(*run, f"engine.expert_kernels={kernels}")
    assert options_of(folder).get("moe_config") == written


def test_what_does_not_start_beside_its_layout(run_of, capsys):
    """An accelerator without the engine: the run keeps the plan for the engines that start it."""
    folder = run_of("model=qwen3_8b", "hardware=mi300x", "cluster=mi300_8")
    code, lines, err = printed(capsys, str(folder), "--engine", "trtllm")
    assert (code, lines) == (1, [])
    assert "rule start.accelerator:" in err
    assert "rule start.accelerator:" in (folder / "launch" / "trtllm.sh").read_text()


@pytest.mark.parametrize(
    ("rule", "overrides"),
    [
        ("start.context_fits", ["model=llama_2_7b", "workload.isl=4000", "workload.osl=1000", "space.gpus=[1,2]"]),
        ("start.cache_format", ["model=qwen3_8b", "model.kv_cache=int8"]),
        ("start.accelerator", ["model=qwen3_8b", "engine=trtllm", "hardware=mi300x", "cluster=mi300_8"]),
        ("start.held_prompts", ["model=qwen3_8b", "engine=vllm", "engine.hold_steps=2"]),
    ],
)
def test_what_no_engine_starts_is_no_plan(search, tmp_path, rule, overrides):
    """Longer than the model can, a cache format without a name, prompts held: the search names the rule."""
    code, out, err = search(*overrides, "strategy=exact", "hydra.run.dir=run")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert rule in err


@pytest.mark.parametrize(
    "arguments", [["--plan", "0"], ["--plan", "9999"], ["--plan", "none.yaml"], ["--plan", "tp=x"]]
)
def test_bad_input_is_one_line_and_exit_2(run_of, capsys, arguments):
    folder = str(run_of("+experiment=qwen3_235b"))
    code, lines, err = printed(capsys, folder, *arguments, "--engine", "vllm")
    assert (code, lines, err.count("\n")) == (2, [], 1)
    assert err.startswith("error: --plan") or "none.yaml" in err


def test_no_run_and_no_plan(tmp_path, capsys, search):
    code, _, err = printed(capsys, str(tmp_path / "nowhere"), "--engine", "vllm")
    assert code == 2
    assert "holds no run" in err
    code, _, _ = search("model=qwen3_8b", "limits.tpot_s=1e-6", "strategy=exact", "hydra.run.dir=run")
    assert code == 1
    assert not (tmp_path / "run" / "launch").exists()
    for plan in ("all", "recommended"):
        code, lines, err = printed(capsys, str(tmp_path / "run"), "--plan", plan, "--engine", "vllm")
        assert (code, lines, err.count("\n")) == (2, [], 1)


def test_a_model_of_ones_own_is_asked_for_and_not_calibrated(search, tmp_path, capsys):
    """The run and the run read back: neither takes the catalog's model for it."""
    (tmp_path / "config.json").write_text(
        '{"model_type": "llama", "hidden_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8,'
        ' "num_key_value_heads": 8, "intermediate_size": 2048, "vocab_size": 1000, "max_position_embeddings": 8192,'
        ' "hidden_act": "silu", "tie_word_embeddings": false}'
    )
    code, _, err = search("model.name=mine", "model.config=config.json", "strategy=exact", "hydra.run.dir=run")
    assert code == 0, err
    script = (tmp_path / "run" / "launch" / "vllm.sh").read_text()
    _, lines, _ = printed(capsys, "run", "--engine", "vllm")
    for text in (script, "\n".join(lines)):
        assert "Qwen" not in text
        assert "MODEL:?folder or Hugging Face name of the model}" in text
        assert "this is one of your own" in text


def model(**changes) -> ModelConfig:
    published = {"quantization_config": {"quant_method": "fp8"}} if changes.pop("quantised", False) else {}
    source = "https://huggingface.co/org/model-1.0/blob/main/config.json"
    return ModelConfig(**{"name": "x", "source": source, "published": published, **changes})


@pytest.mark.parametrize(
    ("config", "for_vllm", "for_trtllm", "dtype"),
    [
        (model(), "org/model-1.0", "org/model-1.0", "bfloat16"),
        (model(weights="bf16"), "org/model-1.0", "org/model-1.0", "bfloat16"),
        (model(weights="fp16"), "org/model-1.0", "org/model-1.0", "float16"),
        (model(weights="fp8"), "org/model-1.0", None, "bfloat16"),
        (model(weights="nvfp4"), None, None, "bfloat16"),
        (model(quantised=True), "org/model-1.0", "org/model-1.0", "bfloat16"),
        (model(quantised=True, weights="fp8"), None, None, "bfloat16"),
        (model(config="my/config.json"), None, None, "bfloat16"),
        (model(source=""), None, None, "bfloat16"),
        (model(source="https://huggingface.co/org/model;reboot"), None, None, "bfloat16"),
        (model(source="https://huggingface.co/org/$(reboot)/blob"), None, None, "bfloat16"),
        (model(source="https://example.org/org/model"), None, None, "bfloat16"),
    ],
)
def test_which_checkpoint(config, for_vllm, for_trtllm, dtype):
    found = checkpoint_of(config, "bf16")
    assert (found.name(("fp8",)), found.name(()), found.dtype) == (for_vllm, for_trtllm, dtype)


def test_lengths_are_whole_blocks_and_within_model_and_cache():
    assert _length(4096, 10**6, 40960) == 4160
    assert _length(4000, 10**6, 40960) == 4096
    assert _length(4033, 10**6, 0) == 4160
    assert _length(4096, 10**6, 4096) == 4096
    assert _length(4096, 4100, 40960) == 4096
    assert _length(4090, 4092, 40960) == 4090
