"""A study that several work on is the study of one: no trial is lost, none is scored twice."""

import contextlib
import threading

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from shared_cases import NAME, same, study

from search.base.code_version import code_version
from search.base.errors import InputError
from search.optimizer.shared import ledger
from search.optimizer.shared.ledger import SLOT, Ledger
from search.optimizer.shared.storage import WholeJournal, open_storage


@pytest.fixture(scope="module")
def alone():
    return study(None)


@pytest.fixture
def journal(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "PATIENCE_S", 0.5)
    monkeypatch.setattr("os.fsync", lambda _: None)  # a hundred times a second is what the disk can do
    return str(tmp_path / "study.journal")


def stored(journal):
    return optuna.load_study(study_name=NAME, storage=JournalStorage(JournalFileBackend(journal))).trials


class Dies(BaseException):
    pass


def together(journal, many, dying=0):
    """What so many workers find; the first ``dying`` of them die in the middle of a trial."""
    found, told, lock = {}, [], threading.Lock()
    tell = Ledger._tell

    def telling(self, trial, answer):
        me = int(threading.current_thread().name)
        with lock:
            told.append((me, trial.system_attrs[SLOT]))
            if me < dying and sum(one == me for one, _ in told) == 3:
                raise Dies
        tell(self, trial, answer)

    def work():
        with contextlib.suppress(Dies):
            found[int(threading.current_thread().name)] = study(journal)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Ledger, "_tell", telling)
        threads = [threading.Thread(target=work, name=str(i)) for i in range(many)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return found, told


def test_alone_in_a_journal_and_joined_when_done(journal, alone):
    assert same(study(journal), alone)
    before = stored(journal)
    assert same(study(journal), alone)  # all is read, nothing scored
    assert [t.datetime_complete for t in stored(journal)] == [t.datetime_complete for t in before]
    assert [t.values for t in before] == [values for _, _, values, *_ in alone[0]]
    assert all(t.params == params for t, (_, params, *_) in zip(before, alone[0], strict=True))


def test_three_together_score_each_trial_once(journal, alone, monkeypatch):
    monkeypatch.setattr(ledger, "PATIENCE_S", 60.0)
    found, told = together(journal, 3)
    assert all(same(found[i], alone) for i in range(3))
    # One of them may be fast enough to score them all: who does is up to the machine.
    assert sorted(slot for _, slot in told) == list(range(36))
    assert [t.system_attrs[SLOT] for t in stored(journal)] == list(range(36))


def test_workers_that_die_are_taken_over_from(journal, alone):
    found, _ = together(journal, 3, dying=2)
    assert list(found) == [2]
    assert same(found[2], alone)
    done = [t.system_attrs[SLOT] for t in stored(journal) if t.state == TrialState.COMPLETE]
    assert sorted(done) == list(range(36))
    assert all(t.state in (TrialState.COMPLETE, TrialState.FAIL) for t in stored(journal))


def test_a_torn_record_is_left_out(journal, alone):
    study(journal, "strategy.n_trials=20")
    with open(journal, "ab") as file:
        file.write(b'{"op_code":5,"worker_id":"x","st')  # a writer that was killed in it
    backend = WholeJournal(journal)
    backend.append_logs([{"one": 1}])
    assert list(WholeJournal(journal).read_logs(0))[-1] == {"one": 1}


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(journal, alone, monkeypatch):
    written = []

    def appended(self, logs):
        written.append(logs)
        if len(written) > 60:
            raise OSError(28, "No space left on device")
        append(self, logs)

    append = WholeJournal.append_logs
    with monkeypatch.context() as patched:
        patched.setattr(WholeJournal, "append_logs", appended)
        with pytest.raises(InputError, match=r"^strategy\.storage: No space left on device; what was told is there"):
            study(journal)
    assert 0 < sum(t.state == TrialState.COMPLETE for t in stored(journal)) < len(alone[0])
    assert same(study(journal), alone)


def test_a_study_of_other_proposals_is_not_mixed_with_these(journal):
    study(journal)
    with pytest.raises(
        InputError, match=r"^strategy\.storage: trial 0 there is another plan than the one proposed here"
    ):
        study(journal, "strategy.seed=5")


@pytest.mark.parametrize(
    ("asked", "version", "said"),
    [
        ("that", code_version(), "there has another configuration; give another name or storage"),
        ("this", "servefront 0.0.0", "is of servefront .*; this is servefront 0.0.0; give another name"),
    ],
)
def test_another_question_or_version_is_one_line(asked, version, said, journal, monkeypatch):
    study(journal, "strategy.n_trials=1")
    monkeypatch.setattr(ledger, "code_version", lambda: version)
    with pytest.raises(InputError, match=said) as error:
        study(journal, "strategy.n_trials=1", asked=asked)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/nowhere/study.journal", "cannot be written: there is no folder"),
        ("postgresql+psycopg://me:secret@host/db", r"postgresql\+psycopg://me:\*\*\*@host/db has a password"),
        ("nosuch://host/db", "strategy.storage: nosuch://host/db: Can't load plugin"),
        ("sqlite:////nowhere/study.db", "unable to open database file"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_one_line(text, said):
    with pytest.raises(InputError, match=said) as error:
        open_storage(text)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_journal_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("not a journal\nat all\n")
    with pytest.raises(InputError, match=r"notes.txt: holds no Optuna journal"):
        open_storage(str(tmp_path / "notes.txt"))


CHOICE = optuna.distributions.CategoricalDistribution((1, 2))


def test_a_journal_whose_last_record_is_spoilt_is_one_line(tmp_path):
    """Optuna takes it until the next record is appended; half a record, of a killed writer, is no damage."""
    path = tmp_path / "study.journal"
    optuna.create_study(storage=open_storage(str(path)), study_name="s")
    path.write_bytes(path.read_bytes() + b'{"op_code": 0, "worker')
    optuna.create_study(storage=open_storage(str(path)), study_name="t")
    written = path.read_bytes()
    study = optuna.create_study(storage=open_storage(str(path)), study_name="u")
    study.add_trial(optuna.trial.create_trial(params={"x": 1}, distributions={"x": CHOICE}, value=1.0))
    path.write_bytes(path.read_bytes().replace(rb"\"choices\": [1", rb"\"choices\": [{}"))
    with pytest.raises(InputError, match="study.journal: holds no Optuna journal"):
        open_storage(str(path))
    path.write_bytes(written + b'{"op_code" 0}\n')
    with pytest.raises(InputError, match="study.journal: holds no Optuna journal"):
        open_storage(str(path))
