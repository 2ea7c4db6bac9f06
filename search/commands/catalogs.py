"""``servefront models``, ``hardware`` and ``clusters``: the catalog as tables, or as CSV with SI units."""

from __future__ import annotations

import csv
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from costmodel.parameters import active_parameters, kv_bytes_per_token, parameters, weight_bytes
from search.base.arguments import Parser
from search.base.errors import InputError
from search.base.escape import csv_cell, plain
from search.commands.search import fail
from search.inputs.compose import composed
from search.inputs.config import read_hardware, read_model
from search.inputs.hardware_catalog import cluster_names, hardware_names, load_cluster, load_hardware
from search.inputs.models import ReadModel, model_names, read_catalog_model, search_models
from search.inputs.schema import Config

WIDTH_WITHOUT_TERMINAL = 300  # more than any of these tables needs

Row = Mapping[str, Any]


def main(argv: list[str]) -> int:
    """``models``, ``hardware`` or ``clusters``, then options; returns the exit code."""
    parser = Parser(prog="servefront", description="List the catalog.")
    commands = parser.add_subparsers(dest="catalog", required=True, metavar="models|hardware|clusters")
    for name, text in (
        ("models", "models of conf/model"),
        ("hardware", "accelerators of conf/hardware"),
        ("clusters", "clusters of conf/cluster"),
    ):
        command = commands.add_parser(name, help=f"list the {text}", description=f"List the {text}.")
        command.add_argument("--csv", action="store_true", help="write CSV with plain numbers in SI units")
        command.add_argument("--config-dir", metavar="FOLDER", type=Path, help="the files of a folder of your own too")
        if name == "models":
            command.add_argument("--find", metavar="WORDS", help="only those that have all the words in a name")
    options = parser.parse_args(argv)
    try:
        rows = READERS[options.catalog](options)
    except InputError as error:
        return fail(str(error), InputError.exit_code)
    if options.csv:
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    else:
        _print(rows, COLUMNS[options.catalog])
    return 0


def _own(folder: Path | None, group: str) -> dict[str, Config]:
    """What each file that a user's ``folder`` has for a group makes of the configuration, by the option's name."""
    if folder is None:
        return {}
    names = sorted(path.stem for path in (folder / group).glob("*.yaml"))
    if not names:
        raise InputError(f"--config-dir: {folder / group} holds no *.yaml")
    return {name: composed([f"{group}={name}"], folder) for name in names}


def _models(options: Namespace) -> list[Row]:
    own = _own(options.config_dir, "model")
    return model_rows(options.find) + [model_row(key, read_model(config.model)) for key, config in own.items()]


def model_rows(words: str | None = None) -> list[Row]:
    """One row a model, in the order of their keys; of those alone that ``words`` find."""
    found = model_names() if words is None else search_models(words)
    return [model_row(key, read_catalog_model(key)) for key in found]


def model_row(key: str, model: ReadModel) -> Row:
    """What ``servefront models`` tells of a model."""
    architecture = model.architecture
    held = weight_bytes(architecture)
    return {
        "key": key,
        "name": architecture.name,
        "parameters": parameters(architecture),
        "active_parameters": active_parameters(architecture),
        "vision_parameters": architecture.vision_parameters,
        "kv_bytes_per_token": round(kv_bytes_per_token(architecture)),
        "weights_format": max(held, key=lambda name: held[name]),
        "weights_bytes": round(sum(held.values())),
    }


def _hardware(options: Namespace) -> list[Row]:
    """One row an accelerator, in the order of their keys; what it lacks or does not state is empty."""
    own = {key: config.hardware for key, config in _own(options.config_dir, "hardware").items()}
    rows: list[Row] = []
    for key, config in ({key: load_hardware(key) for key in hardware_names()} | own).items():
        part = read_hardware(config)
        rows.append(
            {
                "key": key,
                "name": part.name,
                **{f"{dtype}_flops": part.peak_flops.get(dtype) for dtype in ("bf16", "fp8", "fp4")},
                "memory_bytes_per_s": part.memory_bytes_per_s,
                "memory_bytes": part.memory_bytes,
                "link_bytes_per_s": part.link_bytes_per_s,
                "power_w": part.power_w,
                "price_per_hour": part.price_per_hour,
                "cluster": config.cluster,
            }
        )
    return rows


