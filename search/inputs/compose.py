"""The configuration that Hydra would compose, for commands that are no Hydra programs."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs import config_source, own_cluster
from search.inputs.aliases import by_file_name
from search.inputs.costs import dated
from search.inputs.own_model import own_model
from search.inputs.schema import Config
from search.inputs.typed import explain, typed

# What Hydra's and YAML's parsers raise besides their own exceptions, for a value of a kind that they did not expect.
PARSERS = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError, YAMLError)
LISTED = {"model": "models", "hardware": "hardware", "cluster": "clusters"}  # groups, and the commands that list them
MANY = 30  # options: more are no line to read


def composed(overrides: Sequence[str], folder: Path | None = None) -> Config:
    """``overrides`` as after ``python -m search``; ``folder`` as its ``--config-dir``. ``InputError`` in one line."""
    return composed_beside(None, overrides, folder)[0]


def composed_beside(key: str | None, overrides: Sequence[str], folder: Path | None = None) -> tuple[Config, Any]:
    """The same, and as plain data what stands under a ``key`` that is no search's: ``None`` where nothing does."""
    own_cluster.register(folder)
    config_source.register()
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"--config-dir: {folder} is not a folder")
        overrides = [*overrides, f"hydra.searchpath=['file://{folder.resolve()}']"]
    try:
        overrides = by_file_name(overrides)
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            found = compose("config", list(overrides), return_hydra_config=True)
            option = found.hydra.runtime.choices.get("model")
            with open_dict(found):
                del found["hydra"]
                beside = found.pop(key, None) if key is not None else None
            if isinstance(beside, DictConfig | ListConfig):
                beside = OmegaConf.to_container(beside, resolve=True)
            return dated(own_model(typed(found), option, overrides), overrides), beside
    except MissingConfigException as error:
        raise InputError(missing_option(error)) from error
    except OmegaConfBaseException as error:
        raise InputError(explain(error)) from error
    except HydraException as error:
        raise InputError(one_line(error)) from error
    except PARSERS as error:
        raise InputError(config_source.parser_line(error, overrides)) from error


def missing_option(error: MissingConfigException) -> str:
    """Which option of which group does not exist, and those that do; of many, those of like names."""
    group, _, name = str(error.missing_cfg_file or "").rpartition("/")
    known = sorted(error.options or ())
    options = f"; available: {', '.join(known)}" if known else ""
    if group in LISTED and len(known) > MANY:
        near = get_close_matches(name, known, n=6, cutoff=0.4)
        options = f"; near: {', '.join(near) or 'none'}; servefront {LISTED[group]} lists them"
    return f"{group or 'config'}: there is no {name!r}{options}"


def one_line(error: HydraException) -> str:
    """Hydra's error with its cause."""
    cause = error.__cause__
    text = str(error)
    if cause is not None and str(cause) not in text:
        text = f"{text}: {cause}"
    return text
