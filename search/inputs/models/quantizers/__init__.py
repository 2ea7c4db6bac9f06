"""Number formats of a checkpoint: what each quantiser's config says, laid over a model's modules and layers."""

from search.inputs.models.quantizers.module_names import spellings, tree_of
from search.inputs.models.quantizers.quantization import Formats, read_quantization

__all__ = ["Formats", "read_quantization", "spellings", "tree_of"]
