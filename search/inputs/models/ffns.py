"""Feed-forward parts of each layer, from a config's fields: which layers have experts, and their shapes."""

from __future__ import annotations

from typing import Any

from costmodel.architecture import Block
from costmodel.blocks import DenseFfn, MoeFfn
from search.inputs.models.families.family import Family
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.harmless import mentions_experts

EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
TOP_K = ("num_experts_per_tok", "experts_per_token", "top_k_experts", "moe_top_k", "moe_topk")


def read_ffns(fields: Fields, family: Family, hidden: int, layers: int) -> list[Block]:
    """One feed-forward part a layer."""
    if family.experts == "none":
        _no_experts(fields, family)
        return [_dense(fields, family)] * layers
    if fields.has("enable_moe_block"):
        return _beside(fields, family, hidden, layers)
    if family.may_be_dense and fields.get(*EXPERTS, default=None)[1] in (0, 1):
        fields.skip(*EXPERTS, *TOP_K, "moe_layers", family.expert_key)
        return [_dense(fields, family)] * layers
    experts = read_experts(fields, family)
    sparse = _sparse_layers(fields, layers)
    if not any(sparse):
        raise ConfigError(f"{fields.key(EXPERTS[0])}: the config has experts, but none of its {layers} layers does")
    if all(sparse):
        if family.dense_key:
            # Present in most configs and used by no layer.
            fields.integer(family.dense_key, default=None)
        fields.flag("mlp_bias", default=False)
        return [experts] * layers
    dense = _dense(fields, family)
    return [experts if s else dense for s in sparse]


def _no_experts(fields: Fields, family: Family) -> None:
    """A config read as dense must not speak of experts, not even of none, but where its family always does."""
    for name in fields.config:
        if mentions_experts(str(name)) and name not in family.expects:
            raise ConfigError(
                f"{fields.key(str(name))} = {shown(fields.config[name])}: "
                "this model_type is read as dense and must not mention experts"
            )


def _dense(fields: Fields, family: Family) -> DenseFfn:
    names = (family.dense_key or "intermediate_size", *(() if family.gated_ffn else ("n_inner",)))
    said = fields.flag("mlp_bias", default=False) and not (family.attention == "mla" and family.experts == "fields")
    bias = said or family.ffn_bias
    return DenseFfn(fields.integer(*names), gated=gated(fields, family), bias=bias)


# What activations say of an FFN in every published family: SwiGLU's have a gate, these have not (nemotron, arcee,
# apertus, nemotron_h). Plain GELU stands in both (Gemma with, StarCoder 2 without).
_GATED = ("silu", "swish", "situ", "swiglu", "swigluoai", "silu_and_mul", "geglu", "gelu_and_mul")
_PLAIN = ("relu2", "relu", "xielu", "squared_relu", "relu_squared")


def gated(fields: Fields, family: Family) -> bool:
    """Whether FFNs have a gate: a family's own code decides, else the activation, else ``use_gated_activation``."""
    if family.gated_ffn is not None:
        return family.gated_ffn
    name, activation = fields.get("hidden_act", "hidden_activation", "activation_function", default=None)
    said = fields.flag("use_gated_activation") if fields.has("use_gated_activation") else None
    if activation in _GATED or activation in _PLAIN:
        if said is not None and said is not (activation in _GATED):
            raise ConfigError(f"{fields.key('use_gated_activation')} = {said} contradicts {name} = {shown(activation)}")
        return activation in _GATED
    if said is None:
        raise ConfigError(
            f"{fields.key(name)} = {shown(activation)} does not say whether FFNs have a gate; "
            "add use_gated_activation: true or false"
        )
    return said


# Flags that say whether a router has a correction vector.
_CORRECTED = ("use_routing_bias", "use_moe_router_bias", "moe_router_enable_expert_bias")


def read_experts(fields: Fields, family: Family) -> MoeFfn:
    """Experts of one layer, shared ones included."""
    count = fields.integer(*EXPERTS, high=65_536)
    top_k = fields.integer(*TOP_K, high=65_536)
    if top_k > count:
        raise ConfigError(f"{fields.key(TOP_K[0])} = {top_k} must not exceed the {count} experts")
    inner = fields.integer(family.expert_key)
    latent = fields.integer("moe_latent_size", "routed_expert_hidden_size", default=None)
    normed = latent if fields.flag("latent_moe_use_norm", default=False) and latent else 0
    # Correction vectors of the routers are buffers in transformers, a few bytes an expert, and not counted.
    flags = [fields.flag(name, default=False) for name in _CORRECTED]
    zero = fields.integer("zero_expert_num", default=0, low=0, high=65_536)
    corrected = family.corrected or any(flags) or fields.get("topk_method", default=None)[1] == "noaux_tc"
    return MoeFfn(
        count,
        top_k,
        inner,
        shared_inner=_without_bias(fields, family, _shared_width(fields, family, inner)),
        gated=gated(fields, family),
        router_bias=family.router_bias,
        expert_bias=family.expert_bias,
        shared_gate=family.shared_gate,
        latent=latent,
        extra_router_parameters=normed + (count + zero if family.counted_correction else 0),
        corrected=corrected,
        zero_experts=zero,
    )


