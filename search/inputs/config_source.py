"""Configuration files that are not this program's own, read for Hydra as data and nothing else.

Hydra takes a folder of the user's (``--config-dir``, ``hydra.searchpath``) for code: ``hydra.callbacks``, launchers and
logging factories of any file in it are imported and called. A folder may come from somebody else, so its files may not
say such things, nor look into the environment; and what is wrong with one is a line that names it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult

from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.bounded_file import read_bounded
from search.inputs.catalog_yaml import as_config, parsed
from search.inputs.plain_yaml import read_yaml, texts

MAX_BYTES = 1_000_000  # the longest file of the catalog has 15,000
HYDRAS = ("mode", "run", "sweep", "sweeper", "verbose")  # what a file may say to Hydra
CALLS = ("_target_", "()")  # keys that name something to call, of Hydra and of logging
RESOLVER = re.compile(r"\$\{[^}]*:")  # ${oc.env:HOME} and its like; ${workload.isl} is another value of the same file


_as_hydra_reads: Callable[[FileConfigSource, str], ConfigResult] = FileConfigSource.load_config


def load_config(self: FileConfigSource, config_path: str) -> ConfigResult:
    """``file://``: files of ``conf_dir`` as Hydra reads them, others checked first."""
    name = self._normalize_file_name(config_path)
    path = Path(os.path.realpath(os.path.join(self.path, name)))
    if path.is_relative_to(conf_dir().resolve()) and path.is_file():
        text = path.read_text(encoding="utf-8")
        return ConfigResult(
            config=as_config(parsed(text)),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=self._get_header_dict(text[:512]),
        )
    if not path.exists():
        raise ConfigLoadError(f"Config not found : {path}")
    check_file(path, name)
    return _as_hydra_reads(self, config_path)


def register() -> None:
    """Hydra reads every file through ``load_config`` from now on. The class stays Hydra's own: launchers send it to
    processes that know no other."""
    Plugins.instance()  # registers Hydra's own, of a module that it loads a second time
    SourcesRegistry.instance().types["file"].load_config = load_config  # type: ignore[assignment, method-assign]


def check_file(path: Path, name: str) -> None:
    """``InputError`` unless ``path``, the configuration ``name`` of a folder, is YAML that is data alone."""
    raw = read_bounded(path, MAX_BYTES, "a configuration file")
    found = read_yaml(str(path), raw, "a configuration")
    if found is not None and not isinstance(found, dict):
        raise InputError(f"{path}: holds a {type(found).__name__}; give keys with values")
    content: dict[str, Any] = found or {}
    package = re.search(rb"^#\s*@package\s+(\S+)", raw[:512], re.MULTILINE)
    placed = package[1].decode("utf-8", "replace") if package else ""
    if name.replace(os.sep, "/").lstrip("/").startswith("hydra/") or _hydras(placed):
        raise InputError(f"{path}: configures Hydra itself, which a file of one's own may not")
    defaults = content.get("defaults", [])
    if not isinstance(defaults, list):
        raise InputError(f"{path}: defaults: {defaults!r} is not allowed; give a list of options")
    for text in texts(defaults):
        _, _, target = text.partition("@")
        if _hydras(target) or "hydra/" in text:
            raise InputError(f"{path}: defaults: {text!r} configures Hydra itself, which a file of one's own may not")
    for key in content.get("hydra") or {}:
        if key not in HYDRAS:
            raise InputError(f"{path}: hydra.{key} is not allowed; allowed: {', '.join(HYDRAS)}")
    for text in texts(content):
        if text in CALLS:
            raise InputError(f"{path}: key {text!r} is not allowed: it would run code")
        if RESOLVER.search(text) and not text.startswith(("${now:", "${run_name:")):
            raise InputError(
                f"{path}: {text!r} is not allowed; a file may refer to its own values, as ${{workload.isl}}"
            )


def _hydras(package: str) -> bool:
    return package.removeprefix("_global_.").partition(".")[0] == "hydra"


NO_PLACE = re.compile(r"invalid literal for int\(\) with base 10: '(.+)'")


def parser_line(error: Exception, overrides: Sequence[str] = ()) -> str:
    """An error of Hydra's parsers, or of YAML's, which have no common base, as a line. It names the one of the
    ``overrides`` that looks for a word in a list."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, RecursionError):
        return "configuration: nested too deep"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem_mark.name}, line {error.problem_mark.line + 1}: not YAML: {error.problem}"
    place = NO_PLACE.search(str(error))
    for key in (word.partition("=")[0].lstrip("+~") for word in overrides if place):
        if place and place[1] in key.split("."):
            return f"{key}: {place[1]!r} is no place in a list; give a whole number"
    return f"configuration: {error}"