def _clusters(options: Namespace) -> list[Row]:
    """One row a cluster, in the order of their keys, with the accelerators that take it unless told otherwise. An empty
    rate is the accelerator's own link; what lies outside the first tier is empty where there is but one."""
    rows: list[Row] = []
    comes_with = {key: load_hardware(key).cluster for key in hardware_names()}
    own = {key: config.cluster for key, config in _own(options.config_dir, "cluster").items()}
    for key, config in ({key: load_cluster(key) for key in cluster_names()} | own).items():
        node, outer = config.tiers[0], config.tiers[-1] if len(config.tiers) > 1 else None
        rows.append(
            {
                "key": key,
                "name": config.name,
                "node_size": node.size,
                "node_bytes_per_s": node.bytes_per_s,
                "node_latency_s": node.latency_s,
                "most_gpus": config.tiers[-1].size,
                "fabric_bytes_per_s": outer.bytes_per_s if outer else None,
                "hardware": " ".join(sorted(option for option, its in comes_with.items() if its == key)),
            }
        )
    return rows


READERS: dict[str, Callable[[Namespace], list[Row]]] = {
    "models": _models, "hardware": _hardware, "clusters": _clusters,
}  # fmt: skip


def _scaled(unit: float, decimals: int) -> Callable[[float], str]:
    return lambda value: f"{value / unit:,.{decimals}f}"


# Heading, key of the row, and how a number is shown (none: text).
Column = tuple[str, str, Callable[[float], str] | None]
MODEL_COLUMNS: tuple[Column, ...] = (
    ("key", "key", None),
    ("name", "name", None),
    ("parameters B", "parameters", _scaled(1e9, 2)),
    ("active B", "active_parameters", _scaled(1e9, 2)),
    ("KV bytes a token", "kv_bytes_per_token", _scaled(1, 0)),
    ("weights", "weights_format", None),
    ("weights GB", "weights_bytes", _scaled(1e9, 1)),
)
HARDWARE_COLUMNS: tuple[Column, ...] = (
    ("key", "key", None),
    ("name", "name", None),
    ("bf16 TFLOP/s", "bf16_flops", _scaled(1e12, 0)),
    ("fp8", "fp8_flops", _scaled(1e12, 0)),
    ("fp4", "fp4_flops", _scaled(1e12, 0)),
    ("bandwidth TB/s", "memory_bytes_per_s", _scaled(1e12, 2)),
    ("memory GB", "memory_bytes", _scaled(1e9, 1)),
    ("link GB/s", "link_bytes_per_s", _scaled(1e9, 0)),
    ("power W", "power_w", _scaled(1, 0)),
    ("USD/hour", "price_per_hour", _scaled(1, 2)),
    ("cluster", "cluster", None),
)
CLUSTER_COLUMNS: tuple[Column, ...] = (
    ("key", "key", None),
    ("name", "name", None),
    ("a node", "node_size", _scaled(1, 0)),
    ("GB/s", "node_bytes_per_s", _scaled(1e9, 0)),
    ("latency us", "node_latency_s", _scaled(1e-6, 1)),
    ("at most", "most_gpus", _scaled(1, 0)),
    ("outside GB/s", "fabric_bytes_per_s", _scaled(1e9, 1)),
    ("default of", "hardware", None),
)
COLUMNS = {"models": MODEL_COLUMNS, "hardware": HARDWARE_COLUMNS, "clusters": CLUSTER_COLUMNS}


def _print(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """A table with lines on a terminal, aligned columns alone elsewhere."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    watched = sys.stdout.isatty()
    console = Console(width=None if watched else WIDTH_WITHOUT_TERMINAL, highlight=False, markup=False)
    table = Table(box=box.SIMPLE_HEAD if watched else None, pad_edge=watched)
    for heading, _, shown in columns:
        table.add_column(heading, justify="right" if shown else "left", no_wrap=not watched)
    for row in rows:
        table.add_row(*(_cell(row[key], shown) for _, key, shown in columns))
    console.print(table)


def _cell(value: Any, shown: Callable[[float], str] | None) -> str:
    if value is None:
        return "-"
    return shown(value) if shown else plain(value)
