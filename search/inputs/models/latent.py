"""Latent attention of each layer, from a config's fields."""

from __future__ import annotations

from costmodel.blocks import Indexer, LatentAttention
from search.inputs.models.families.family import Family
from search.inputs.models.fields import ConfigError, Fields, shown


def read_latent(fields: Fields, family: Family, hidden: int, layers: int) -> list[LatentAttention]:
    """One a layer; they differ only in whether an indexer is their own or an earlier layer's."""
    heads = fields.integer("num_attention_heads")
    nope, rope = fields.integer("qk_nope_head_dim"), fields.integer("qk_rope_head_dim")
    if fields.integer("num_key_value_heads", default=heads) != heads:
        raise ConfigError(f"{fields.key('num_key_value_heads')} must equal num_attention_heads = {heads} under MLA")
    if fields.integer("qk_head_dim", default=nope + rope) != nope + rope:
        raise ConfigError(f"{fields.key('qk_head_dim')} must be qk_nope_head_dim + qk_rope_head_dim = {nope + rope}")
    fields.integer("head_dim", default=None)  # the rotary part, by another name
    fields.skip("indexer_rope_interleave")
    q_rank = fields.integer("q_lora_rank", default=None)
    gate = fields.flag("mla_use_output_gate", default=False)

    def attention(indexer: Indexer | None) -> LatentAttention:
        return LatentAttention(
            heads=heads,
            q_rank=q_rank,
            kv_rank=fields.integer("kv_lora_rank"),
            nope_dim=nope,
            rope_dim=rope,
            v_dim=fields.integer("v_head_dim"),
            bias=fields.flag("attention_bias", default=False),
            indexer=indexer,
            output_gate="head" if family.head_gate else "full" if gate else "none",
        )

    if not any(fields.has(key) for key in ("index_topk", "index_n_heads", "index_head_dim")):
        return [attention(None)] * layers
    if q_rank is None:
        raise ConfigError(f"{fields.key('q_lora_rank')} is missing; the indexer's queries come from it")
    sizes = fields.integer("index_n_heads"), fields.integer("index_head_dim"), fields.integer("index_topk")
    own, shared = attention(Indexer(*sizes)), attention(Indexer(*sizes, shared=True))
    return [own if kind == "full" else shared for kind in _indexers(fields, layers)]


def _indexers(fields: Fields, layers: int) -> list[str]:
    """``full`` where a layer has an indexer, ``shared`` where it takes the choice of the last one that has: by a list,
    by letters, or one in so many after the first few (transformers 5.24 configuration_glm_moe_dsa.py)."""
    fields.skip("index_share_for_mtp_iteration")
    every = fields.integer("index_topk_freq", default=1, low=0)
    first = fields.integer("index_skip_topk_offset", default=2, low=0)
    pattern = fields.get("index_topk_pattern", default=None)[1]
    given = fields.items("indexer_types", default=None)
    if given is None and isinstance(pattern, str):
        given = [{"F": "full", "S": "shared"}.get(letter, letter) for letter in pattern]
    elif given is None:
        given = pattern
    if given is None:
        return ["full" if max(i - first + 1, 0) % max(every, 1) == 0 else "shared" for i in range(layers)]
    if not isinstance(given, list) or len(given) < layers or any(t not in ("full", "shared") for t in given):
        raise ConfigError(
            f"{fields.key('indexer_types')} = {shown(given)} must hold full or shared for each of {layers} layers"
        )
    if given[0] != "full":
        raise ConfigError(f"{fields.key('indexer_types')}: the first layer has no earlier choice to share")
    return given[:layers]
