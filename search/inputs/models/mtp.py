"""Multi-token-prediction modules: parameters that are loaded only for speculative decoding, and counted apart."""

from __future__ import annotations

from costmodel.architecture import Architecture, Layer, LayerRun
from costmodel.parameters import parameters
from search.inputs.models.fields import Fields


def mtp_parameters(fields: Fields, hidden: int, layers: list[Layer], assumptions: list[str]) -> int:
    """Each module is one more layer like the last one, a projection of hidden state and embedding to the width
    (2 hidden by hidden), and three norms; embedding and head are the model's own (DeepSeek-V3, arXiv:2412.19437,
    section 2.2; vllm/model_executor/models/deepseek_mtp.py and qwen3_next_mtp.py, vLLM 0.33)."""
    count = fields.integer("num_nextn_predict_layers", "mtp_num_hidden_layers", default=0, low=0, high=64)
    modules = fields.integer("num_mtp_modules", default=0, low=0, high=64)
    deep = fields.integer("mtp_transformer_layers", default=1, high=64)
    if not fields.flag("use_mtp", default=True):
        modules = 0
    if not count and not modules:
        fields.skip("mtp_hybrid_override_pattern", "mtp_layers_block_type")
        return 0
    name = "num_mtp_modules" if modules else "num_nextn_predict_layers"
    assumptions.append(
        f"{name}: each multi-token-prediction module is taken as a layer like the last, a projection "
        "of twice the width, and three norms"
    )
    bare = Architecture("", hidden, 1, (LayerRun(layers[-1], 1),), True)
    layer = parameters(bare) - 2 * hidden  # less the final norm and an embedding of one row
    return (count + modules * deep) * layer + (count + modules) * (2 * hidden**2 + 3 * hidden)
