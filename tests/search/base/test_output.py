"""Who reads what a command says may go away; what it writes into files is all there."""

import errno
import io
import os
import sys

import pytest

from search.cli import guarded, main

SWEEP = (
    "-m", "+experiment=qwen3_235b", "strategy=exact", "report=none", "sensitivity=none", "space.gpus=[8]",
    "space.batch=[16]", "workload.isl=256,512",
)  # fmt: skip


class Full(io.StringIO):
    """Takes so many writes, and no more."""

    def __init__(self, number, writes):
        super().__init__()
        self.number, self.left = number, writes

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)


def lists():
    for number in range(5):
        print(number)
    return 0


@pytest.mark.parametrize("writes", [0, 3])
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(errno.EPIPE, 0, ""), (errno.ENOSPC, 2, "error: standard output: No space left on device\n")],
)
def test_a_list_that_nobody_reads_to_its_end(monkeypatch, capsys, number, code, said, writes):
    monkeypatch.setattr(sys, "stdout", Full(number, writes))
    assert guarded(lists) == code
    assert isinstance(sys.stdout, Full)  # nothing was left in its place
    assert capsys.readouterr().err == said


def test_errors_that_nobody_reads_do_not_change_the_exit_code(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Full(errno.ENOSPC, 0))
    assert guarded(lambda: main(["no-such-command"])) == 2


def test_a_sweep_goes_on_when_its_output_ends(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "stdout", Full(errno.EPIPE, 1))
    assert main([*SWEEP, f"hydra.sweep.dir={tmp_path / 's'}"]) == 0
    assert capsys.readouterr().err == ""
    assert {path.parent.name for path in tmp_path.rglob("summary.json")} == {"0", "1"}
    assert (tmp_path / "s" / "sweep.csv").exists()
