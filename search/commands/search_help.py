"""What ``servefront search --help`` prints: the groups with their options, and the keys that people set."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from search.base.paths import conf_dir
from search.inputs.derived import field_of
from search.inputs.schema import Config

WIDTH = 130
GROUPS = {
    "model": "what is served; model.config=FILE for a config.json of your own",
    "hardware": "on which accelerator",
    "cluster": "how accelerators are connected",
    "engine": "whose rules and constants hold; any: a plan that one of the three takes",
    "workload": "lengths of prompts and answers",
    "limits": "what a plan must keep",
    "space": "which degrees and batches are tried",
    "objective": "the axes of the front, and what the recommended plan is best in",
    "strategy": "which sampler is graded against the exact front; exact: none",
    "compute": "where it is computed: here, in several processes, on a Ray cluster",
    "report": "whether report.html is written",
    "sensitivity": "whether the run says what moves the recommended plan",
    "output": "how much of the candidates is written",
}
DECLARED = ""  # with the field, as its range is
KEYS = {
    "name": "name of the folder below outputs/ and of the study",
    "model.config": "path of a config.json, instead of a catalog's model",
    "model.weights": "format to cast linear layers and experts to, as fp8 (null: as published)",
    "model.kv_cache": "format of the KV cache, as fp8 (null: as published)",
    "hardware.price_per_hour": DECLARED,
    "hardware.price_as_of": "date and place of that price",
    "hardware.power_w": DECLARED,
    "engine.max_batched_tokens": DECLARED,
    "workload.isl": DECLARED,
    "workload.osl": DECLARED,
    "workload.prefix_hit": DECLARED,
    "limits.ttft_s": DECLARED,
    "limits.ttft_statistic": DECLARED,
    "limits.tpot_s": DECLARED,
    "limits.min_requests_per_s": DECLARED,
    "limits.memory_fraction": DECLARED,
    "space.gpus": "accelerators of the whole deployment: a number, a list, or a range as '8:64:8' or '1:64:x2'",
    "space.tp": "tensor parallel degrees, written likewise",
    "space.ep": "expert parallel degrees",
    "space.dp": "replicas",
    "space.pp": "pipeline stages",
    "space.sp": "sequence parallel degrees of prefill",
    "space.weights": "formats of the weights to try, and likewise kv_cache, engines, max_batched_tokens (space=full)",
    "space.batch": "sequences in flight per replica",
    "strategy.n_trials": DECLARED,
    "strategy.seed": DECLARED,
    "strategy.storage": "journal file or database that workers on one study share",
    "compute.workers": DECLARED,
    "compute.address": "of the Ray cluster (null: this machine's)",
    "sensitivity.draws": DECLARED,
    "baselines": "plans to score beside: paths of plan.yaml files",
}
HYDRAS = {
    "-m, --multirun": "run every combination of values that stand behind commas; gathered in sweep.csv",
    "--config-dir FOLDER": "add configuration files of your own: FOLDER/hardware/mine.yaml is hardware=mine",
    "--cfg job": "print the whole composed configuration and stop",
    "hydra.run.dir=FOLDER": "where to write the run (default: outputs/<name>/<time>)",
    "hydra.sweep.dir=FOLDER": "where to write a sweep",
    "-h, --help": "this text; --hydra-help lists all of Hydra's flags",
}


def text(arguments: Sequence[str]) -> str:
    """The help; a ``--config-dir`` among ``arguments`` adds its options."""
    folders = [conf_dir(), *_folders(arguments)]
    chosen = _defaults()
    lines = ["usage: servefront [search] [GROUP=OPTION ...] [KEY=VALUE ...] [flags]", ""]
    lines += ["Scores every layout that an engine takes, recommends one, and writes the run to outputs/.", ""]
    lines += _item("+experiment=NAME", "a set of choices, which others win over", _options(folders, "experiment"))
    for group, meaning in GROUPS.items():
        meaning += f" (default {chosen[group]})"
        lines += _item(f"{group}=OPTION", meaning, _options(folders, group))
    several = "several models that share accelerators: servefront fleet --help"
    lines += _item("servefront fleet +fleet=NAME", several, _options(folders, "fleet"))
    lines += ["", "keys, KEY=VALUE (all of them, with ranges: docs/configuration.md):"]
    lines += _table(KEYS)
    lines += ["", "flags:", *_table(HYDRAS)]
    return "\n".join(lines)


def _item(name: str, meaning: str, options: Sequence[str]) -> Iterator[str]:
    yield f"{name}  {meaning}"
    yield from textwrap.wrap(" ".join(options), WIDTH, initial_indent="    ", subsequent_indent="    ")


def _table(meanings: dict[str, str]) -> list[str]:
    wide = max(map(len, meanings))
    return [f"  {name:<{wide}}  {meaning or _declared(name)}" for name, meaning in meanings.items()]


def _declared(key: str) -> str:
    """What a key means, and what it may be, as its field says."""
    f = field_of(Config, key)
    assert f.of is not None
    return f"{f.of.meaning} ({f.of.span}{', or null' if f.optional else ''})"


def _options(folders: Sequence[Path], group: str) -> list[str]:
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def _defaults() -> dict[str, str]:
    """The option of each group that ``conf/config.yaml`` takes."""
    menu: dict[str, Any] = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))
    return {group: option for item in menu["defaults"] if isinstance(item, dict) for group, option in item.items()}


def _folders(arguments: Sequence[str]) -> Iterator[Path]:
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word in ("--config-dir", "-cd"):
            yield Path(following)
        elif word.startswith("--config-dir="):
            yield Path(word.partition("=")[2])
