"""Where every input comes from: each key of the configuration with its value, its source and its standing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from search.base.escape import one_line
from search.base.paths import conf_dir
from search.inputs.catalog_yaml import data
from search.inputs.split.machines import POOLS
from search.optimizer.outcome import Outcome
from search.render.document import formats
from search.render.document.view import Value, Values, plain

# In the order of the table: what is to be doubted first.
STANDINGS = ASSUMPTION, MISSING, SOURCED, CHOSEN = "assumption", "no source", "source", "choice"
# Groups that say what is asked, not what is so: their values need no source.
ASKED = ("workload", "limits", "space", "objective", "strategy", "output", "report", "sensitivity")
NOT_FIGURES = ("name", "vendor", "version", "law")
SMALL_BYTES = 1e8  # below it hundredths of a GB say little: a message's size
MOST_NAMED = 8  # keys without a source of one group
SKIPPED = ("sources", "source", "aliases", "price_as_of")


@dataclass(frozen=True)
class Entry:
    """One input. ``standing``: ``assumption``, ``source`` (there is one), ``choice`` (of the user, about what is
    asked) or ``no source``."""

    key: str
    value: Value
    standing: str
    source: str


def provenance_values(outcome: Outcome) -> Values:
    """Keys ``input_row.<n>.key``, ``value``, ``standing`` and ``source``; how many have each standing."""
    values: Values = {}
    entries = sorted([*_assumptions(outcome), *_entries(outcome)], key=lambda e: STANDINGS.index(e.standing))
    for i, entry in enumerate(entries):
        values |= {f"input_row.{i}.{key}": plain(value) for key, value in vars(entry).items()}
    for standing in STANDINGS:
        values[f"standing.{standing}"] = sum(e.standing == standing for e in entries)
    return values


def doubtful_values(outcome: Outcome) -> Values:
    """What plan.md names of them: keys ``assumed.<n>.`` (``where``, ``value``, ``text``), one a source; ``unsourced.<n>
    .where``, one a group. What only the ranges of the sensitivity and the intervals rest on stands in the annex."""
    entries = [e for e in _entries(outcome) if not e.key.startswith(("sensitivity.", "intervals"))]
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        parent = entry.key.rpartition(".")[0]
        if entry.standing == ASSUMPTION:
            groups.setdefault((parent, entry.source), []).append(entry)
        elif entry.standing == MISSING:
            groups.setdefault((parent, MISSING), []).append(entry)
    values: Values = {}
    numbers = {ASSUMPTION: 0, MISSING: 0}
    for (parent, source), found in groups.items():
        names, standing = [e.key.rpartition(".")[2] for e in found], found[0].standing
        where = f"{parent}.{', '.join(names)}"
        if standing == MISSING and len(names) > MOST_NAMED:
            where = f"{parent} ({len(names)} keys, listed in inputs.md)"
        name = "assumed" if standing == ASSUMPTION else "unsourced"
        values[f"{name}.{numbers[standing]}.where"] = where
        if standing == ASSUMPTION:
            said = dict.fromkeys(quantity(e.key, e.value) for e in found)
            values |= {f"assumed.{numbers[standing]}.value": ", ".join(said)}
            values |= {f"assumed.{numbers[standing]}.text": _shortened(source)}
        numbers[standing] += 1
    return values


def _shortened(source: str) -> str:
    """A source without the word that its table's heading says."""
    return source.removeprefix("assumption: ").removeprefix("assumption; ")


def _entries(outcome: Outcome) -> Iterator[Entry]:
    config = asdict(outcome.config)
    model = config["model"]
    for key, value in _leaves("model", model):
        published = key.startswith("model.published")
        yield Entry(key, value, SOURCED if published and model["source"] else CHOSEN, model["source"] * published)
    yield from _sourced("hardware", config["hardware"], config["hardware"]["sources"])
    yield from _cluster("cluster", config["cluster"])
    yield from _sourced("engine", config["engine"], config["engine"]["sources"])
    sensitivity = config["sensitivity"]
    for name, spread in sensitivity.pop("ranges").items():
        ends = {end: spread[end] for end in ("low", "high")}
        yield from _sourced(f"sensitivity.ranges.{name}", ends, dict.fromkeys(ends, spread["source"]))
    for name in POOLS:
        yield from _of_pool(f"space.split.{name}", config["space"]["split"][name])
    for group in ASKED:
        for key, value in _leaves(group, config[group]):
            yield Entry(key, value, CHOSEN, "")
    factors = _intervals()
    yield Entry("intervals.yaml", "factors of the 80 % intervals", *_standing("intervals", factors))


def _cluster(key: str, cluster: dict[str, Any]) -> Iterator[Entry]:
    yield Entry(f"{key}.name", cluster["name"], *_standing(f"{key}.name", cluster["source"]))
    for tier in cluster["tiers"]:
        yield from _sourced(f"{key}.{tier['name']}", tier, tier["source"])


def _of_pool(key: str, pool: dict[str, Any]) -> Iterator[Entry]:
    """Hardware and cluster of a pool of split plans, which are taken out of it: the rest is asked for."""
    hardware, cluster = pool.pop("hardware"), pool.pop("cluster")
    if hardware is not None:
        yield from _sourced(f"{key}.hardware", hardware, hardware["sources"])
    if cluster is not None:
        yield from _cluster(f"{key}.cluster", cluster)


def _assumptions(outcome: Outcome) -> Iterator[Entry]:
    """What the reader of the model and the experiment state beside the keys."""
    for text in outcome.assumptions:
        yield Entry("stated", "", ASSUMPTION, text)


def _sourced(group: str, values: dict[str, Any], sources: dict[str, str]) -> Iterator[Entry]:
    for key, value in _leaves(group, values):
        name = key.removeprefix(f"{group}.").replace(".", "_")
        source = sources.get(name) or sources.get(name.split("_", 1)[0], "")
        yield Entry(key, value, *_standing(key, source))


def _standing(key: str, source: str) -> tuple[str, str]:
    if "assum" in source.lower():
        return ASSUMPTION, source
    if source:
        return SOURCED, source
    return (CHOSEN if key.rsplit(".", 1)[-1] in NOT_FIGURES else MISSING), source


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Value]]:
    """Dotted keys with numbers or text; what is off (null, empty) is left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in SKIPPED:
                yield from _leaves(f"{prefix}.{key}", inner)
    elif isinstance(value, list) and value:
        yield prefix, ", ".join(str(v) for v in value)
    elif isinstance(value, bool):
        yield prefix, "yes" if value else "no"
    elif value not in (None, "", []):
        yield prefix, value if isinstance(value, int | float | str) else str(value)


@cache
def _intervals() -> str:
    return str(data(conf_dir() / "intervals.yaml")["source"])


def quantity(key: str, value: Value) -> str:
    """An input by the unit at the end of its name."""
    if isinstance(value, str):
        return one_line(value)
    name = key.rsplit(".", 1)[-1]
    if name.endswith("bytes_per_s"):
        return formats.bytes_per_s(value)
    if ".peak_flops." in key:
        return formats.flops_per_s(value)
    if name.endswith("_bytes"):
        return formats.gb(value) if abs(value) >= SMALL_BYTES else f"{value / 1e6:.6g} MB"
    if name.endswith("_s") and not name.endswith("_per_s"):
        return formats.seconds(value)
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else f"{value:.6g}"
