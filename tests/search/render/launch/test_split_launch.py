"""The files of a split plan: bash runs them with programs that only say how they were called."""

import re
from dataclasses import replace
from functools import cache

import engine_tables
import numpy as np
import pytest
import yaml
from engine_tables import Model, Refused
from stubs import bash

from costmodel.drafts.drafter import Drafter
from search.inputs.compose import composed
from search.optimizer.run import run
from search.render.launch.split import split_files

BASE = (
    "+experiment=deepseek_r1_h200", "strategy=exact", "report=none", "sensitivity=none", "space.gpus=[16]",
    "space.dp=[1,2]", "space.pp=1", "space.sp=1", "space.tp=[1,8]", "space.ep=[8]", "space.batch=[64,256]",
    "space.split.prefill_gpus=8", "space.split.decode_gpus=8", "space.serving=[aggregated,split]",
)  # fmt: skip


@cache
def outcome_of(*overrides):
    return run(composed([*BASE, *overrides], None))


DRAFTS = ("space.speculation=[none,mtp]", "space.draft.tokens=2")


@pytest.fixture(scope="module", params=["vllm", "sglang", "trtllm"])
def written(request, tmp_path_factory):
    found = outcome_of(f"engine={request.param}", *DRAFTS)
    folder = tmp_path_factory.mktemp(request.param)
    files = split_files(found)
    for name, text in files.items():
        (folder / name).write_text(text)
    return request.param, found, folder, files


def called(folder, tmp_path, name, **variables):
    result, calls = bash(tmp_path, str(folder / name), **variables)
    assert result.returncode == 0, result.stderr
    return calls


def test_pools_of_two_generations_are_told_what_both_must_do_and_where_they_may_run():
    """vLLM's handshake compares attention backends, of which each generation has its own first choice."""
    files = split_files(outcome_of("engine=vllm", "model=deepseek_v3_2", "space.split.decode.hardware=b200"))
    for name, kind in (("prefill", "H200"), ("decode", "B200")):
        assert "--attention-backend FLASHMLA_SPARSE" in files[f"split.{name}.sh"]
        assert f"on NVIDIA {kind}" in files[f"split.{name}.sh"].splitlines()[1]
    for name in ("kubernetes", "llm-d", "dynamo"):
        text = files[f"split.{name}.yaml"]
        found = re.findall(r"nodeSelector:\n +accelerator: (\S+)", text)
        assert found == ["nvidia-h200-sxm-141gb", "nvidia-b200-sxm-180gb"]
        assert f"accelerator={found[1]}" in text.split("apiVersion")[0]


def test_blocks_of_two_sizes_are_written():
    files = split_files(outcome_of("engine=vllm", "space.split.decode.engine={block_tokens:64}"))
    for name, tokens in (("prefill", 16), ("decode", 64)):
        assert f"--block-size {tokens} " in files[f"split.{name}.sh"]


def test_each_pool_and_the_router_have_a_script(written):
    engine, found, _, files = written
    wanted = {f"split.{name}.sh" for name in ("prefill", "decode", "router")}
    options = {f"split.{name}.yaml" for name in ("prefill", "decode")} if engine == "trtllm" else set()
    manifests = {f"split.{name}.yaml" for name in ("kubernetes", "compose", "dynamo")}
    if engine != "trtllm":
        manifests |= {"split.llm-d.yaml", "split.llm-d.values.yaml"}
    assert set(files) == wanted | options | manifests | {"split.slurm"}
    best = found.split.best
    tokens = f"{best.column('output_tokens_per_s')[0]:,.0f}"
    assert f"{tokens} output tokens/s" in files["split.decode.sh"]


def test_servers_are_told_their_part(written, tmp_path):
    engine, found, folder, files = written
    best = found.split.best
    instances = {"prefill": int(best.x[0]), "decode": int(best.y[0])}
    for name, first in (("prefill", "8100"), ("decode", "8200")):
        if engine == "trtllm":
            told = yaml.safe_load(files[f"split.{name}.yaml"])
            assert told["cache_transceiver_config"]["max_tokens_in_buffer"] >= found.scenario.lengths.isl
            assert told.get("disable_overlap_scheduler", False) is (name == "prefill")
            assert told["speculative_config"]["num_nextn_predict_layers"] == 2  # of both: caches have as many layers
            continue
        ((_, words, _),) = called(folder, tmp_path, f"split.{name}.sh")
        text = " ".join(words)
        assert f"--port {first}" in text
        if engine == "sglang":
            assert f"--disaggregation-mode {name}" in text
            assert "--speculative-num-steps 2" in text  # the drafter's cache of the prompt travels too
        else:
            role = "kv_producer" if name == "prefill" else "kv_consumer"
            assert f'"kv_connector": "NixlConnector", "kv_role": "{role}"' in text
            assert '"num_speculative_tokens": 2' in text
        more = instances[name] > 1
        assert ("REPLICA is the number of the server" in files[f"split.{name}.sh"]) is more


