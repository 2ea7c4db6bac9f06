"""Keys of a config.json that change neither the shape nor the amount of work of a text model.

They are: training and initialisation, tokens and tokenizers, generation defaults, numerics of norms, rotary
embeddings and softmax, how routers score and normalise, and bookkeeping of transformers.
"""

from __future__ import annotations

import re

_NAMES = """
    architectures auto_map _name_or_path transformers_version torch_dtype dtype use_cache torchscript use_bfloat16
    name_or_path _attn_implementation _attn_implementation_autoset unsloth_fixed unsloth_version for_llm_compressor
    initializer_range initializer_factor attention_dropout hidden_dropout resid_pdrop embd_pdrop attn_pdrop
    resid_dropout embed_dropout embedding_dropout classifier_dropout attention_probs_dropout_prob hidden_dropout_prob
    dropout layerdrop init_std embedding_initializer_range output_dropout
    rms_norm_eps layernorm_epsilon layer_norm_eps layer_norm_epsilon norm_eps norm_epsilon rescale_prenorm_residual
    residual_in_fp32
    hidden_act hidden_activation activation_function mlp_hidden_act mamba_hidden_act swiglu_limit swiglu_limits
    swiglu_limits_shared
    rope_theta swa_rope_theta attn_rotary_emb rope_scaling rope_parameters rope_interleave rotary_dim
    partial_rotary_factor rotary_base
    rope_local_base_freq original_max_position_embeddings initial_context_length max_position_embeddings
    max_sequence_length seq_length rope_ratio use_mrope rotary_emb_base partial_rotary_factors no_rope_layer_interval
    rope_type rotary_pct use_rope yarn_only_types rope_theta_local alibi
    final_logit_softcapping attn_logit_softcapping query_pre_attn_scalar attn_temperature_tuning floor_scale attn_scale
    logits_scaling cache_implementation use_bidirectional_attention
    norm_topk_prob routed_scaling_factor scoring_func topk_method n_group topk_group seq_aux aux_loss_alpha
    router_aux_loss_coef output_router_logits router_jitter_noise moe_router_scaling_factor ep_size norm_expert_weight
    moe_router_activation input_jitter_noise router_z_loss_coef router_dtype need_fp32_gate moe_router_dtype
    pretraining_tp task_specific_params tie_encoder_decoder is_decoder is_encoder_decoder add_cross_attention
    cross_attention_hidden_size finetuning_task problem_type id2label label2id pruned_heads prefix tokenizer_class
    tf_legacy_loss chunk_size_feed_forward return_dict output_attentions output_hidden_states ignore_index
    do_sample early_stopping max_length min_length num_beams num_beam_groups diversity_penalty temperature top_k top_p
    typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids
    num_return_sequences output_scores return_dict_in_generate exponential_decay_length_penalty suppress_tokens
    begin_suppress_tokens remove_invalid_values
    time_step_floor time_step_max time_step_min time_step_limit time_step_rank use_mamba_kernels num_logits_to_keep
    mtp_use_dedicated_embeddings mlp_bias_init use_unified_vision_chunk video_placeholder vision_soft_tokens_per_image
    image_token_index video_token_index mm_tokens_per_image boi_token_index eoi_token_index eoa_token_index
    vision_feature_layer spatial_merge_size image_break_token_id multimodal_projector_bias is_llama_config
"""
HARMLESS = frozenset(_NAMES.split())

# bos_token_id, image_token_id, vision_start_token_id and their kin.
_TOKEN = re.compile(r"^[a-z0-9_]{1,40}_token_ids?$")


def is_harmless(name: str) -> bool:
    return name in HARMLESS or bool(_TOKEN.match(name))


# Keys of a multimodal wrapper that change neither the language model nor its towers: how images, video and sound are
# cut into tokens and which features are taken. Those that change a projector's shape are read with the tower.
_BESIDE = re.compile(
    r"^(image|video|audio|vision|mm|projector|downsample|select|dynamic|force|min_dynamic|max_dynamic|use_thumbnail)_?"
    r".*(seq_length|grid_pinpoints|aspect_ratio|strategy|hidden_act|tokens_per_.*|per_image|token|index|start|end|_eps|mode"
    r"|layer|image_size|thumbnail|patch|dropout|splits)$|^(position_id_per_seconds|seconds_per_chunk|ps_version|template"
    r"|system_message|pad2square|enable_audio_output|adapter_layer_norm_eps|_?commit_hash|image_size|patch_size"
    r"|insert_layer_id|merged_hidden_size|num_reward_heads|projector_hidden_size|drop_vision_last_layer|use_backbone_lora|use_llm_lora|output_attentions|hidden_size"
    r"|vocab_size|projection_hidden_size|projection_layer_norm_eps|num_visual_tokens|projection_dim)$"
)


def harmless_beside(name: str) -> bool:
    """Whether a key of a known wrapper, beside its language model, changes no count."""
    return bool(_BESIDE.match(name))


# Words in a key that make it likely to change a shape: such a key is never passed over.
_SHAPE = re.compile(
    r"expert|moe|head|dim|size|layer|rank|lora|width|inter|kv|attn|attention|mamba|ssm|conv|window|ffn|mlp|vocab|block"
    r"|state|embed|proj|bias|norm|gate|hidden|mtp|predict|index|chunk|cross|audio|vision|tower|tie|experts"
)


def may_change_shape(name: str) -> bool:
    """Whether an unknown key could matter, judged by its words."""
    return bool(_SHAPE.search(name.lower()))


def mentions_experts(name: str) -> bool:
    return "expert" in name.lower() or "moe" in name.lower()
