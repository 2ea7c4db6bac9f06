"""Hire whom the configuration asks for, and let them go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from search.base.errors import InputError
from search.base.workers.local import LOCAL, Workers, cores, inside


def check(kind: str, address: str | None) -> None:
    """``InputError`` for what cannot be hired."""
    if address is not None and kind != "ray":
        raise InputError(f"compute.address: {address!r} is a Ray cluster's; give compute=ray, or no address")


@contextmanager
def opened(kind: str, workers: int | None, address: str | None) -> Iterator[Workers]:
    """The workers, until the end of the block. In a worker it is that one itself."""
    check(kind, address)
    found = LOCAL if kind == "local" or inside() else _hired(kind, workers, address)
    try:
        yield found
    except KeyboardInterrupt:
        found.end()
        raise
    finally:
        found.close()


def _hired(kind: str, workers: int | None, address: str | None) -> Workers:
    if kind == "ray":
        from search.base.workers.cluster import Cluster

        return Cluster(workers, address)
    from search.base.workers.processes import Processes

    many = workers or cores()
    return LOCAL if many == 1 else Processes(many)
