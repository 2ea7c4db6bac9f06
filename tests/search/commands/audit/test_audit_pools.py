"""Commands of servers of one pool of a split plan: which pool it is, what is refused, what such a server comes to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from costmodel.serving.split.decode import decode
from costmodel.serving.split.prefill import prefill
from search.base.errors import InputError
from search.cli import main as servefront
from search.commands.audit.audited import Audit, audit_command, with_measured
from search.commands.audit.command import read_command
from search.commands.audit.settings import Launched, launched
from search.inputs.compose import composed
from search.optimizer.run import run
from search.render.document.formats import seconds
from search.render.launch.split import split_files

R1, DENSE = "model=deepseek_r1", "model=qwen3_32b"
CONFIGS = {name: composed([name, "hardware=h200_sxm"]) for name in (R1, DENSE)}
BOTH = '{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'
VLLM, SGLANG = "vllm serve M -tp 8 --kv-transfer-config '%s'", "sglang serve --model M --tp 8 --disaggregation-mode %s"
TRTLLM = "printf '%s' 'cache_transceiver_config: {backend: UCX}' > o && trtllm-serve M --tp_size 8 --config o"


def found(engine: str, text: str, pool: str | None = None, model: str = R1) -> Launched:
    return launched(read_command(engine, text), CONFIGS[model], 1, pool)


def audited(engine: str, text: str, pool: str | None = None, **claims: float) -> Audit:
    command = read_command(engine, text)
    return audit_command(command, launched(command, CONFIGS[DENSE], 1, pool), claims, 32, ())


@pytest.mark.parametrize(
    ("engine", "text", "asked", "pool"),
    [
        ("vllm", VLLM % BOTH, None, None),
        ("vllm", VLLM % BOTH, "decode", "decode"),
        ("vllm", VLLM % BOTH.replace("kv_both", "kv_producer"), None, "prefill"),
        ("vllm", VLLM % '{"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_consumer"}', None, "decode"),
        ("sglang", SGLANG % "prefill", None, "prefill"),
        ("sglang", SGLANG % "decode", "decode", "decode"),
        ("sglang", SGLANG % "null", None, None),
        ("trtllm", TRTLLM, "prefill", "prefill"),
    ],
)
def test_which_pool_a_command_is_of(engine: str, text: str, asked: str | None, pool: str | None) -> None:
    read = found(engine, text, asked)
    assert read.pool == pool
    assert not read.refused
    assert ("tpot_s" in read.open_figures) == ("null" not in text)
    assert "weights_bytes_per_gpu" not in read.open_figures
    assert (read.config.workload.osl == 1) == (pool == "prefill")


def test_a_cache_that_only_moves_is_no_pool() -> None:
    read = found("vllm", VLLM % '{"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}')
    assert read.pool is None
    assert ("--kv-transfer-config", "cache that moves") in read.unmodelled


@pytest.mark.parametrize(
    ("engine", "text", "model", "rule"),
    [
        ("vllm", VLLM % '{"kv_connector": "NixlConnector"}', R1, "vllm.transfer_role"),
        ("vllm", VLLM % BOTH + " -dcp 4", R1, "vllm.nixl_deals_all_or_nothing"),
        ("vllm", VLLM.replace("8", "16") % BOTH + " -dcp 2", DENSE, "vllm.nixl_deals_all_or_nothing"),
        ("vllm", VLLM % BOTH + " -dcp 8", R1, None),
        ("vllm", VLLM % BOTH.replace("kv_both", "kv_consumer") + " -pp 2", R1, "vllm.decodes_in_one_stage"),
        ("vllm", VLLM % BOTH.replace("kv_both", "kv_producer") + " -pp 2", R1, None),
        ("sglang", SGLANG % "decode" + " --dcp-size 8 --disaggregation-transfer-backend x", R1,
         "sglang.transfer_deals"),
        ("sglang", SGLANG % "prefill" + " --disaggregation-transfer-backend fake", R1, "sglang.transfer_is_real"),
        ("sglang", SGLANG % "decode" + " --dcp-size 8", R1, None),
    ],
)  # fmt: skip
def test_what_engines_refuse(engine: str, text: str, model: str, rule: str | None) -> None:
    assert [name for name, _ in found(engine, text, None, model).refused] == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("engine", "text", "asked", "words"),
    [
        ("sglang", SGLANG % "both", None, "prefill or decode"),
        ("sglang", SGLANG % "prefill", "decode", "says prefill"),
        ("vllm", "vllm serve M", "decode", "names no cache transfer"),
        ("vllm", VLLM % "[]", None, "no JSON object"),
    ],
)
def test_bad_input_is_one_line(engine: str, text: str, asked: str | None, words: str) -> None:
    with pytest.raises(InputError) as error:
        found(engine, text, asked)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_server_that_decodes_has_the_step_of_decodes_alone() -> None:
    a = audited("sglang", SGLANG % "decode", tpot_s=0.05, ttft_s=0.5)
    alone = float(decode(a.scenario, a.plan, a.plan.batch.astype(float)).tpot_s[0])
    verdicts = {v.claim: v for v in a.verdicts}
    assert verdicts["tpot_s"].derived == alone
    assert verdicts["ttft_s"].verdict == "not judged"
    assert f"TPOT {seconds(alone)} (" in a.pool.lines[0]
    assert a.starting.starts
    sides = [with_measured(a, {"tpot_s": alone * f}).measured[0].side for f in (0.5, 1.0, 2.0)]
    assert sides == ["better", "as predicted", "worse"]


def test_a_server_that_prefills_has_prompts_alone() -> None:
    a = audited("vllm", VLLM % BOTH, "prefill")
    assert a.scenario.lengths.osl == 1
    most = float(prefill(a.scenario, a.plan).capacity_per_s[0])
    assert a.pool.lines[0].startswith(f"prefills {most:.3g} prompts/s")
    assert a.pool.tpot_s is None


def test_what_launch_writes_is_read_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    setting = ["model=qwen3_8b", "hardware=h100_sxm", "workload.isl=1024", "workload.osl=256"]
    o = run(composed([*setting, "engine=vllm", "strategy=exact", "report=none", "sensitivity=none",
                      "space.gpus=[4]", "space.dp=[2,4]", "space.tp=[1,2]", "space.batch=[64]", "space.pp=1",
                      "space.serving=[aggregated,split]"], None))  # fmt: skip
    best, files = o.split.best, split_files(o)
    for pool, count in (("prefill", int(best.x[0])), ("decode", int(best.y[0]))):
        words = ["--vllm", files[f"split.{pool}.sh"], "--replicas", str(count), "--json", str(tmp_path / "a.json")]
        words += ["--pool", pool]
        assert servefront(["audit", *words, *setting]) == 0, capsys.readouterr().out
        (told,) = json.loads((tmp_path / "a.json").read_text())["audits"]
        assert told["starts"] is True
        assert told["command"]["pool"] == pool
        assert len(told["command"]["pool_says"]) >= 2
        plans, row = (best.prefill.plans, best.p[0]) if pool == "prefill" else (best.decode.plans, best.d[0])
        for degree in ("tp", "ep", "pp"):
            assert told["layout"][degree] == plans.row(int(row))[degree]
