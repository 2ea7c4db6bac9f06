"""Print a catalog entry (conf/model/*.yaml) for a Hugging Face config.json.

    python scripts/import_config.py path/config.json [--name N] [--source URL]

The config is read first, so that what is printed is known to be understood; only keys that say something of shape,
formats or lengths are written out. What was assumed stands above it in comments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from costmodel.parameters import parameters
from search.inputs.models.fields import ConfigError
from search.inputs.models.harmless import is_harmless
from search.inputs.models.load import load_config_json
from search.inputs.models.reader import read_architecture

KEPT = frozenset({"max_position_embeddings", "hidden_act"})
# Modules that stay in bf16 whether a quantiser names them or not.
ALWAYS_KEPT = ("norm", "gate", "router", "lm_head", "embed_tokens", "e_score_correction_bias", "layernorm")
LISTS = ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules")


def essential(config: dict[str, Any]) -> dict[str, Any]:
    """The keys that the reader needs. Nulls and keys without effect are left out."""
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if value is None or (is_harmless(key) and key not in KEPT):
            continue
        kept[key] = essential(value) if isinstance(value, dict) else value
        if key in LISTS:
            kept[key] = [v for v in value if not str(v).endswith(ALWAYS_KEPT)]
    return {key: value for key, value in kept.items() if value != [] or key not in LISTS}


class _Dumper(yaml.SafeDumper):
    """Lists in one flow, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    list, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)
)


def entry(config: dict[str, Any], name: str, source: str, aliases: list[str]) -> str:
    """The YAML text of a catalog entry."""
    body = {
        "name": name,
        "aliases": aliases,
        "source": source,
        "config": None,
        "weights": None,
        "kv_cache": None,
        "published": essential(config),
    }
    text: str = yaml.dump(body, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description="Print a catalog entry for a config.json.")
    parser.add_argument("config", type=Path)
    parser.add_argument("--name", help="the model's name (default: the file's, -- read as /)")
    parser.add_argument("--source", default="", help="where the config was published")
    arguments = parser.parse_args()
    name = arguments.name or arguments.config.stem.replace("--", "/")
    try:
        config = load_config_json(arguments.config)
        model = read_architecture(config, name=name)
        again = read_architecture(essential(config), name=name)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if again.architecture != model.architecture:
        print("error: the shortened config reads differently; please report this config", file=sys.stderr)
        return 2
    print(f"# {parameters(model.architecture):,} parameters in the language model")
    for assumption in model.assumptions:
        print(f"# assumption: {assumption}")
    print(entry(config, name, arguments.source, []), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
