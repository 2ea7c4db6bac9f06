"""A file of flags: ``--config`` of vLLM and SGLang, where a text writes it or it is there.

vLLM 0.33.0 ``vllm/utils/argparse_utils.py`` load_config_file; SGLang 0.5.23
``sglang/srt/server_args_config_parser.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from search.base.errors import InputError
from search.commands.audit.options_file import content_of
from search.inputs.plain_yaml import read_yaml


def config_words(path: str, files: Mapping[str, str]) -> list[str]:
    """Its keys as flags: true is a switch, false and nothing are left out, lists give several words."""
    content = content_of(path, files)
    if content is None:
        raise InputError(f"--config: {path[:80]!r} is not there, nor written in the text; give its settings as flags")
    found = read_yaml(path, content.encode(), "a file of flags", floats=True)
    if not isinstance(found, dict | None):
        raise InputError(f"{path}: is no file of flags; give keys with values")
    return [word for key, value in (found or {}).items() for word in _words(f"--{key}", value)]


def _words(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool) or value is None:
        return [flag] if value else []
    if isinstance(value, list):
        return [flag, *map(str, value)] if value else []
    return [f"{flag}={json.dumps(value) if isinstance(value, dict) else value}"]
