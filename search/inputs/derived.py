"""The schema's class for a record of the cost model, and the reader that checks it: the record's own declarations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_origin

from omegaconf import MISSING

from costmodel.fields import Choice, Quantity, declared
from search.base.errors import InputError
from search.inputs.checks import choice, number

AFTER = "after"


class Derived:
    """What a type checker may assume of the classes that ``schema_of`` makes: fields are there at run time alone."""

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

        def __init__(self, **fields: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...


D = TypeVar("D", bound=Derived)


def after(name: str, **options: Any) -> Any:
    """``dataclasses.field`` for a field that follows another one of the record."""
    return dataclasses.field(metadata={AFTER: name}, **options)


def schema_of(record: type) -> Callable[[type[D]], type[D]]:
    """Makes a class the mutable dataclass of ``record``'s fields, defaults included, as structured configs want it.

    Fields in the class's own body win over the record's, and those that the record lacks stand behind ``after``, or
    last. A field without a default must be given (``omegaconf.MISSING``)."""

    def derive(cls: type[D]) -> type[D]:
        own: dict[str, Any] = dict(cls.__annotations__)
        hints: dict[str, Any] = {}
        for f in declared(record):
            hints[f.name] = own.pop(f.name, f.hint)
            if f.name not in cls.__dict__:
                setattr(cls, f.name, MISSING if f.default is dataclasses.MISSING else f.default)
        order = list(hints)
        for name in own:
            value = cls.__dict__[name]
            before = value.metadata.get(AFTER) if isinstance(value, dataclasses.Field) else None
            order.insert(order.index(before) + 1 if before else len(order), name)
        cls.__annotations__ = {name: hints.get(name, own.get(name)) for name in order}
        return dataclasses.dataclass(cls)

    return derive


def checked(record: type, config: Derived, key: str, **instead: Any) -> dict[str, Any]:
    """The values of ``record``'s fields in ``config``, or ``instead`` of them, each as its declaration says.

    ``InputError`` with ``key`` and the field's name for the first that is not allowed; ``None`` is, where the field's
    type has it."""
    values = {}
    for f in declared(record):
        value = instead[f.name] if f.name in instead else getattr(config, f.name)
        name = f"{key}.{f.name}"
        if isinstance(f.of, Choice):
            value = choice(name, value, f.of.allowed)
        elif isinstance(f.of, Quantity) and not (value is None and f.default is None):
            value = _quantity(name, value, f.hint, f.of)
        values[f.name] = value
    return values


def _quantity(key: str, value: Any, hint: Any, of: Quantity) -> Any:
    if isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping):
        return {k: number(f"{key}.{k}", v, of.low, of.high, open_low=of.above) for k, v in value.items()}
    found = number(key, value, of.low, of.high, open_low=of.above)
    return int(found) if hint is int else found


def not_empty(key: str, value: Any, wanted: str) -> None:
    """``InputError`` that says what is ``wanted`` where a list or mapping holds nothing."""
    if not value:
        raise InputError(f"{key}: {value} is empty; give {wanted}")
