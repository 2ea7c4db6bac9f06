"""Configs in today's words: families name and fix things in their own way. Each function takes a config whose keys are
renamed already (``Family.renames``) and gives it back in the words that the reader knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.harmless import is_harmless
from search.inputs.models.recurrent_words import RECURRENT_WORDS

Config = dict[str, Any]
Translator = Callable[[Config, Fields], Config]


def _step(config: Config, fields: Fields) -> Config:
    """Which layers have experts, where the config does not say: all but the first three
    (configuration_step3p7.py Step3p7TextConfig.__post_init__, transformers 5.24)."""
    said = fields.has("mlp_layer_types") or fields.has("moe_layers") or fields.has("first_k_dense_replace")
    return config if said else config | {"first_k_dense_replace": 3}


def modern(kind: str, config: Mapping[str, Any], fields: Fields) -> Mapping[str, Any]:
    """``config`` with the keys that the reader knows; other families pass unchanged."""
    translate = TRANSLATORS.get(kind)
    return config if translate is None else translate(dict(config), fields)


def _falcon(config: Config, fields: Fields) -> Config:
    """Falcon 40B and 180B: grouped queries, parallel attention with two LayerNorms. Falcon 7B: one KV head and one
    norm; falcon-rw: as many KV heads as heads, attention and FFN in turn, biases (modeling_falcon.py)."""
    new = fields.flag("new_decoder_architecture", default=False)
    heads = fields.integer("num_attention_heads", "n_head")
    one, parallel = fields.flag("multi_query", default=True), fields.flag("parallel_attn", default=True)
    norms = fields.integer("num_ln_in_parallel_attn", default=2 if new else 1, high=2)
    if new and norms != 2:
        raise ConfigError(f"{fields.key('num_ln_in_parallel_attn')} = {norms} is not modelled; allowed: 2")
    bias = fields.flag("bias", default=False)
    hidden = fields.integer("hidden_size")
    for name in ("new_decoder_architecture", "multi_query", "parallel_attn", "num_ln_in_parallel_attn", "bias"):
        config.pop(name, None)
    config["intermediate_size"] = fields.integer("ffn_hidden_size", default=4 * hidden)
    config.pop("ffn_hidden_size", None)
    if not new:
        config.pop("num_kv_heads", None)
        config.pop("n_head_kv", None)
        config["num_key_value_heads"] = 1 if one else heads
    if bias:
        config |= {"attention_bias": True, "mlp_bias": True}
    config["norms_per_layer"] = 2 if new or not parallel else norms
    return config


def _bloom(config: Config, fields: Fields) -> Config:
    """An FFN of four widths, without a key for it."""
    inner = 4 * fields.integer("hidden_size")
    return config | {"intermediate_size": fields.integer("n_inner", "intermediate_size", default=inner)}


def _one_bias(config: Config, fields: Fields) -> Config:
    """``use_bias`` is of attention and FFNs alike (StarCoder 2, ERNIE)."""
    bias = fields.flag("use_bias", default="use_bias" not in config and config.get("model_type") == "starcoder2")
    config.pop("use_bias", None)
    return config | {"attention_bias": bias, "mlp_bias": bias}


def _gpt2(config: Config, fields: Fields) -> Config:
    """An FFN of four widths where no width is given; StarCoder 1 has one KV head."""
    fields.expect("add_cross_attention", False)
    config.pop("add_cross_attention", None)
    one = fields.flag("multi_query", default=config.get("model_type") == "gpt_bigcode")
    config.pop("multi_query", None)
    if one:
        config["num_key_value_heads"] = 1
    return _bloom(config, fields)


def _gpt_neo(config: Config, fields: Fields) -> Config:
    """Layers in turn, a list of kinds and how often it is repeated."""
    layers = fields.integer("num_hidden_layers", high=2000)
    given = fields.items("attention_layers", default=None)
    if given is None:
        given = []
        for item in fields.items("attention_types", default=[[["global", "local"], layers // 2]]):
            if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], list):
                raise ConfigError(f"{fields.key('attention_types')} = {shown(item)} must be a list and a number")
            given += item[0] * fields.whole("attention_types", item[1], high=2000)
    if len(given) != layers or any(kind not in ("global", "local") for kind in given):
        raise ConfigError(f"{fields.key('attention_layers')} must hold global or local for each of {layers} layers")
    config.pop("attention_layers", None)
    config["layer_types"] = ["full_attention" if kind == "global" else "sliding_attention" for kind in given]
    return _bloom(config, fields)


def _gemma4(config: Config, fields: Fields) -> Config:
    """Full-attention layers' own head dimension and KV heads, which transformers 5 saves layer by layer."""
    listed = fields.get("per_layer_config", default=None)[1]
    config.pop("per_layer_config", None)
    if not listed:
        return config
    types = fields.items("layer_types")
    full = {i for i, kind in enumerate(types) if kind == "full_attention"}
    own = next(iter(listed.values())) if isinstance(listed, dict) else None
    same = isinstance(listed, dict) and all(each == own for each in listed.values())
    if not same or not isinstance(own, dict) or {int(i) for i in listed if str(i).isdigit()} != full:
        raise ConfigError(f"{fields.key('per_layer_config')} = {shown(listed)} must be the same for all full layers")
    names = {"head_dim": "global_head_dim", "num_key_value_heads": "num_global_key_value_heads"}
    if set(own) - set(names):
        raise ConfigError(f"{fields.key('per_layer_config')} = {shown(own)} may hold only {', '.join(names)}")
    return config | {names[name]: value for name, value in own.items()}


