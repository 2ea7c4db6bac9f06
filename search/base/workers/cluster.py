"""A Ray cluster that is already there. Ray is imported when it is asked for."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from search.base import interrupt
from search.base.code_version import code_version
from search.base.errors import InputError
from search.base.progress import track
from search.base.workers.local import INSIDE, Hired

P = TypeVar("P")
R = TypeVar("R")
AHEAD = 2  # pieces that wait for each core
ADDRESS = re.compile(r"(ray://)?(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")
ANSWER_S = 5.0  # within which a host takes a connection
# How every gRPC server is greeted, and the kind of frame that it answers with (RFC 9113, 3.4 and 6.5).
HELLO, SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)), b"\x04"
SOON = {"RAY_NUM_REDIS_GET_RETRIES": "1", "RAY_py_gcs_connect_timeout_s": "5"}  # what answers may be no Ray at all


class OtherVersion(Exception):
    """A worker runs other code; the message says where and which."""


def call(version: str, task: Callable[[P], R], piece: P) -> R:
    """What a worker runs: the task, if it is the same code's."""
    os.environ[INSIDE] = "1"
    if code_version() != version:
        raise OtherVersion(f"{socket.gethostname()} runs {code_version()}; this is {version}; install the same")
    return task(piece)


class Cluster(Hired):
    """Pieces as tasks of the cluster at ``address`` (``None``: the one of this machine), as many at once as it has
    cores, or ``count``. A piece whose node died is done again by another: Ray sees to that."""

    def __init__(self, count: int | None, address: str | None) -> None:
        self._ray: Any = _imported()
        self._address = "auto" if address is None else address
        self._check_address()
        self._own = not self._ray.is_initialized()
        if self._own:
            self._connect()
        super().__init__(count or max(int(self._ray.cluster_resources().get("CPU", 1)), 1))
        self._call = self._ray.remote(num_cpus=1)(call)

    def _connect(self) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        try:
            with _silent():
                self._ray.init(address=self._address, **quiet)
        except Exception as error:  # Ray's own have no common base: ConnectionError, ValueError, RuntimeError, grpc's
            line = " ".join(str(error).split())[:200]
            raise InputError(f"compute.address: no Ray cluster answers at {self._address}: {line}") from error

    def _check_address(self) -> None:
        """``InputError`` for what is no address, or where no Ray answers: Ray itself would try for minutes."""
        if self._address == "auto":
            return
        found = ADDRESS.fullmatch(self._address)
        if not found or not 0 < int(found[3]) < 65536:
            raise InputError(
                f"compute.address: {self._address!r} is not allowed; give auto, host:6379 or ray://host:10001, where a "
                "cluster is"
            )
        host = found[2].strip("[]")
        if not found[1] and host in ("localhost", "127.0.0.1", "::1"):
            host = self._ray.util.get_node_ip_address()  # as Ray takes it
        try:
            with socket.create_connection((host, int(found[3])), ANSWER_S) as connection:
                connection.sendall(HELLO)
                said = connection.recv(9)
        except OSError as error:
            raise InputError(
                f"compute.address: no Ray cluster answers at {self._address}: {error.strerror or error}"
            ) from error
        if said[3:4] != SETTINGS and not os.environ.get("RAY_USE_TLS"):
            raise InputError(f"compute.address: what answers at {self._address} is no Ray cluster")

    def map(self, task: Callable[[P], R], pieces: Iterable[P], many: int, label: str) -> Iterator[R]:
        shared = self._ray.put(task)
        waiting: deque[Any] = deque()
        left = iter(pieces)
        try:
            for _ in track(range(many), label, many):
                if interrupt.asked():
                    return
                while len(waiting) < AHEAD * self.count and (piece := next(left, waiting)) is not waiting:
                    waiting.append(self._call.remote(code_version(), shared, piece))
                yield self._done(waiting.popleft())
        finally:  # also where whoever asked has enough
            for reference in waiting:
                self._ray.cancel(reference, force=False)

    def _done(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, InputError):
                raise cause from error
            line = " ".join(str(cause or error).split())
            missing = re.search(r"No module named '(search|costmodel)[\w.]*'", line)
            if missing:
                line = "a node lacks servefront; install the same version there"
            raise InputError(f"compute.address: Ray at {self._address}: {line[:300]}") from error

    def close(self) -> None:
        if self._own:
            self._own = False
            self._ray.shutdown()


@contextmanager
def _silent() -> Iterator[None]:
    """Ray's core writes to the standard error of the process, whatever Python's is."""
    sys.stderr.flush()
    said, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(said, 2)
        os.close(said)
        os.close(nowhere)


def _imported() -> Any:
    for name, value in SOON.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise InputError("compute.kind: ray needs the package ray: pip install 'servefront[ray]'") from error
    return ray
