"""Multi-token-prediction modules: parameters that are loaded only for speculative decoding, and counted apart."""

from __future__ import annotations

from costmodel.architecture import Architecture, Layer, LayerRun
from costmodel.parameters import parameters
from search.inputs.models.fields import Fields


def mtp_modules(fields: Fields) -> int:
    """How many modules the checkpoint has, each of which drafts one token."""
    return sum(_modules(fields))


def _modules(fields: Fields) -> tuple[int, int]:
    """Modules of one layer, and those whose depth the config says."""
    shallow = fields.integer("num_nextn_predict_layers", "mtp_num_hidden_layers", default=0, low=0, high=64)
    modules = fields.integer("num_mtp_modules", default=0, low=0, high=64)
    return shallow, modules * fields.flag("use_mtp", default=True)


def mtp_parameters(
    fields: Fields, hidden: int, layers: list[Layer], assumptions: list[str], own: list[Layer] | None = None
) -> int:
    """Each module is one more layer like the last one (or the layers ``own``, where a family has a pattern for it), a
    projection of hidden state and embedding to the width (2 hidden by hidden), and three norms; embedding and head are
    the model's own (DeepSeek-V3, arXiv:2412.19437, section 2.2; vllm/model_executor/models/deepseek_mtp.py and
    qwen3_next_mtp.py, vLLM 0.33)."""
    fields.skip("mtp_hybrid_override_pattern", "mtp_layers_block_type")
    count, modules = _modules(fields)
    deep = fields.integer("mtp_transformer_layers", default=1, high=64)
    if not count and not modules:
        return 0
    name = "num_mtp_modules" if modules else "num_nextn_predict_layers"
    what = "a layer like the last" if own is None else f"its own {len(own)} layers"
    assumptions.append(
        f"{name}: each multi-token-prediction module is taken as {what}, a projection of twice the width, and three "
        "norms"
    )
    module = layers[-1:] if own is None else own
    bare = Architecture("", hidden, 1, tuple(LayerRun(layer, 1) for layer in module), True)
    layer = parameters(bare) - 2 * hidden  # less the final norm and an embedding of one row
    return (count + modules * deep) * layer + (count + modules) * (2 * hidden**2 + 3 * hidden)