def _opt(config: Config, fields: Fields) -> Config:
    """OPT-350M alone projects its embeddings, which is not modelled."""
    fields.expect("word_embed_proj_dim", fields.integer("hidden_size"))
    config.pop("word_embed_proj_dim", None)
    return config


def _laguna(config: Config, fields: Fields) -> Config:
    """Heads layer by layer, which must all be equal."""
    heads = fields.integer("num_attention_heads")
    listed = fields.items("num_attention_heads_per_layer", default=None) or []
    if any(h != heads for h in listed):
        raise ConfigError(
            f"{fields.key('num_attention_heads_per_layer')}: layers with different numbers of heads are not modelled"
        )
    config.pop("num_attention_heads_per_layer", None)
    return config


def _ernie_moe(config: Config, fields: Fields) -> Config:
    """Experts from a first to a last layer, every so many; the head has the bias too."""
    layers = fields.integer("num_hidden_layers", high=2000)
    start = fields.integer("moe_layer_start_index", low=0, default=1)
    end = fields.get("moe_layer_end_index", default=-1)[1]
    end = layers - 1 if end == -1 and not isinstance(end, bool) else fields.whole("moe_layer_end_index", end, 0)
    every = fields.integer("moe_layer_interval", default=1)
    for name in ("moe_layer_start_index", "moe_layer_end_index", "moe_layer_interval"):
        config.pop(name, None)
    config["moe_layers"] = [i for i in range(layers) if (i + 1) % every == 0 and start <= i <= end]
    config = _one_bias(config, fields)
    return config | {"lm_head_bias": config["attention_bias"]}


def _dbrx(config: Config, fields: Fields) -> Config:
    """Attention and experts in objects of their own (configuration_dbrx.py, whose defaults these are)."""
    attention, ffn = fields.object("attn_config"), fields.object("ffn_config")
    if attention is None or ffn is None:
        raise ConfigError(f"{fields.key('attn_config' if attention is None else 'ffn_config')} is missing")
    config = {k: v for k, v in config.items() if k not in ("attn_config", "ffn_config")}
    config["num_key_value_heads"] = attention.integer("kv_n_heads", default=1)
    config["intermediate_size"] = ffn.integer("ffn_hidden_size", default=3584)
    config["moe_num_experts"] = ffn.integer("moe_num_experts", default=4)
    config["moe_top_k"] = ffn.integer("moe_top_k", default=1)
    attention.skip("attn_pdrop", "clip_qkv", "rope_theta", "model_type")
    act = ffn.object("ffn_act_fn")
    if act is not None:
        act.expect("name", "silu")
    ffn.skip("model_type", "moe_jitter_eps", "moe_loss_weight", "moe_normalize_expert_weights")
    ffn.skip("uniform_expert_assignment", "hidden_size")
    for part in (attention, ffn):
        unread = [name for name in part.unread() if not is_harmless(name)]
        unknown = [name for name in unread if part.config[name] is not None and name != "kwargs"]
        if unknown:
            raise ConfigError(f"{part.key(unknown[0])} is not understood and may change the model's shape")
    return config


def _sliding_pattern(config: Config, fields: Fields) -> Config:
    """EXAONE 4: no window, no pattern; a pattern may be a number or letters, whose last layer sees everything."""
    pattern = config.pop("sliding_window_pattern", 4)
    if config.get("layer_types") is not None:
        return config
    layers = fields.integer("num_hidden_layers", high=2000)
    if config.get("sliding_window") is None:
        types = ["full_attention"] * layers
    elif isinstance(pattern, str):
        if not pattern or set(pattern) - {"L", "G"}:
            raise ConfigError(f"{fields.key('sliding_window_pattern')} = {shown(pattern)} must hold only L and G")
        local = [pattern[i % len(pattern)] == "L" and i < layers - 1 for i in range(layers)]
        types = ["sliding_attention" if slides else "full_attention" for slides in local]
    else:
        every = fields.whole("sliding_window_pattern", 4 if pattern is None else pattern)
        types = ["sliding_attention" if (i + 1) % every else "full_attention" for i in range(layers)]
    return config | {"layer_types": types}


def _hunyuan_moe(config: Config, fields: Fields) -> Config:
    """Figures given layer by layer, which must all be equal."""
    layers = fields.integer("num_hidden_layers", high=2000)
    for name in ("moe_topk", "moe_intermediate_size", "n_shared_experts", "num_experts"):
        value = config.get(name)
        if isinstance(value, list):
            if len(value) < layers or any(v != value[0] or isinstance(v, bool) for v in value[:layers]):
                raise ConfigError(f"{fields.key(name)} = {shown(value)} must be the same in each of {layers} layers")
            config[name] = value[0]
    if config.get("moe_intermediate_size") is None:
        config["moe_intermediate_size"] = config.get("intermediate_size")
    return config


