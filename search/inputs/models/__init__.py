"""Models: from a config.json, or a name in the catalog, to an architecture."""

from search.inputs.models.catalog import find_model, model_names, read_catalog_model, search_models
from search.inputs.models.checkpoint import read_checkpoint
from search.inputs.models.fields import ConfigError
from search.inputs.models.load import load_config_json
from search.inputs.models.reader import ReadModel, read_architecture

__all__ = [
    "ConfigError",
    "ReadModel",
    "find_model",
    "load_config_json",
    "model_names",
    "read_architecture",
    "read_catalog_model",
    "read_checkpoint",
    "search_models",
]
