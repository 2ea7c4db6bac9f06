"""Language models some of whose layers attend to images alone (Llama 3.2 Vision)."""

from __future__ import annotations

from costmodel.architecture import Layer
from costmodel.blocks import CrossAttentionLayer, DenseFfn, GroupedQueryAttention
from search.inputs.models.fields import ConfigError, Fields

IMAGE_ROWS = 8  # rows of the embedding beyond the vocabulary (transformers 5.24 modeling_mllama.py MllamaTextModel)


def crossed(fields: Fields, layers: list[Layer], assumptions: list[str]) -> list[Layer]:
    """``layers`` with those that ``cross_attention_layers`` lists made what they are; all of them where none is."""
    listed = fields.items("cross_attention_layers", default=None)
    if listed is None:
        return layers
    chosen = {fields.whole("cross_attention_layers", index, 0, len(layers) - 1) for index in listed}
    own, ffn = layers[0].mixer, layers[0].ffn
    if not isinstance(own, GroupedQueryAttention) or not isinstance(ffn, DenseFfn):
        raise ConfigError(
            f"{fields.key('cross_attention_layers')} is only understood beside grouped queries and dense FFNs"
        )
    across = Layer(CrossAttentionLayer(own.heads, own.kv_heads, own.head_dim, ffn.inner), None, norms=0)
    assumptions.append(
        f"{len(chosen)} layers attend to images alone: resident in memory, but passed by for requests without images, "
        "which are those that are planned"
    )
    return [across if i in chosen else layer for i, layer in enumerate(layers)]


def image_rows(layers: list[Layer]) -> int:
    """Rows of the embedding that stand for images."""
    return IMAGE_ROWS if any(isinstance(layer.mixer, CrossAttentionLayer) for layer in layers) else 0