def _mimo_v2(config: Config, fields: Fields) -> Config:
    """MiMo-V2-Flash as published: a pattern of 0 (sees everything) and 1 (slides), heads of sliding layers apart."""
    layers = fields.integer("num_hidden_layers", high=2000)
    pattern = config.pop("hybrid_layer_pattern", None)
    if pattern is not None and config.get("layer_types") is None:
        if not isinstance(pattern, list) or len(pattern) != layers or any(p not in (0, 1) for p in pattern):
            raise ConfigError(f"{fields.key('hybrid_layer_pattern')} must hold 0 or 1 for each of {layers} layers")
        config["layer_types"] = ["sliding_attention" if p else "full_attention" for p in pattern]
    if config.get("layer_types") is None:
        full = [i == 0 or (i + 1) % 6 == 0 for i in range(layers)]
        config["layer_types"] = ["full_attention" if f else "sliding_attention" for f in full]
    if config.get("sliding_window_size") is not None:
        config["sliding_window"] = fields.integer("sliding_window_size")
    config.pop("sliding_window_size", None)
    config.pop("attention_chunk_size", None)  # the window again
    if config.get("moe_layer_freq") is None and config.get("mlp_layer_types") is None:
        config["first_k_dense_replace"] = 1
    return config


def _minimax_m3(config: Config, fields: Fields) -> Config:
    """Block-sparse attention's figures from an object of their own (configuration_minimax_m3_vl.py)."""
    layers = fields.integer("num_hidden_layers", high=2000)
    sparse = fields.object("sparse_attention_config")
    config.pop("sparse_attention_config", None)
    if sparse is not None:
        sparse.expect("sparse_score_type", "max")
        sparse.expect("sparse_init_block", 0)
        sparse.expect("use_sparse_attention", True)
        names = {"index_n_heads": "sparse_num_index_heads", "index_head_dim": "sparse_index_dim"}
        names |= {"index_block_size": "sparse_block_size", "index_topk_blocks": "sparse_topk_blocks"}
        config |= {ours: sparse.integer(theirs) for ours, theirs in names.items() if sparse.has(theirs)}
        frequency = sparse.items("sparse_attention_freq", default=None)
        if frequency is not None and config.get("layer_types") is None:
            if len(frequency) != layers or any(f not in (0, 1) for f in frequency):
                raise ConfigError(f"{sparse.key('sparse_attention_freq')} must hold 0 or 1 for each of {layers} layers")
            config["layer_types"] = ["minimax_m3_sparse" if f else "full_attention" for f in frequency]
        without = sparse.items("sparse_disable_index_value", default=None)
        if (
            without is not None
            and frequency is not None
            and any(f and not w for f, w in zip(frequency, without, strict=False))
        ):
            raise ConfigError(
                f"{sparse.key('sparse_disable_index_value')}: an index branch with values is not modelled"
            )
    fields.expect("qk_norm_type", "per_head")
    config.pop("qk_norm_type", None)
    return config | {"n_shared_experts": fields.integer("n_shared_experts", default=1, low=0)}


def _mpt(config: Config, fields: Fields) -> Config:
    """An FFN of so many widths; no biases anywhere (transformers 5.24 modeling_mpt.py). Its own code's norms of queries
    and keys and fewer heads of keys are not in that class."""
    attention = fields.object("attn_config")
    if attention is not None:
        attention.expect("qk_ln", False)
        attention.expect("kv_n_heads", fields.integer("num_attention_heads"))
        attention.expect("attn_type", "multihead_attention")
    inner = fields.integer("expansion_ratio", default=4, high=64) * fields.integer("hidden_size")
    return {k: v for k, v in config.items() if k not in ("attn_config", "expansion_ratio")} | {
        "intermediate_size": inner
    }


TRANSLATORS: dict[str, Translator] = {
    "mpt": _mpt,
    "step3p7": _step,
    "bloom": _bloom,
    "dbrx": _dbrx,
    "ernie4_5": _one_bias,
    "ernie4_5_moe": _ernie_moe,
    "exaone4": _sliding_pattern,
    "exaone_moe": _sliding_pattern,
    "falcon": _falcon,
    "codegen": _gpt2,
    "gemma4": _gemma4,
    "gemma4_text": _gemma4,
    "gemma4_unified": _gemma4,
    "gemma4_unified_text": _gemma4,
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
    "gptj": _gpt2,
    "gpt_bigcode": _gpt2,
    "hunyuan_v1_moe": _hunyuan_moe,
    "laguna": _laguna,
    "mimo_v2": _mimo_v2,
    "mimo_v2_flash": _mimo_v2,
    "minimax_m3_vl": _minimax_m3,
    "minimax_m3_vl_text": _minimax_m3,
    "opt": _opt,
    "starcoder2": _one_bias,
    **RECURRENT_WORDS,
}
