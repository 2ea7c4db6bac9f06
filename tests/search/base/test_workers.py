"""Whoever works, the answers are the same and in order; who dies is replaced; what cannot be hired is one line."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from search.base.errors import InputError
from search.base.workers import LOCAL, opened, remembered
from search.base.workers.cluster import Cluster
from search.base.workers.processes import Processes
from search.base.workers.remembered import FOLDER, Remembered, forget

MANY = 20


def squared(piece: int) -> tuple[np.ndarray, ...]:
    return (np.arange(piece) ** 2, np.array(piece))


def dies_once(marker: str, piece: int) -> tuple[int, int]:
    """Piece 7 kills its worker the first time."""
    if piece == 7 and not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return piece, os.getpid()


def dies(piece: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return piece


@pytest.fixture(scope="module")
def two():
    workers = Processes(2)
    yield workers
    workers.close()


def test_processes_give_the_same_in_the_same_order(two):
    here = list(LOCAL.map(squared, range(MANY), MANY, ""))
    there = list(two.map(squared, range(MANY), MANY, ""))
    assert [[a.tolist() for a in r] for r in here] == [[a.tolist() for a in r] for r in there]


def sleeps(piece: int) -> int:
    time.sleep(600.0 * piece)
    return piece


def stops(results):
    """As Ctrl-C after the first."""
    assert next(results) == 0
    raise KeyboardInterrupt


def test_who_ends_at_once_does_not_wait_for_workers():
    """A test that hangs has failed."""
    with pytest.raises(KeyboardInterrupt), opened("processes", 2, None) as workers:
        stops(workers.map(sleeps, range(4), 4, ""))


def test_a_worker_that_is_killed_loses_no_piece(two, tmp_path):
    found = list(two.map(partial(dies_once, str(tmp_path / "died")), range(MANY), MANY, ""))
    assert [piece for piece, _ in found] == list(range(MANY))
    assert os.getpid() not in {worker for _, worker in found}
    assert (tmp_path / "died").exists()


def test_workers_that_all_die_are_one_line(two):
    with pytest.raises(InputError, match=r"compute.workers: 2 processes: one was killed"):
        list(two.map(dies, range(3), 3, ""))


def test_workers_end_with_the_one_who_hired_them(tmp_path):
    """Even if that one is killed and says nothing to them."""
    code = (
        "import os, sys, time\n"
        "from search.base.workers.processes import Processes\n"
        "if __name__ == '__main__':\n"
        "    w = Processes(1)\n"
        "    print(next(w.map(os.getenv, ['SERVEFRONT_WORKER'], 1, '')), *w._pool._processes, flush=True)\n"
        "    time.sleep(60)\n"
    )
    hirer = tmp_path / "hirer.py"
    hirer.write_text(code)
    with subprocess.Popen([sys.executable, str(hirer)], stdout=subprocess.PIPE, text=True) as process:
        inside, worker = process.stdout.readline().split()
        process.kill()
    assert inside == "1"
    for _ in range(100):
        try:
            os.kill(int(worker), 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the worker lives on")


def test_what_cannot_be_hired_is_one_line():
    with pytest.raises(InputError, match="compute.address: 'host:1' is a Ray cluster's"):
        opened("processes", 2, "host:1").__enter__()


def test_a_worker_hires_nobody(monkeypatch):
    monkeypatch.setenv("SERVEFRONT_WORKER", "1")
    with opened("processes", 2, None) as workers:
        assert workers is LOCAL


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "give auto, host:6379 or ray://host:10001"),
        ("127.0.0.1:99999", "give auto, host:6379"),
        ("127.0.0.2:1", "no Ray cluster answers at 127.0.0.2:1: Connection refused"),
    ],
)
def test_a_bad_address_is_one_line(address, said, monkeypatch):
    """Asked without Ray: its module is not needed to know."""
    monkeypatch.setattr("search.base.workers.cluster._imported", object)
    with pytest.raises(InputError, match=said) as error:
        Cluster(None, address)
    assert "\n" not in str(error.value)


def gone_through(folder, asked="the question", stop=MANY):
    """Results and the pieces that were worked on, of a process that ends after ``stop`` of them."""
    done = []

    def task(piece):
        done.append(piece)
        return squared(piece)

    found = []
    for result in Remembered(LOCAL, folder, asked).kept(task, range(MANY), MANY, ""):
        found.append(result)
        if len(found) == stop:
            break
    return found, done


def test_pieces_that_are_done_are_not_done_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(remembered, "EVERY_S", 0.0)
    gone_through(tmp_path, stop=8)
    found, done = gone_through(tmp_path)
    assert done == list(range(8, MANY))
    assert [int(count) for _, count in found] == list(range(MANY))
    assert all(np.array_equal(row, np.arange(i) ** 2) for i, (row, _) in enumerate(found))
    torn = sorted((tmp_path / FOLDER).glob("0-3-*.npz"))[0]
    torn.write_bytes(torn.read_bytes()[:-9])
    assert gone_through(tmp_path)[1] == list(range(3, MANY))
    assert capsys.readouterr().err == ""
    assert gone_through(tmp_path, "another")[1] == list(range(MANY))
    assert "was left by another version or another search; starting again" in capsys.readouterr().err
    forget(tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_search_killed_before_it_kept_anything_begins_without_a_word(tmp_path, capsys):
    (tmp_path / FOLDER).mkdir()  # made, and killed before it said whose it is
    assert gone_through(tmp_path)[1] == list(range(MANY))
    assert capsys.readouterr().err == ""


def test_a_full_disk_does_not_end_the_search(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(remembered, "EVERY_S", 0.0)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remembered, "put", full)
    assert len(gone_through(tmp_path)[0]) == MANY
    assert capsys.readouterr().err.count("\n") == 1  # said once
