"""Start logs: reading, matching and predicting them."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from worked_case import worked_case

from costmodel.architecture import Quantization
from costmodel.memory.weights import loaded_bytes
from costmodel.plans import Plans
from costmodel.stages import Stages
from search.base.errors import InputError
from search.base.paths import conf_dir
from search.commands.validate import main
from search.evidence.start_logs.cards import card_of
from search.evidence.start_logs.cases import case_of
from search.evidence.start_logs.models import architecture_of
from search.evidence.start_logs.predict import COLUMNS, predict
from search.evidence.start_logs.rows import is_start_logs, read_start_logs
from search.evidence.start_logs.tables import cache_errors, weight_errors
from search.evidence.start_logs.versions import vllm_of
from search.inputs.engine_versions import version_of

GIB = 2**30
HEADER = (
    "id,engine,version,gpu,gpu_mem_gib,num_gpus,model,dtype_quant,tp,pp,max_model_len,mem_fraction_flag,mem_fraction,"
    "max_num_seqs,kv_cache_dtype,other_flags,weights_gib,available_kv_gib,kv_tokens,outcome"
)
# Made up for the tests, beside a reason for each kind.
ROWS = (
    "a,vLLM,0.19.0,H100 80GB,79.19,1,Qwen/Qwen3-8B,bf16,1,,8192,gpu_memory_utilization,0.95,,,,15.3,57,400000,starts",
    "b,vLLM,0.19.0,RTX 3090,,1,Qwen/Qwen3-32B,bf16,1,,8192,gpu_memory_utilization,0.9,,,,,,,OOM at load",
    "c,vLLM,0.19.0,Abacus 9000,,1,Qwen/Qwen3-8B,bf16,1,,,gpu_memory_utilization,,,,,,,,starts",
    "d,SGLang,0.5.5,A100 80GB,,2,nobody/knows-this-1b,bf16,2,,,mem_fraction_static,,,,,,,,starts",
    "e,SGLang,0.5.5,A100 80GB,,2,Qwen/Qwen3-32B-FP8,fp8 (block),2,,,mem_fraction_static,0.8,,fp8_e5m2,,,,,starts",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "logs.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n")
    return path


def test_rows_are_predicted_or_say_why_not(file: Path) -> None:
    found = {p.row.id: p for p in predict(read_start_logs(file))}
    assert [i for i, p in found.items() if p.skipped] == ["c", "d"]
    assert "Abacus" in found["c"].skipped and "knows-this" in found["d"].skipped
    assert found["a"].starts and found["a"].weights_gib == pytest.approx(15.26, rel=0.01)
    assert found["b"].starts is False and found["b"].cache_gib < 0
    for p in (found["a"], found["e"]):
        assert p.low_gib < p.cache_gib < p.high_gib < p.share_gib


def test_weights_of_no_size_are_one_line(file: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(file.read_text().splitlines()))
    rows[0]["weights_gib"] = "0"
    spoilt = tmp_path / "spoilt.csv"
    with spoilt.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(InputError, match="line 2, weights_gib: '0' is not above 0"):
        read_start_logs(spoilt)


def test_what_a_log_printed_is_no_input(file: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(file.read_text().splitlines()))
    for row in rows:
        row |= dict.fromkeys(("weights_gib", "available_kv_gib", "kv_tokens", "outcome"), "")
    blind = tmp_path / "blind.csv"
    with blind.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    seen, unseen = (predict(read_start_logs(path)) for path in (file, blind))
    assert [(p.cache_gib, p.starts) for p in seen if not p.skipped] == [
        (p.cache_gib, p.starts) for p in unseen if not p.skipped
    ]


def test_the_command_writes_a_line_for_every_row(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    assert main([str(file), "--out", str(out)]) == 0
    lines = list(csv.reader(out.read_text().splitlines()))
    assert tuple(lines[0]) == COLUMNS and [line[0] for line in lines[1:]] == list("abcde")
    assert "starts or" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("0.95", "1.5"), "mem_fraction"),
        ((",1,,8192", ",zero,,8192"), "tp"),
        (("b,vLLM", "a,vLLM"), "more than once"),
        (("57", "nan"), "available_kv_gib"),
    ],
)
def test_cells_that_cannot_be_are_one_line(
    file: Path, change: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(file.read_text().replace(*change))
    assert main([str(file), "--out", str(file.parent / "out.csv")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (file.parent / "out.csv").exists()


def test_other_files_are_no_start_logs(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("row,model,system\n1,a,b\n")
    assert not is_start_logs(path)
    assert not is_start_logs(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("0.19.0", (0, 19)), ("0.11.0 (the pod in the same repository)", (0, 11)), ("v0.1.1.dev0+g69db1c26b", None),
        ("0.11.2-0.13", (0, 11)), ("0.8.x (V0, May 2025)", (0, 8)), ("fork (Jul 2026)", None),
        ("0.21+ (May 2026)", (0, 21)), ("0.11.x (RHAIIS)", (0, 11)),
    ],
)  # fmt: skip
def test_versions(printed: str, version: tuple[int, int] | None) -> None:
    assert version_of(printed) == version


def test_a_build_without_a_number_is_of_its_month() -> None:
    assert vllm_of("(Jun 2026)") == (0, 22)
    assert vllm_of("nightly (2026)") > (0, 33)


@pytest.mark.parametrize(
    ("printed", "total", "mib"),
    [
        ("RTX 3090", None, 24576), ("L4 (23034 MiB)", 22.04, 23034), ("L40S 48GB", None, 46068),
        ("H100 NVL (Azure NC80adis_H100_v5)", None, 95830), ("NVIDIA H100 80GB HBM3", None, 81559),
        ("RTX PRO 6000 Blackwell Max-Q", 94.97, 97887), ("A100 80GB", 79.1, 81920),
    ],
)  # fmt: skip
def test_cards(printed: str, total: float | None, mib: int) -> None:
    """Whichever of the two totals a log prints, the memory is the same within half a gigabyte."""
    assert card_of(printed, total).memory_bytes / 2**20 == pytest.approx(mib, abs=520)


def test_names_with_suffixes_find_their_model() -> None:
    for name in ("unsloth/Qwen3-8B-GGUF", "Qwen3-8B (id not in the text)", "x/Qwen3-8B-AWQ-4bit"):
        assert architecture_of(name, "bf16", None).name == "Qwen/Qwen3-8B"
    with pytest.raises(InputError, match="not known"):
        architecture_of("x/Qwen3-8B-5-layers", "bf16", None)
    with pytest.raises(InputError, match="not modelled"):
        architecture_of("Qwen/Qwen3-8B", "exl3", None)


@pytest.mark.parametrize(
    ("printed", "name"),
    [
        ("RedHatAI/Qwen3-8B-quantized.w4a16", "Qwen/Qwen3-8B"),
        ("/root/.cache/huggingface/hub/models--Qwen--Qwen3-8B/snapshots/abc", "Qwen/Qwen3-8B"),
        ("/models/Qwen3-8B-Instruct/", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-8B-FP8 + somebody/Qwen3-8B-DFlash2", "Qwen/Qwen3-8B-FP8"),
        ("x/Qwen3-8B-INT4-AutoRound", "Qwen/Qwen3-8B"),
    ],
)
def test_names_as_paths_and_beside_a_drafter(printed: str, name: str) -> None:
    assert architecture_of(printed, "", None).name == name


# As logs name models that the catalog has.
CATALOGUED = (
    "Qwen2.5-0.5B", "Qwen2.5-1.5B", "Qwen2.5-3B", "Qwen2.5-7B", "Qwen2.5-14B", "Qwen2.5-32B", "QwQ-32B",
    "Qwen2.5-VL-3B", "Qwen2.5-VL-7B", "Qwen2.5-VL-32B", "Qwen2.5-VL-72B", "DeepSeek-R1-Distill-Qwen-1.5B",
    "DeepSeek-R1-Distill-Qwen-7B", "DeepSeek-R1-Distill-Qwen-14B", "DeepSeek-R1-Distill-Qwen-32B",
    "DeepSeek-R1-Distill-Llama-8B", "DeepSeek-R1-Distill-Llama-70B", "DeepSeek-R1-0528-Qwen3-8B", "DeepSeek-V3.1",
    "Llama-3.3-70B", "Llama-3.2-1B", "Llama-3.2-3B", "Meta-Llama-3-70B", "phi-4", "granite-3.3-8b-instruct",
    "granite-3.3-8b", "Devstral-Small", "Mistral-Nemo", "EXAONE-4.0-32B", "DeepSeek-V2-Lite", "DeepSeek-V2.5",
    "Qwen3.6-27B", "Qwen3.6-35B-A3B", "MiniMax-M2.1", "GLM-4.7", "GLM-5.3", "Kimi-K2-Thinking", "Kimi-K2.6",
    "Qwen2-7B", "Llama-2-13B", "Mistral-7B-v0.3", "Mistral-7B-Instruct-v0.3", "TinyLlama-1.1B",
    "TinyLlama-1.1B-Chat-v1.0", "Mistral-Large", "Gemma-3-12b", "Qwen3.8-27B", "MiniMax-M2.7", "GLM-5.1", "GLM-5.2",
    "Devstral-2-123B", "Ministral-3-14B", "Ministral-3-8B", "Qwen3.5-4B", "Qwen3.5-2B", "Qwen3.5-0.8B",
    "Qwen3.5-122B-A10B", "GLM-4.7-Flash", "Mistral-Small-4-119B",
)  # fmt: skip


def test_sizes_of_listed_models_are_those_in_their_names() -> None:
    """Parameters of the language model, against the number of billions in the name."""
    listed = OmegaConf.to_container(OmegaConf.load(conf_dir() / "models_of_logs.yaml"))["models"]  # type: ignore[index, call-overload]
    seen = 0
    for name in [*listed, *CATALOGUED]:
        number = re.search(r"-(\d+(?:\.\d+)?)b(?:-|$)", str(name), re.I)
        if number is None or "504B" in str(name):
            continue
        model = replace(architecture_of(str(name), "bf16", None), vision_parameters=0)
        runs = tuple(replace(run, layer=replace(run.layer, formats=())) for run in model.runs)
        model = replace(model, quantization=Quantization(), runs=runs)
        case = worked_case(model=model)
        plan = Plans.of(gpus=1, dp=1, pp=1, tp=1, ep=1, batch=1)
        setting = case.setting(case.layout(plan))
        counted = float(loaded_bytes(case, setting, Stages.of(model, plan.pp))[0]) / 2e9
        rounding = 0.27 if float(number[1]) < 3 else 0.1  # Llama-3.2-1B has 1.24
        assert counted == pytest.approx(float(number[1]), rel=rounding), name
        seen += 1
    assert seen > 60


def test_modules_that_quantisers_leave_alone() -> None:
    """As the released lists of exclusions have it, by the kind of model."""
    hybrid, mixed = (architecture_of("Qwen/Qwen3.8-27B", w, None).quantization for w in ("nvfp4", "nvfp4 (modelopt)"))
    assert [hybrid.of(m).name for m in ("linear_attention.qkvz", "attention.qkv", "ffn.up", "head")] == [
        "bf16", "nvfp4", "nvfp4", "bf16",
    ]  # fmt: skip
    assert [mixed.of(m).name for m in ("linear_attention.qkvz", "attention.qkv", "ffn.up", "head")] == [
        "fp8", "fp8", "nvfp4", "nvfp4",
    ]  # fmt: skip
    experts = architecture_of("Qwen/Qwen3.5-122B-A10B", "nvfp4", None).quantization
    assert (experts.of("attention.qkv").bits, experts.of("experts.up").bits) == (16, 4)
    gemma = architecture_of("google/gemma-4-31B-it", "nvfp4", None).quantization
    assert (gemma.of("attention.qkv").bits, gemma.of("ffn.up").bits) == (16, 4)
    released = architecture_of("deepseek-ai/DeepSeek-V4-Flash", "fp8/fp4", None).quantization
    whole = architecture_of("x/DeepSeek-V4-Flash-FP8", "fp8", None).quantization
    assert (released.of("experts.up").bits, whole.of("experts.up").bits) == (4, 8)


def test_four_bits_are_a_quarter_of_the_layers_and_not_of_the_tables() -> None:
    whole, four = (architecture_of("Qwen/Qwen3-8B", weights, None) for weights in ("bf16", "awq int4"))
    assert four.quantization.of("attention.qkv").bits == 4 and four.quantization.of("head").bits == 16
    assert whole.quantization.of("attention.qkv").bits == 16


def test_attention_data_parallel_of_sglang(file: Path) -> None:
    rows = read_start_logs(file)
    case = case_of(rows[4])
    assert case.server.share == "static" and case.server.shortens
    assert (int(case.plan.tp[0]), int(case.plan.gpus[0])) == (2, 2)


def test_the_open_logs(data: Path) -> None:
    """What docs/memory.md says of them, with room for the next constant."""
    done = [p for p in predict(read_start_logs(data / "start_logs.csv")) if not p.skipped]
    assert len(done) >= 100
    assert np.median(weight_errors(done)) < 0.02
    assert np.mean(weight_errors(done)) < 0.035
    assert np.median(cache_errors(done)) < 0.06
    assert np.mean(cache_errors(done)) < 0.12
    known = [p for p in done if p.row.started is not None]
    assert np.mean([p.starts == p.row.started for p in known]) > 0.86
    held = [p.low_gib <= p.row.cache_gib <= p.high_gib for p in done if np.isfinite(p.row.cache_gib)]
    assert 0.74 <= np.mean(held) <= 0.9
