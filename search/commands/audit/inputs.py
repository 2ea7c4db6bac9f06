"""What an audit rests on: the configuration of a run, of an experiment or of overrides, and the model of a command."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.base.errors import InputError
from search.commands.audit.command import Command
from search.inputs.compose import composed
from search.inputs.models import ConfigError, find_model
from search.inputs.models.catalog import load_entry, plain
from search.inputs.own_engine import with_engine
from search.inputs.saved_run import CONFIG_FILE, read_run
from search.inputs.schema import Config, ModelConfig

OVERRIDE = re.compile(r"^(~|[+]{0,2}[\w./@-]+=)")


def split_words(given: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The plan's path, if there is one among the words, and the overrides."""
    plans = [w for w in given if Path(w).exists() or not OVERRIDE.match(w)]
    if len(plans) > 1:
        raise InputError(f"PLAN: {plans[1]!r} is one too many; give one plan and overrides as key=value")
    return (Path(plans[0]) if plans else None), [w for w in given if w not in plans]


def read_config(
    plan: Path | None, run: Path | None, experiment: str | None, overrides: Sequence[str], folder: Path | None
) -> tuple[Config, str]:
    """The configuration and where it comes from. Without any word of it, that of the run that the plan lies in."""
    own = list(overrides) + ([f"+experiment={experiment}"] if experiment else [])
    if run is not None:
        if own or folder is not None:
            raise InputError(
                "--run: a run has its whole configuration; give no overrides, experiment or folder with it"
            )
        return read_run(run).config, f"run {run}"
    beside = plan is not None and all((plan.parent / name).is_file() for name in (CONFIG_FILE, "pareto.csv"))
    if plan is not None and beside and not own and folder is None:
        return read_run(plan.parent).config, f"run {plan.parent}, in which the plan lies"
    return composed(own, folder), " ".join(own) or "the defaults of conf/config.yaml"


def with_model(config: Config, command: Command, overrides: Sequence[str]) -> tuple[Config, str]:
    """The configuration with the command's model, and a line that says which it is. A model that an override names
    wins: so a checkpoint of one's own can be audited as what it is like."""
    if any(re.match(r"^[+]{0,2}model([.=])", o) for o in overrides):
        return config, f"model {config.model.name}: given, in place of the command's {command.model}"
    path = Path(command.model)
    try:
        if (path / "config.json").is_file():
            model = ModelConfig(name=path.resolve().name, config=str(path / "config.json"))
            return replace(config, model=model), f"model {command.model}: its config.json"
        names = [config.model.name, *config.model.aliases]
        for name in published_names(command.model):
            if plain(name.rsplit("/", 1)[-1]) in {plain(known.rsplit("/", 1)[-1]) for known in names}:
                return config, f"model {config.model.name}: the scenario's"
        option, cast, name, where = _named(command)
    except (ConfigError, OSError, ValueError) as error:
        if "$" in command.model:
            raise InputError(
                f"command: model = {command.model[:60]!r}: the text does not say its value; write the name, or give "
                "model=OPTION"
            ) from error
        raise InputError(
            f"command: {' '.join(str(error).split())}; give model=OPTION, or model.name=... model.config=config.json"
        ) from error
    entry: dict[str, Any] = load_entry(option)
    told = f"model {entry['name']}: model={option} of the catalog" + (f", {where}: {name}" if where else "")
    if cast is None:
        return replace(config, model=ModelConfig(**entry)), told
    told += f", weights={cast} as the name {name.rstrip('/').rsplit('/', 1)[-1]!r} says"
    return replace(config, model=ModelConfig(**{**entry, "weights": cast})), told


def _named(command: Command) -> tuple[str, str | None, str, str]:
    """The catalog's option, the format that the name says, the name, and where it stands if it is not the command's
    own. A folder whose name says nothing may have another one in the same text."""
    model = command.model
    try:
        return *_found(published_names(model)), model, ""
    except ConfigError:
        for name, where in command.also if _is_folder(model) else ():
            with contextlib.suppress(ConfigError):
                return *_found(published_names(name)), name, where
        raise


def _is_folder(model: str) -> bool:
    """Whether a model's word is a place rather than a published name."""
    return "$" in model or model.startswith(("/", ".", "~")) or model.strip("/").count("/") != 1


