"""A study through Optuna's gRPC proxy, and proxies that are none. What needs grpcio is skipped without it."""

import os
import socket
import subprocess
import sys

import pytest
from shared_cases import same, study

from search.base.errors import InputError
from search.optimizer.shared import proxy, storage

SERVER = """
import sys
from optuna.storages import InMemoryStorage, run_grpc_proxy_server
run_grpc_proxy_server(InMemoryStorage(), host="127.0.0.1", port=int(sys.argv[1]))
"""


@pytest.fixture
def server():
    """The URL of a proxy on loopback and a free port, and its process."""
    pytest.importorskip("grpc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join(sys.path)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], env={**os.environ, "PYTHONPATH": path}, **quiet
    )
    yield f"grpc://127.0.0.1:{port}", process
    process.kill()
    process.wait()


def test_the_study_is_that_of_one_alone(server, monkeypatch):
    """The second one finds it done; when the server has died, a line says what becomes of what was told."""
    url, process = server
    monkeypatch.setattr(storage, "ANSWER_S", 60.0)
    alone = study(None)
    assert same(study(url), alone)
    assert same(study(url), alone)
    opened = storage.open_storage
    monkeypatch.setattr("search.optimizer.shared.ledger.open_storage", lambda text: (opened(text), process.kill())[0])
    with pytest.raises(InputError, match="strategy.storage: .*the same command goes on with it") as error:
        study(url, "name=other")
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    monkeypatch.setattr(storage, "ANSWER_S", 0.1)
    with pytest.raises(InputError, match="no proxy answers within 0.1 s"):
        study(url, "name=other")


@pytest.mark.parametrize("text", ["grpc://", "grpc://host", "grpc://host:0", "grpc://host:99999", "grpc://a b:1"])
def test_what_is_no_address_is_one_line(text):
    with pytest.raises(InputError, match=r"strategy.storage: .* is not allowed; a proxy is grpc://HOST:PORT"):
        storage.open_storage(text)


def test_without_the_package_a_line_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("grpc.", "optuna.storages._grpc"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(InputError, match=r"pip install 'servefront\[grpc\]'"):
        proxy.open_proxy("strategy.storage", "grpc://127.0.0.1:1", 0.1)