def _without_bias(fields: Fields, family: Family, shared: int) -> int:
    """DeepSeek's and GLM-5's FFNs have no bias, whatever ``mlp_bias`` says; that of other shared experts is refused."""
    if shared and fields.flag("mlp_bias", default=False) and family.attention != "mla":
        raise ConfigError(f"{fields.key('mlp_bias')} = True is not modelled beside shared experts; allowed: False")
    return shared


def _shared_width(fields: Fields, family: Family, inner: int) -> int:
    """Summed width of the shared experts, whichever way the config says it."""
    if family.windows == "chunked":
        return inner  # Llama 4: one shared expert, as wide as a routed one
    number = fields.integer("n_shared_experts", "num_shared_experts", default=None, low=0, high=1024)
    names = (
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
        "share_expert_dim",
    )
    name, _ = fields.get(*names, default=None)
    width = fields.integer(*names, default=None, low=0)
    if family.shared_gate and not width:
        raise ConfigError(f"{fields.key(names[0])} is missing; the model's shape depends on it")
    if number is None:
        return width or 0
    if number == 0 and width:
        raise ConfigError(f"{fields.key('n_shared_experts')} = 0 contradicts {fields.key(name)} = {width}")
    if number and width == 0:
        raise ConfigError(f"{fields.key(name)} = 0 contradicts {fields.key('n_shared_experts')} = {number}")
    if name == "moe_shared_expert_intermediate_size" and width:
        return width  # Nemotron-H: one shared FFN of this width, whatever their number
    return number * (inner if width is None else width)


def _sparse_layers(fields: Fields, layers: int) -> list[bool]:
    """Which layers have experts. The keys are those of DeepSeek, Qwen and Llama 4; together they must all agree."""
    leading = fields.integer("first_k_dense_replace", default=0, low=0)
    step = fields.integer("decoder_sparse_step", "interleave_moe_layer_step", default=1)
    dense = _indices(fields, "mlp_only_layers", layers)
    listed = _indices(fields, "moe_layers", layers)
    frequency = fields.get("moe_layer_freq", default=1)[1]
    if isinstance(frequency, list):
        if len(frequency) != layers or any(isinstance(f, bool) or f not in (0, 1) for f in frequency):
            raise ConfigError(f"{fields.key('moe_layer_freq')} must hold 0 or 1 for each of {layers} layers")
        by_frequency = [bool(f) for f in frequency]
    else:
        every = fields.whole("moe_layer_freq", frequency)
        by_frequency = [i % every == 0 for i in range(layers)]
    if leading > layers:
        raise ConfigError(f"{fields.key('first_k_dense_replace')} = {leading} must not exceed the {layers} layers")
    if listed is not None:
        return [i in listed for i in range(layers)]
    sparse = [
        i >= leading and by_frequency[i] and (i + 1) % step == 0 and i not in (dense or ()) for i in range(layers)
    ]
    types: Any = fields.items("mlp_layer_types", default=None)
    if types is not None and not any(fields.config.get(key) is not None for key in _SAID):
        if len(types) != layers or any(t not in ("dense", "sparse") for t in types):
            raise ConfigError(f"{fields.key('mlp_layer_types')} must hold dense or sparse for each of {layers} layers")
        return [t == "sparse" for t in types]
    if types is not None and types != ["sparse" if s else "dense" for s in sparse]:
        raise ConfigError(f"{fields.key('mlp_layer_types')} contradicts the other keys that say which layers are dense")
    return sparse


# Keys that say the same as ``mlp_layer_types``.
_SAID = (
    "first_k_dense_replace",
    "decoder_sparse_step",
    "interleave_moe_layer_step",
    "mlp_only_layers",
    "moe_layer_freq",
)


def _indices(fields: Fields, name: str, layers: int) -> set[int] | None:
    values = fields.items(name, default=None)
    if values is None:
        return None
    return {fields.whole(name, v, 0, layers - 1) for v in values}


def _beside(fields: Fields, family: Family, hidden: int, layers: int) -> list[Block]:
    """Gemma 4: a dense FFN in every layer and, if switched on, experts beside it, with norms of their own."""
    fields.expect("hidden_size_per_layer_input", 0)
    fields.expect("use_double_wide_mlp", False)
    fields.skip("vocab_size_per_layer_input")
    inner = fields.integer(family.dense_key)
    if not fields.flag("enable_moe_block"):
        for name in fields.config:
            if name != "enable_moe_block" and mentions_experts(str(name)) and fields.config[name] is not None:
                raise ConfigError(
                    f"{fields.key(str(name))} = {shown(fields.config[name])} contradicts enable_moe_block = false"
                )
            if mentions_experts(str(name)):
                fields.skip(str(name))
        return [DenseFfn(inner, gated=gated(fields, family))] * layers
    experts = read_experts(fields, family)
    # The router scales its input (one weight a channel) and each expert's share (one an expert).
    block = MoeFfn(
        experts.experts,
        experts.top_k,
        experts.inner,
        shared_inner=inner,
        extra_router_parameters=hidden + experts.experts,
        shared_apart=True,
    )
    return [block] * layers
