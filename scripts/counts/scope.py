"""Classes of transformers' causal mapping that nobody serves as a causal language model, with the reason.

They are built and compared like the others, and kept out of the share that is aimed at.
"""

_ENCODERS = (
    "bert bert-generation big_bird camembert data2vec-text electra ernie megatron-bert rembert roberta "
    "roberta-prelayernorm roc_bert roformer xlm-roberta xlm-roberta-xl xmod xlm xlnet reformer"
)
_PAIRS = (
    "bart bigbird_pegasus blenderbot blenderbot-small marian mbart mvp pegasus plbart prophetnet trocr whisper "
    "vision-encoder-decoder florence2 t5gemma2 pix2struct udop pp_formulanet kosmos-2.5"
)
_SOUND = "musicgen musicgen_melody moshi kyutai_speech_to_text"
# Not in vLLM's list of models (vllm/model_executor/models/registry.py, 2026) and of a time before it, or of research.
_UNSERVED = (
    "biogpt codegen ctrl gpt_neo gpt_neox_japanese openai-gpt recurrent_gemma rwkv xglm xlstm jetmoe diffllama doge "
    "zamba blt modernbert-decoder"
)
_OTHER = {
    "git": "a captioner on a BERT decoder",
    "blip": "a captioner on a BERT decoder",
    "evolla": "reads proteins",
    "pi0": "drives robots",
    "cpmant": "an encoder-style model of 2022 with segment embeddings",
    "diffusion_gemma": "a diffusion model",
    "gemma4_assistant": "a draft model that reads another model's cache",
    "gemma4_unified_assistant": "a draft model that reads another model's cache",
}
OUT_OF_SCOPE = {
    **dict.fromkeys(_ENCODERS.split(), "an encoder's language head"),
    **dict.fromkeys(_PAIRS.split(), "half of an encoder-decoder"),
    **dict.fromkeys(_SOUND.split(), "speaks or plays audio codes"),
    **dict.fromkeys(_UNSERVED.split(), "in no engine's list of models"),
    **_OTHER,
}
