"""Multimodal wrappers: which of them is counted how, and what their language models are.

Towers are resident in memory; their work is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from search.inputs.models.towers import audio, counted, encoders, whole
from search.inputs.models.towers.counted import of_tower, part, to_width
from search.inputs.models.towers.pieces import Parts


@dataclass(frozen=True)
class Wrapper:
    """``count``: parameters of all that is not the language model. ``text``: the type of the language model where the
    config does not say. ``key``: the nested object that holds it; some configs are flat instead. ``note``: what is
    left out or taken, in one sentence. ``tied_by_text``: the language model's own key says whether its head is
    tied. ``flat_rows``: a flat config's vocabulary is padded to a multiple of so many rows, the model's own is its
    class's. ``whole``: vLLM keeps the towers whole on every rank, as transformers builds them."""

    count: Callable[[Parts], int]
    text: str | None = None
    key: str = "text_config"
    note: str | None = None
    tied_by_text: bool = False
    flat_rows: int = 1
    whole: bool = False


_THINKER = "only the thinker is planned: engines do not load the parts that speak (talker, code2wav, token2wav)"

WRAPPERS: dict[str, Wrapper] = {
    "qwen2_vl": Wrapper(of_tower(encoders.qwen2, "qwen2_vl_vision"), "qwen2_vl_text"),
    "qwen2_5_vl": Wrapper(of_tower(encoders.qwen2_5, "qwen2_5_vl_vision"), "qwen2_5_vl_text"),
    "qwen3_vl": Wrapper(of_tower(encoders.qwen3, "qwen3_vl_vision"), "qwen3_vl_text"),
    "qwen3_vl_moe": Wrapper(of_tower(encoders.qwen3, "qwen3_vl_moe_vision"), "qwen3_vl_moe_text"),
    "qwen3_5": Wrapper(of_tower(encoders.qwen3, "qwen3_5_vision"), "qwen3_5_text"),
    "qwen3_5_moe": Wrapper(of_tower(encoders.qwen3, "qwen3_5_moe_vision"), "qwen3_5_moe_text"),
    "exaone4_5": Wrapper(of_tower(encoders.qwen2_5, "exaone4_5_vision"), "exaone4"),
    "hyperclovax_vision_v2": Wrapper(counted.hyperclovax, "hyperclovax"),
    "video_llama_3": Wrapper(counted.video_llama, "qwen2"),
    "lfm2_vl": Wrapper(counted.lfm2, "lfm2"),
    "qianfan_ocr": Wrapper(lambda p: counted.internvl(p, "qianfan_ocr_vision"), "qwen3"),
    "cosmos3_omni": Wrapper(of_tower(encoders.qwen3, "qwen3_vl_vision"), "qwen3_vl_text"),
    "qwen2_5_omni_thinker": Wrapper(lambda p: counted.omni(p, "2.5"), "qwen2_5_omni_text"),
    "qwen2_5_omni": Wrapper(lambda p: counted.omni(p, "2.5"), "qwen2_5_omni_text", "thinker_config", note=_THINKER),
    "qwen3_omni_moe_thinker": Wrapper(lambda p: counted.omni(p, "3"), "qwen3_omni_moe_text"),
    "qwen3_omni_moe": Wrapper(lambda p: counted.omni(p, "3"), "qwen3_omni_moe_text", "thinker_config", note=_THINKER),
    "qwen3_asr": Wrapper(counted.qwen3_asr, "qwen3"),
    "qwen2_audio": Wrapper(to_width(audio.qwen2_audio, "qwen2_audio_encoder", "audio_config"), "qwen2"),
    "voxtral": Wrapper(to_width(audio.voxtral, "voxtral_encoder", "audio_config"), "llama"),
    "gemma3": Wrapper(counted.gemma3, "gemma3_text"),
    "shieldgemma2": Wrapper(counted.gemma3, "gemma3_text"),
    # AutoModel.from_config (vllm/model_executor/models/gemma4_mm.py, 0.33); SGLang 0.5.23 cuts them (gemma4_vision.py)
    "gemma4": Wrapper(counted.gemma4, "gemma4_text", whole=True),
    "gemma4_unified": Wrapper(counted.without_towers, "gemma4_unified_text"),
    "paligemma": Wrapper(counted.paligemma, "gemma"),
    "mllama": Wrapper(to_width(whole.mllama, "mllama_vision_model"), "mllama_text_model"),
    "llama4": Wrapper(to_width(whole.llama4, "llama4_vision_model"), "llama4_text"),
    "mistral3": Wrapper(counted.mistral3, "mistral"),
    "lighton_ocr": Wrapper(counted.mistral3, "qwen3"),
    "internvl": Wrapper(counted.internvl, "qwen2"),
    "internvl_chat": Wrapper(counted.internvl_chat, None, "llm_config", tied_by_text=True),
    "llava": Wrapper(counted.llava, "llama"),
    "llava_next": Wrapper(lambda p: counted.llava(p, newline=True), "llama"),
    "llava_next_video": Wrapper(lambda p: counted.llava(p, newline=True), "llama"),
    "llava_onevision": Wrapper(lambda p: counted.llava(p, "siglip_vision_model", True), "qwen2"),
    "vipllava": Wrapper(counted.vipllava, "llama"),
    "video_llava": Wrapper(counted.video_llava, "llama"),
    "idefics3": Wrapper(lambda p: counted.shuffled(p, "idefics3_vision"), "llama"),
    "smolvlm": Wrapper(lambda p: counted.shuffled(p, "smolvlm_vision"), "llama"),
    "aya_vision": Wrapper(lambda p: counted.cohere(p, norm=True), "cohere2"),
    "cohere2_vision": Wrapper(lambda p: counted.cohere(p, norm=False), "cohere2"),
    "deepseek_vl": Wrapper(counted.deepseek_vl, "llama"),
    "glm4v": Wrapper(of_tower(whole.glm4v, "glm4v_vision"), "glm4v_text"),
    "glm46v": Wrapper(of_tower(whole.glm4v, "glm4v_vision"), "glm4v_text"),
    "glmga": Wrapper(of_tower(whole.glm4v, "glm4v_vision"), "glm4v_text"),
    "glm4v_moe": Wrapper(of_tower(whole.glm4v, "glm4v_moe_vision"), "glm4v_moe_text"),
    "glm_ocr": Wrapper(of_tower(whole.glm_ocr, "glm_ocr_vision"), "glm_ocr_text"),
    "kimi_k25": Wrapper(counted.kimi, "deepseek_v3"),
    "kimi_vl": Wrapper(counted.kimi, "deepseek_v3", tied_by_text=True),
    "step3p7": Wrapper(counted.step, "step3p5", flat_rows=128),
    "minimax_m3_vl": Wrapper(
        lambda p: whole.minimax_m3(part(p, "vision_config", "minimax_m3_vl_vision"), p.outer, p.hidden),
        "minimax_m3_vl_text",
    ),
    "ovis2": Wrapper(lambda p: whole.ovis2(part(p, "vision_config", "ovis2_vision"), p.outer), "qwen2"),
    "phi4_multimodal": Wrapper(counted.phi4, "phi3"),
    **{
        kind: Wrapper(
            lambda p, kind=kind: whole.minicpm(part(p, "vision_config", f"{kind}_vision"), p.outer, p.hidden),  # type: ignore[misc]
            "qwen3_5_text",
        )
        for kind in ("minicpmv4_6", "minicpmv4_7", "minicpm_ocr")
    },
}

# Types of language models that stand only inside a wrapper, and the text family whose layers they have (transformers
# 5.24: their modeling files say so or inherit from it).
INNER = {
    "qwen2_vl_text": "qwen2",
    "qwen2_5_vl_text": "qwen2",
    "qwen2_5_omni_text": "qwen2",
    "qwen3_vl_text": "qwen3",
    "qwen3_vl_moe_text": "qwen3_moe",
    "qwen3_omni_moe_text": "qwen3_moe",
    "glm4v_text": "glm4",
    "glm_ocr_text": "glm4",
    "glm4v_moe_text": "glm4_moe",
    "step3p5": "step3p7",
    "mllama_text_model": "llama",
    "gemma4_unified_text": "gemma4_text",
}
# Classes without a tied head, whatever the config says (their ``_tied_weights_keys`` are empty in transformers 5.24).
UNTIED = frozenset({"nemotron_h", "kimi_linear", "bailing_hybrid", "qwen2_audio", "voxtral", "mllama"})
# What such a type's class fixes where the family's would say otherwise.
INNER_TRAITS: dict[str, dict[str, Any]] = {
    "glm_ocr_text": {"attention_bias": False},
    "gemma4_unified_text": {"hidden_size_per_layer_input": 0},
}
