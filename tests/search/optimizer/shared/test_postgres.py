"""Four processes on one study in a real PostgreSQL, one of them killed; and a database that dies."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

psycopg = pytest.importorskip("psycopg")
import optuna  # noqa: E402
from optuna.storages import RDBStorage  # noqa: E402
from optuna.trial import TrialState  # noqa: E402
from shared_cases import NAME, study  # noqa: E402

from search.base.errors import InputError  # noqa: E402
from search.optimizer.shared.ledger import SLOT, Ledger  # noqa: E402

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def owner() -> dict[str, int]:
    """PostgreSQL refuses to run as root: who it runs as then."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The URL of a server on loopback and a free port, and its process."""
    tool = str(FOLDERS[-1]) if FOLDERS else None
    if not shutil.which("initdb", path=tool) or (
        os.getuid() == 0 and "postgres" not in {u.pw_name for u in pwd.getpwall()}
    ):
        pytest.skip("PostgreSQL is not installed")
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    who = owner()
    if who:
        os.chown(folder, who["user"], who["group"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    make = [shutil.which("initdb", path=tool), "-D", str(folder / "data"), "-A", "trust", "-U", "me", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **who)
    begin = [shutil.which("postgres", path=tool), "-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*begin, "-k", str(folder), "-F"], cwd=folder, **quiet, **who)
    for _ in range(200):
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=me dbname=postgres").close()
            break
        except psycopg.OperationalError:
            time.sleep(0.1)
    yield f"postgresql+psycopg://me@127.0.0.1:{port}/postgres", process
    process.send_signal(signal.SIGINT)  # a fast shutdown
    process.wait(30)
    shutil.rmtree(folder)


def test_four_workers_one_killed(server, repo):
    url, _ = server
    here = Path(__file__).parent / "shared_cases.py"
    path = os.pathsep.join([str(repo), *sys.path])
    workers = [
        subprocess.Popen(
            [sys.executable, str(here), url], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert int(worker.stdout.readline()) == worker.pid
    done = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for _ in range(600):  # until a few trials are told
            with contextlib.suppress(psycopg.errors.UndefinedTable):
                if connection.execute(done).fetchone()[0] >= 5:
                    break
            time.sleep(0.1)
    os.kill(workers[0].pid, signal.SIGKILL)
    said = [worker.communicate()[0].strip() for worker in workers]
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL, 0, 0, 0]
    assert said[1:] == ["True"] * 3
    storage = RDBStorage(url)
    trials = optuna.load_study(study_name=NAME, storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    done = [trial.system_attrs[SLOT] for trial in trials if trial.state == TrialState.COMPLETE]
    assert sorted(done) == list(range(36))
    assert all(trial.state in (TrialState.COMPLETE, TrialState.FAIL) for trial in trials)
    assert len(trials) - len(done) < 36  # void: of a block that several opened when its opener was gone


def test_a_database_that_dies_is_one_line(server, monkeypatch):
    url, process = server
    tell = Ledger._tell

    def telling(self, trial, answer):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        tell(self, trial, answer)

    monkeypatch.setattr(Ledger, "_tell", telling)
    with pytest.raises(InputError, match="strategy.storage: .*the same command goes on with it") as error:
        study(url, "name=other")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="onnection.*refused"):  # nor does it answer the next one
        study(url, "name=other")