# Where a text names the engine's version: an image's tag, a pinned package, the flag of a start script.
_VERSIONS = {
    "vllm": r"(?:vllm-openai[\w.-]*:v?|\bvllm==|--engine-version[= ]v?|\bengine\.version=v?)(\d+\.\d+(?:\.\d+)?)",
    "sglang": r"(?:/sglang:v?|\bsglang(?:\[\w+\])?==|--engine-version[= ]v?|\bengine\.version=v?)(\d+\.\d+(?:\.\d+)?)",
}


def with_version(config: Config, engine: str, text: str, overrides: Sequence[str]) -> tuple[Config, tuple[str, ...]]:
    """The configuration with the version that the command's text names, unless an override does; and a line that says
    so."""
    found = re.search(_VERSIONS[engine], text) if engine in _VERSIONS else None
    if found is None or any(re.match(r"^[+]{0,2}engine\.version=", o) for o in overrides):
        return config, ()
    config = with_engine(config, engine)
    config = replace(config, engine=replace(config.engine, version=found[1]))
    return config, (f"engine.version {found[1]}: as the command names it",)


def published_names(model: str) -> list[str]:
    """What a model is called where a command gives a folder: the part of a Hugging Face cache that names it
    (``models--ORG--NAME/snapshots/...``, huggingface_hub/file_download.py repo_folder_name), else the folder's own name
    and then those of the folders around it."""
    parts = [p for p in model.strip().split("/") if p not in ("", ".", "..")]
    for part in parts:
        if part.startswith("models--") and part.count("--") >= 2:
            return ["/".join(part.split("--")[1:3])]
    if len(parts) <= 2 and not model.startswith(("/", ".", "~")):
        return ["/".join(parts) or model]
    return list(reversed(parts))[:4] or [model]


def _found(names: Sequence[str]) -> tuple[str, str | None]:
    """The option of the first name that the catalog knows, and the format that a name says its weights are cast to
    where only the model without it is known; the error of the first name where it knows none."""
    errors = []
    for name in names:
        for tried, cast in _spellings(name):
            try:
                return find_model(tried), cast
            except ConfigError as error:
                errors.append(error)
    raise errors[0]


# How published checkpoints say that their linear layers are quantised: the words at a name's end.
_QUANTISED = re.compile(
    r"(?:[-_.](?:(?P<fp8>fp8(?:[-_](?:dynamic|block|static))?|w8a8[-_]fp8)|(?P<mxfp8>mxfp8)|(?P<nvfp4>(?:nv)?fp4(?:[-_]v\d)?)"
    r"|(?P<mxfp4>(?:w[-_])?mxfp4(?:[-_]a[-_]fp8)?)"
    r"|(?P<int4>(?:[-_.]?(?:awq|gptq|int4|4bit|w4a16|auto[-_]?round|sym|g\d+|quantized))+)"
    r"|(?P<int8>(?:[-_.]?(?:gptq|int8|8bit|w8a8|w8a16|auto[-_]?round|quantized))+)))$",
    re.IGNORECASE,
)
# Makers whose own FP8 checkpoints have a scale for each block of 128 x 128 (their config.json: weight_block_size);
# those of GLM-4 have one for each channel (HabanaAI/vllm-hpu-extension, pull request 350).
_IN_BLOCKS = re.compile(r"(qwen|deepseek-ai|zai-org(?!/glm-4)|minimaxai|xiaomimimo|stepfun-ai)/", re.IGNORECASE)
# Words for how a checkpoint was tuned, or when: its layers are those of the model without them.
_TUNED = re.compile(r"[-_](?:instruct|it|chat|base|hf|thinking|reasoning|preview|bf16|\d{4})$", re.IGNORECASE)


def _spellings(name: str) -> list[tuple[str, str | None]]:
    """The name, without what says how it is quantised (with that format), and both without how they were tuned."""
    told = _stored(name)
    for shorter, cast in told:  # those appended too, word by word
        if _TUNED.search(shorter):
            told.append((_TUNED.sub("", shorter), cast))
    return told


def _stored(name: str) -> list[tuple[str, str | None]]:
    found = _QUANTISED.search(name)
    if found is None:
        return [(name, None)]
    cast = next(kind for kind, text in found.groupdict().items() if text)
    if cast == "fp8" and (_IN_BLOCKS.match(name) or "block" in found[0].lower()):
        cast = "fp8_block"
    return [(name, None), (name[: found.start()], cast)]
