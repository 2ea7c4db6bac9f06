"""The schema's class for a record of the cost model, and the reader that checks it: the record's own declarations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, get_args, get_origin

from omegaconf import MISSING

from costmodel.fields import Choice, Declared, Quantity, declared
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

    Fields in the class's own body win over the record's but keep what it declares of them, and those that the record
    lacks stand behind ``after``, or last. A field without a default must be given (``omegaconf.MISSING``)."""

    def derive(cls: type[D]) -> type[D]:
        own: dict[str, Any] = dict(cls.__annotations__)
        hints: dict[str, Any] = {}
        for f in declared(record):
            hint = own.pop(f.name, f.hint)
            hints[f.name] = hint if f.of is None else Annotated[hint, f.of]
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


def field_of(schema: Any, key: str) -> Declared:
    """The field that a dotted ``key`` is; behind lists stands ``[]``, behind mappings a name."""
    first, _, rest = key.partition(".")
    found = next(f for f in declared(schema) if f.name == first.removesuffix("[]"))
    inside, rest = found.hint, rest if get_origin(found.hint) is not dict else rest.partition(".")[2]
    return field_of(get_args(inside)[-1] if get_args(inside) else inside, rest) if rest else found


def checked(record: type, config: Derived, key: str, **instead: Any) -> dict[str, Any]:
    """The values of ``record``'s fields in ``config``, or ``instead`` of them, each as its declaration says.

    ``InputError`` with ``key`` and the field's name for the first that is not allowed; ``None`` is, where the field's
    type has it."""
    values = {}
    for f in declared(record):
        value = instead[f.name] if f.name in instead else getattr(config, f.name)
        values[f.name] = allowed(f"{key}.{f.name}", value, f)
    return values


def check_ranges(key: str, config: Any) -> None:
    """``InputError`` for the first value in ``config``, a class of the schema, that its own declarations do not allow,
    those of the classes in it included. Classes that follow a record are read by ``checked``."""
    for f in declared(config.__class__):
        value, name = getattr(config, f.name), f"{key}.{f.name}"
        if dataclasses.is_dataclass(value) and not isinstance(value, Derived):
            check_ranges(name, value)
        else:
            allowed(name, value, f)


def allowed(key: str, value: Any, f: Declared) -> Any:
    """``value`` if the field ``f`` may have it; ``InputError`` names ``key``."""
    if f.of is None or (value is None and f.optional):
        return value
    if isinstance(f.of, Choice):
        return choice(key, value, f.of.allowed)
    kind = get_origin(f.hint)
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return {k: quantity(f"{key}.{k}", v, f.of) for k, v in value.items()}
    if isinstance(value, list | tuple) and (kind is list or f.hint is Any):
        return [quantity(key, v, f.of) for v in value]
    found = quantity(key, value, f.of)
    return int(found) if f.hint is int else found


def quantity(key: str, value: Any, of: Quantity) -> Any:
    """``value`` as a field declares it."""
    return number(key, value, of.low, of.high, open_low=of.above)


def not_empty(key: str, value: Any, wanted: str) -> None:
    """``InputError`` that says what is ``wanted`` where a list or mapping holds nothing."""
    if not value:
        raise InputError(f"{key}: {value} is empty; give {wanted}")