def test_a_drafter_of_its_own_has_to_be_named(written, tmp_path):
    engine, found, _, _ = written
    best = found.split.best
    decode = replace(best.decode, drafter=np.ones_like(best.decode.drafter))
    best = replace(best, decode=decode, asked=replace(best.asked, drafters=(Drafter("eagle3", (0.8, 0.7)),)))
    files = split_files(replace(found, split=replace(found.split, best=best)))
    if engine == "trtllm":
        told = yaml.safe_load(files["split.decode.yaml"])["speculative_config"]
        assert (told["decoding_type"], told["max_draft_len"]) == ("Eagle", 2)
        return
    (tmp_path / "split.decode.sh").write_text(files["split.decode.sh"])
    result, calls = bash(tmp_path, "split.decode.sh")
    assert (result.returncode, calls) == (1, [])
    assert result.stderr.endswith("DRAFT: path or name of the checkpoint that drafts\n")
    ((_, words, _),) = called(tmp_path, tmp_path, "split.decode.sh", DRAFT="some/drafter")
    assert "some/drafter" in " ".join(words)


def test_n_grams_are_for_servers_that_decode(written, tmp_path):
    """They have no cache that somebody had to fill."""
    engine, found, _, _ = written
    best = found.split.best
    decode = replace(best.decode, drafter=np.ones_like(best.decode.drafter))
    best = replace(best, decode=decode, asked=replace(best.asked, drafters=(Drafter("ngram", (0.4,)),)))
    files = split_files(replace(found, split=replace(found.split, best=best)))
    ending = "yaml" if engine == "trtllm" else "sh"
    drafts = {name: "specul" in files[f"split.{name}.{ending}"] for name in ("prefill", "decode")}
    assert drafts == {"prefill": False, "decode": True}


def test_a_server_is_found_by_its_own_address(written, tmp_path):
    engine, _, folder, _ = written
    if engine != "vllm":
        return
    script = (folder / "split.prefill.sh").read_text().replace("exec vllm", 'echo "$VLLM_NIXL_SIDE_CHANNEL_HOST" #')
    for given, wanted in (
        ({}, "127.0.0.1"), ({"HOST": "10.0.0.7"}, "10.0.0.7"), ({"HOST": "0.0.0.0", "NODE_IP": "10.0.0.9"}, "10.0.0.9"),
        ({"HOST": "0.0.0.0", "VLLM_NIXL_SIDE_CHANNEL_HOST": "node7"}, "node7"),
    ):  # fmt: skip
        result, _ = bash(tmp_path, text=script, **given)
        assert result.stdout.split()[0] == wanted


@pytest.mark.parametrize("kind", ["none", "mtp", "eagle3", "ngram", "helix"])
def test_tensorrt_llms_ends_fit_together(kind):
    """By its own checks of options, and of what two servers that exchange caches have to have in common."""
    found = outcome_of("engine=trtllm", *DRAFTS)
    best, model = found.split.best, Model.of(found.config.model.published)
    decode = replace(best.decode, drafter=np.full_like(best.decode.drafter, kind not in ("none", "helix")))
    if kind == "helix":
        row = int(np.flatnonzero(decode.plans.tp == 8)[0])
        decode, best = replace(decode, ranks=np.full_like(decode.ranks, 4)), replace(best, d=np.array([row]))
    drafters = (Drafter(kind, (0.8, 0.7)),) if kind not in ("none", "helix") else ()
    best = replace(best, decode=decode, asked=replace(best.asked, drafters=drafters))
    files = split_files(replace(found, split=replace(found.split, best=best)))
    told = {name: yaml.safe_load(files[f"split.{name}.yaml"]) for name in ("prefill", "decode")}
    for options in told.values():
        assert engine_tables.trtllm(options, model).world == 8
    engine_tables.trtllm_ends(told["prefill"], told["decode"])
    assert ("cp_config" in told["decode"]) is (kind == "helix")
    without = {name: value for name, value in told["prefill"].items() if name != "speculative_config"}
    if kind in ("mtp", "eagle3"):
        with pytest.raises(Refused, match="same number of layers"):
            engine_tables.trtllm_ends(without, told["decode"])


def test_the_router_knows_every_server(written, tmp_path):
    engine, found, folder, _ = written
    best = found.split.best
    x, y = int(best.x[0]), int(best.y[0])
    ((program, words, _),) = called(folder, tmp_path, "split.router.sh")
    if engine == "trtllm":
        told = yaml.safe_load((folder / "split.router.yaml").read_text())
        servers = engine_tables.trtllm_router(told)
        assert [len(servers[name]) for name in ("context_servers", "generation_servers")] == [x, y]
        assert (program, words[0]) == ("trtllm-serve", "disaggregated")
        assert words[words.index("-t") + 1] == words[words.index("-r") + 1] == "3600"
        return
    assert words.count("--prefill") == x
    assert words.count("--decode") == y
    own = "--pd-disaggregation" if engine == "sglang" else "--vllm-pd-disaggregation"
    assert own in words
    assert words[words.index("--worker-startup-timeout-secs") + 1] == "3600"
    ((_, moved, _),) = called(folder, tmp_path, "split.router.sh", PREFILL="a:1 b:2", DECODE="c:3")
    assert re.findall(r"http://(\S+)", " ".join(moved)) == ["a:1", "b:2", "c:3"]


def test_without_split_there_are_no_files(written):
    assert split_files(replace(written[1], split=None)) == {}
