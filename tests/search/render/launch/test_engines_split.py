"""The engines themselves on the servers of split plans and on the flags of each drafter; slow and optional as
``test_engines_own``."""

from dataclasses import replace

import numpy as np
import pytest
from stubs import bash
from test_engines_own import ask, interpreter

from costmodel.drafts.drafter import Drafter
from search.inputs.compose import composed
from search.optimizer.run import run
from search.render.launch.split import split_files

pytestmark = pytest.mark.slow

# A model of each kind that the experiments below have, and whose checkpoint has a module of its own (mtp).
MODELS = {
    "deepseek_r1_h200": ("DeepseekV3ForCausalLM", ("none", "mtp")),
    "llama_70b_h100": ("LlamaForCausalLM", ("none", "eagle3", "ngram")),
}
SMALL = (
    "strategy=exact", "report=none", "sensitivity=none", "space.gpus=[16]", "space.dp=[1,2]", "space.pp=1",
    "space.sp=1", "space.tp=[1,8]", "space.batch=[64,256]", "space.split.prefill_gpus=8", "space.split.decode_gpus=8",
    "space.serving=[aggregated,split]", "limits.ttft_s=60",
    "limits.tpot_s=1",
)  # fmt: skip
# EAGLE-3's head for Llama 3.1, as the config.json of published ones has it.
HEAD = {
    "architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "hidden_size": 8192, "intermediate_size": 28672,
    "num_hidden_layers": 1, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256,
    "draft_vocab_size": 32000, "max_position_embeddings": 131072, "torch_dtype": "bfloat16", "hidden_act": "silu",
    "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
}  # fmt: skip
PARTS = {"vllm": ("kv_producer", "kv_consumer"), "sglang": ("prefill", "decode")}


@pytest.mark.parametrize("experiment", MODELS)
@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_engine_takes_both_pools_and_every_drafter(repo, tmp_path, capsys, engine, experiment):
    interpreter(engine)
    architecture, drafters = MODELS[experiment]
    ep = "space.ep=[8]" if experiment == "deepseek_r1_h200" else "space.ep=[1]"
    found = run(composed([f"+experiment={experiment}", f"engine={engine}", ep, *SMALL], None))
    assert found.split is not None and found.split.best is not None
    model = {**found.config.model.published, "architectures": [architecture], "torch_dtype": "bfloat16"}
    cases, wanted = [], {}
    for kind in drafters:
        best = found.split.best
        if kind != "none":
            decode = replace(best.decode, drafter=np.ones_like(best.decode.drafter))
            best = replace(best, decode=decode, asked=replace(best.asked, drafters=(Drafter(kind, (0.8, 0.7)),)))
        files = split_files(replace(found, split=replace(found.split, best=best)))
        for n, part in enumerate(("prefill", "decode")):
            script = tmp_path / f"split.{part}.sh"
            script.write_text(files[script.name])
            result, calls = bash(tmp_path, str(script), MODEL="m", DRAFT="DRAFT")
            assert result.returncode == 0, result.stderr
            words = calls[0][1]
            name = f"{kind} {part}"
            argv = words[1:] if engine == "vllm" else words[2:]
            cases.append({"id": name, "argv": argv, "model": model, "draft": HEAD})
            drafts = 2 if kind in ("mtp", "eagle3") or (kind == "ngram" and part == "decode") else None
            more = 1 if engine == "sglang" and drafts else 0  # it counts the model's own token
            wanted[name] = {"part": PARTS[engine][n], "drafts": drafts and drafts + more}
    answers = ask(engine, repo, cases)
    assert {name: a["error"] for name, a in answers.items() if a["error"]} == {}
    for name, expected in wanted.items():
        assert {key: answers[name][key] for key in expected} == expected, name
    with capsys.disabled():
        version = answers[cases[0]["id"]]["version"]
        print(f"\n{engine} {version} takes {len(cases)} servers of split plans ({experiment})")
