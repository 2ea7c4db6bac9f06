"""Commands that draft, or deal the cache of decodes: what is read of them, what is refused, and the figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costmodel.drafts.drafter import Drafter
from costmodel.drafts.drafting import with_drafter
from costmodel.evaluate import evaluate
from search.base.errors import InputError
from search.commands.audit.audited import Audit, audit_command
from search.commands.audit.command import read_command
from search.commands.audit.drafts import OPTION_RULES
from search.commands.audit.settings import Launched, launched
from search.inputs.compose import composed
from search.inputs.config import read_model, read_scenario
from search.optimizer.speculation.rules import DRAFT_RULES

R1, DENSE = "model=deepseek_r1", "model=qwen3_32b"
CONFIGS = {name: composed([name, "hardware=h200_sxm"]) for name in (R1, DENSE)}
MTP = '--speculative-config \'{"method": "%s", "num_speculative_tokens": 3}\''
TRTLLM = "printf '%s' '{speculative_config: {{{}}}}' > o && trtllm-serve M --tp_size 8 --config o"


def found(engine: str, text: str, model: str = R1) -> Launched:
    return launched(read_command(engine, text), CONFIGS[model], 1)


@pytest.mark.parametrize(
    ("engine", "text", "model", "kind", "tokens"),
    [
        ("vllm", "vllm serve M -tp 8 " + MTP % "mtp", R1, "mtp", 3),
        ("vllm", "vllm serve M -tp 8 " + MTP % "deepseek_mtp", R1, "mtp", 3),
        ("vllm", "vllm serve M -tp 8 -sc '{\"method\":\"mtp\"}'", R1, "mtp", 1),  # as many as there are modules
        ("vllm", "vllm serve M --speculative-config.method mtp --speculative-config.num_speculative_tokens 2", R1,
         "mtp", 2),
        ("vllm", "vllm serve M --spec-method eagle3 --spec-model x/y --spec-tokens 4", DENSE, "eagle3", 4),
        ("vllm", "vllm serve M -sc '{\"model\": \"a/x_eagle3\", \"num_speculative_tokens\": 2}'", DENSE, "eagle3", 2),
        ("sglang", "sglang serve --model M --tp 8 --speculative-algorithm EAGLE", R1, "mtp", 3),
        ("sglang", "sglang serve --model M --tp 8 --speculative-algorithm NEXTN --speculative-num-steps 2 "
         "--speculative-eagle-topk 1 --speculative-num-draft-tokens 3", R1, "mtp", 2),
        ("sglang", "sglang serve --model M --speculative-algo EAGLE3 --speculative-draft-model-path x/y "
         "--speculative-num-steps 4 --speculative-eagle-topk 1 --speculative-num-draft-tokens 5", DENSE, "eagle3", 4),
        ("trtllm", TRTLLM.replace("{}", "decoding_type: MTP, num_nextn_predict_layers: 3"), R1, "mtp", 3),
        ("trtllm", TRTLLM.replace("{}", "decoding_type: Eagle3, max_draft_len: 2, speculative_model: x/y"), DENSE,
         "eagle3", 2),
    ],
)  # fmt: skip
def test_drafters_of_commands(engine: str, text: str, model: str, kind: str, tokens: int) -> None:
    read = found(engine, text.replace("{{", "{").replace("}}", "}"), model)
    assert read.drafter is not None
    assert (read.drafter.kind, read.drafter.tokens) == (kind, tokens)
    assert not read.open_figures
    assert not read.unmodelled


@pytest.mark.parametrize(
    ("engine", "flags", "model", "word"),
    [
        ("vllm", MTP % "ngram", DENSE, "space.draft.ngram"),
        ("vllm", MTP % "draft_model", DENSE, "draft_model"),
        ("vllm", "-pp 2 " + MTP % "mtp", R1, "pipeline"),
        ("vllm", "-sc '{\"method\": \"mtp\", \"num_speculative_tokens\": 2, \"parallel_drafting\": true}'", R1,
         "parallel_drafting"),
        ("sglang", "--tp 2 --speculative-algorithm NGRAM", DENSE, "tree"),
        ("sglang", "--tp 2 --speculative-algorithm EAGLE --speculative-draft-model-path x/y", DENSE, "eagle"),
    ],
)  # fmt: skip
def test_what_is_not_modelled_stays_open(engine: str, flags: str, model: str, word: str) -> None:
    serve = "vllm serve M" if engine == "vllm" else "sglang serve --model M"
    read = found(engine, f"{serve} {flags}", model)
    assert read.drafter is None
    assert "tpot_s" in read.open_figures
    assert any(word in reason for _, reason in read.unmodelled)
    assert not read.refused


@pytest.mark.parametrize(
    ("engine", "text", "model", "rule"),
    [
        ("vllm", "vllm serve M " + MTP % "mtp", DENSE, "drafts.prediction_module"),
        ("vllm", "vllm serve M -sc '{\"method\": \"eagle3\", \"model\": \"x/y\"}'", DENSE, "vllm.draft_tokens_given"),
        ("vllm", "vllm serve M " + MTP % "eagle3", DENSE, "vllm.draft_model_named"),
        ("sglang", "sglang serve --model M --tp 8 --attn-dp-size 2 --speculative-algorithm NGRAM", R1,
         "sglang.ngram_has_one_group"),
        ("sglang", "sglang serve --model M --tp 8 --attn-dp-size 2 --speculative-algorithm STANDALONE", R1,
         "sglang.standalone_has_one_group"),
        ("sglang", "sglang serve --model M --speculative-algorithm EAGLE --speculative-eagle-topk 1", R1,
         "sglang.draft_numbers_together"),
        ("trtllm", TRTLLM.replace("{}", "decoding_type: Eagle3, max_draft_len: 2"), DENSE, "trtllm.draft_model_named"),
        ("trtllm", TRTLLM.replace("{}", "decoding_type: NGram"), DENSE, "trtllm.draft_length_given"),
        ("vllm", "vllm serve M -tp 8 -dcp 3", R1, "vllm.decode_context_parallel"),
    ],
)  # fmt: skip
def test_what_an_engine_refuses(engine: str, text: str, model: str, rule: str) -> None:
    read = found(engine, text.replace("{{", "{").replace("}}", "}"), model)
    assert [name for name, _ in read.refused] == [rule]
    assert read.drafter is None
    known = [r.name for r in DRAFT_RULES] + list(OPTION_RULES)
    assert rule in known or "decode_context" in rule


@pytest.mark.parametrize("text", ["[]", "{", '"mtp"'])
def test_what_is_no_object_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match="--speculative-config: .*JSON object"):
        found("vllm", f"vllm serve M --speculative-config '{text}'")


def test_sglang_runs_few_requests_where_it_drafts() -> None:
    assert found("sglang", "sglang serve --model M --tp 8 --speculative-algorithm EAGLE").batch == 48
    assert found("sglang", "sglang serve --model M --tp 8").batch == 2048


def audited(engine: str, text: str) -> Audit:
    command = read_command(engine, text)
    return audit_command(command, launched(command, CONFIGS[R1], 1), {}, None, ())


def test_figures_are_those_of_the_search() -> None:
    """The plan of the command with its drafter, evaluated directly; and a server that drafts needs more memory."""
    base = "vllm serve M -tp 8 --max-num-seqs 16"
    plain, drafted = audited("vllm", base), audited("vllm", f"{base} {MTP % 'mtp'}")
    assert plain.scored is not None and drafted.scored is not None and drafted.launched is not None
    config = drafted.config
    scenario = read_scenario(config, read_model(config.model).architecture)
    there = with_drafter(scenario, Drafter("mtp", (0.85, 0.75, 0.65)))
    direct = evaluate(there, drafted.plan)
    for name in ("tpot_s", "ttft_s", "output_tokens_per_s", "memory_bytes_per_gpu"):
        assert getattr(drafted.scored.scores, name)[0] == pytest.approx(getattr(direct, name)[0], rel=1e-12)
    assert drafted.scored.scores.tpot_s[0] < plain.scored.scores.tpot_s[0]
    assert drafted.scored.scores.kv_capacity_tokens[0] < plain.scored.scores.kv_capacity_tokens[0]


def test_a_dealt_cache_is_judged() -> None:
    plain, dealt = audited("vllm", "vllm serve M -tp 8"), audited("vllm", "vllm serve M -tp 8 -dcp 8")
    assert plain.scored is not None and dealt.scored is not None and dealt.launched is not None
    assert not dealt.launched.open_figures
    assert dealt.scored.scores.kv_cache_bytes_per_gpu[0] / dealt.plan.batch[0] == pytest.approx(
        plain.scored.scores.kv_cache_bytes_per_gpu[0] / plain.plan.batch[0] / 8.0, rel=1e-3
    )
    scenario = replace(dealt.scenario, decode_ranks=8)
    assert dealt.scored.scores.tpot_s[0] == pytest.approx(evaluate(scenario, dealt.plan).tpot_s[0], rel=1e-12)
