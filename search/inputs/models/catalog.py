"""The catalog of models in ``conf/model``: one YAML file a model, found by its name or any of its aliases."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from search.base.paths import conf_dir
from search.inputs.catalog_yaml import data
from search.inputs.models.checkpoint import read_checkpoint
from search.inputs.models.fields import ConfigError, shown
from search.inputs.models.reader import ReadModel, read_architecture

KEYS = ("name", "aliases", "source", "config", "weights", "kv_cache", "published")


def plain(name: str) -> str:
    """A name without case and punctuation: ``Qwen/Qwen3-30B-A3B`` and ``qwen qwen3 30b a3b`` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _folder() -> Path:
    return conf_dir() / "model"


def model_names() -> list[str]:
    """Options of the ``model`` group."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def find_model(name: str) -> str:
    """The option (file name without suffix) that ``name`` means: itself, its ``name`` or an alias, without regard to
    case, punctuation or an organisation before a slash. ``ConfigError`` names near ones if there is none."""
    known = _index()
    bare = re.sub(r"\s*\([\d.]+[BT]\)$", "", name)  # tables write "DeepSeek-V3.1 (671B)"
    for spelling in (name, name.rsplit("/", 1)[-1], bare):
        if plain(spelling) in known:
            return known[plain(spelling)]
    near = [known[form] for form in get_close_matches(plain(name.rsplit("/", 1)[-1]), known, n=6, cutoff=0.4)]
    listed = ", ".join(dict.fromkeys(near)) or "none"
    raise ConfigError(f"model = {shown(name)} is not in the catalog; near: {listed}")


def search_models(words: str) -> list[str]:
    """Options whose file name, name or one alias has all of ``words`` (by spaces) in it, without regard to case and
    punctuation. ``ConfigError`` names near ones if there is none."""
    wanted = [form for form in map(plain, words.split()) if form]
    if not wanted:
        raise ConfigError(f"find = {shown(words)} must hold letters or digits")
    found = []
    for option in model_names():
        entry = load_entry(option)
        forms = [plain(spelling) for spelling in (option, entry["name"], *entry["aliases"])]
        if any(all(word in form for word in wanted) for form in forms):
            found.append(option)
    if found:
        return found
    near = [_index()[form] for form in get_close_matches("".join(wanted), _index(), n=6, cutoff=0.4)]
    listed = ", ".join(dict.fromkeys(near)) or "none"
    raise ConfigError(f"find = {shown(words)}: no model in the catalog has it in its name; near: {listed}")


@cache
def _index() -> dict[str, str]:
    index: dict[str, str] = {}
    for option in model_names():
        entry = load_entry(option)
        spellings = [option, entry["name"], *entry["aliases"]]
        for spelling in spellings:
            for form in {plain(spelling), plain(spelling.rsplit("/", 1)[-1])}:
                if index.setdefault(form, option) != option:
                    raise ConfigError(f"model catalog: {spelling!r} is claimed by {index[form]} and {option}")
    return index


def load_entry(option: str) -> dict[str, Any]:
    """One file as plain data, with the single ``defaults`` level of Hydra resolved."""
    path = _folder() / f"{option}.yaml"
    if not path.is_file():
        raise ConfigError(f"model = {option!r}: there is no {path.name} in the catalog")
    entry: Any = data(path)
    defaults = [default for default in entry.pop("defaults", []) if default != "_self_"]
    merged: Any = OmegaConf.to_container(OmegaConf.merge(*(load_entry(d) for d in defaults), entry))
    if sorted(merged) != sorted(KEYS):
        raise ConfigError(f"model = {option!r}: {path.name} must have exactly the keys {', '.join(KEYS)}")
    return dict(merged)


def read_catalog_model(name: str) -> ReadModel:
    """The architecture of a catalog model, by option, name or alias."""
    entry = load_entry(find_model(name))
    formats = {"name": entry["name"], "weights": entry["weights"], "kv_cache": entry["kv_cache"]}
    if entry["config"]:
        return read_checkpoint(entry["config"], **formats)
    return read_architecture(entry["published"], **formats)
