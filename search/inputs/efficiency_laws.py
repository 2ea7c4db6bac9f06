"""The efficiency law of an accelerator: a flat one from its keys, or one of ``conf/law`` by name."""

from __future__ import annotations

from dataclasses import MISSING, replace
from functools import cache
from typing import Any

from costmodel.efficiency import EfficiencyLaw, FlatLaw
from costmodel.fields import declared
from costmodel.laws import ShapedLaw
from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.catalog_yaml import data
from search.inputs.checks import number
from search.inputs.derived import allowed


def read_law(efficiency: dict[str, Any]) -> EfficiencyLaw:
    """The efficiency law of an accelerator: ``law`` names it, the other keys are its constants."""
    constants = dict(efficiency)
    law = constants.pop("law", None)
    if law != "flat":
        return _read_shaped_law(str(law), constants)
    fields = {f.name: f for f in declared(FlatLaw)}
    for key in constants:
        if key not in fields:
            raise InputError(f"hardware.efficiency.{key}: unknown key; allowed: law, {', '.join(fields)}")
    missing = [f.name for f in fields.values() if f.default is MISSING and f.name not in constants]
    if missing:
        raise InputError(f"hardware.efficiency.{missing[0]}: must be given")
    return FlatLaw(**{key: allowed(f"hardware.efficiency.{key}", v, fields[key]) for key, v in constants.items()})


def _read_shaped_law(name: str, others: dict[str, Any]) -> EfficiencyLaw:
    """The law whose constants stand beside its name or else in ``conf/law/<name>.yaml``."""
    own = others.get("constants")
    law = load_law(name) if own is None else _shaped("hardware.efficiency.constants", name, own)
    known = ("sustained_share", "borrowed", "constants")
    unknown = sorted(set(others) - set(known))
    if unknown:
        raise InputError(
            f"hardware.efficiency.{unknown[0]}: unknown key; law {name} has its constants in a file or in "
            f"hardware.efficiency.constants; allowed beside it: {', '.join(known)}"
        )
    share = others.get("sustained_share", 1.0)
    borrowed = others.get("borrowed", False)
    if not isinstance(borrowed, bool):
        raise InputError(f"hardware.efficiency.borrowed: {borrowed!r} is not allowed; give true or false")
    number("hardware.efficiency.sustained_share", share, 0, 2)
    name = f"borrowed from {law.name}" if borrowed else law.name
    return replace(law, name=name).sustained(float(share))


@cache
def load_law(name: str) -> ShapedLaw:
    """A file of ``conf/law``; one that names a ``base`` holds what differs from that law."""
    law = _law_file("hardware.efficiency.law", name, "flat or ")
    base = _law_file(f"law {name}: base", law["base"]) if "base" in law else {"constants": {}}
    try:
        theirs, mine = base["constants"], law["constants"]
        constants = {part: theirs.get(part, {}) | mine.get(part, {}) for part in theirs | mine}
        own = law["name"]
    except (AttributeError, KeyError, TypeError) as error:
        missing = "missing " if isinstance(error, KeyError) else ""
        raise InputError(f"law {name}: {missing}{error}") from error
    return _shaped(f"law {name}", own, constants)


def _shaped(key: str, name: str, constants: Any) -> ShapedLaw:
    if not isinstance(constants, dict) or not all(isinstance(part, dict) for part in constants.values()):
        raise InputError(f"{key}: {constants!r} is not allowed; give the constants of a law by its parts: docs/laws.md")
    try:
        return ShapedLaw.from_constants(name, constants)
    except (TypeError, ValueError) as error:
        raise InputError(f"{key}: {error}") from error


def _law_file(key: str, name: str, others: str = "") -> dict[str, Any]:
    known = sorted(path.stem for path in (conf_dir() / "law").glob("*.yaml"))
    if name not in known:
        raise InputError(f"{key}: {name!r} is not allowed; give {others}one of {', '.join(known)}")
    loaded: Any = data(conf_dir() / "law" / f"{name}.yaml")
    return loaded if isinstance(loaded, dict) else {}
