"""YAML of this program's own, read and written as OmegaConf does, by libyaml where PyYAML was built with it: several
times as fast."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from search.base.escape import literal

PLAIN, WORD = re.compile(r"[ -~]*"), re.compile(r"[A-Za-z_][\w.-]{0,60}", re.ASCII)


@cache
def _loader() -> Any:
    from omegaconf._utils import get_yaml_loader

    own = get_yaml_loader()
    if not yaml.__with_libyaml__:
        return own
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class Loader(CParser, own):  # type: ignore[misc, valid-type]
        """OmegaConf's constructors over libyaml's events."""

        def __init__(self, stream: Any) -> None:
            CParser.__init__(self, stream)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    return Loader


def data(path: Path) -> Any:
    """A file as plain data; references (``${...}``) stay as they are written."""
    return parsed(path.read_text(encoding="utf-8"))


def load(path: Path) -> Any:
    """What ``OmegaConf.load`` makes of it."""
    return as_config(data(path))


def parsed(text: str) -> Any:
    """The data of a file that says ``text``."""
    return yaml.load(text, Loader=_loader())


def as_config(found: Any) -> Any:
    """What ``OmegaConf.load`` makes of a file that holds ``found``."""
    from omegaconf import OmegaConf

    return OmegaConf.create() if found is None else OmegaConf.create(found)


@cache
def _dumper() -> Any:
    from omegaconf._utils import get_omega_conf_dumper

    own = get_omega_conf_dumper()
    if not yaml.__with_libyaml__:
        return own
    from yaml.cyaml import CEmitter  # type: ignore[attr-defined]

    class Dumper(CEmitter, own):  # type: ignore[misc, valid-type]
        """OmegaConf's representers under libyaml's emitter."""

        def __init__(self, stream: Any, default_style: Any, default_flow_style: bool, **options: Any) -> None:
            sort_keys = options.pop("sort_keys")
            CEmitter.__init__(self, stream, **options)
            yaml.representer.Representer.__init__(
                self, default_style=default_style, default_flow_style=default_flow_style, sort_keys=sort_keys
            )
            yaml.resolver.Resolver.__init__(self)

    return Dumper


def _plain(found: Any) -> bool:
    """Whether text is plain ASCII in one line, and keys are words."""
    if isinstance(found, dict):
        return all(isinstance(key, str) and WORD.fullmatch(key) for key in found) and all(map(_plain, found.values()))
    if isinstance(found, list):
        return all(map(_plain, found))
    return not isinstance(found, str) or PLAIN.fullmatch(found) is not None


def text_of(found: Any) -> str:
    """What ``OmegaConf.to_yaml`` writes of plain data, whose text stands for itself. Where that is not ``_plain``,
    libyaml breaks lines elsewhere and marks other keys: there PyYAML writes."""
    from omegaconf._utils import get_omega_conf_dumper

    dumper = _dumper() if _plain(found) else get_omega_conf_dumper()
    dumped = yaml.dump(literal(found), default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=dumper)
    return str(dumped)
