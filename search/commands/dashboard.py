"""``servefront dashboard RUN [--port N]``: the Optuna study of a run in optuna-dashboard, on this machine alone.

Exit 2: bad input, or optuna-dashboard is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from search.base.arguments import Parser
from search.base.errors import InputError
from search.inputs.bounded_file import read_bounded

HOST = "127.0.0.1"
MAX_BYTES = 1_000_000_000  # of a study's journal: some two million trials


def main(argv: list[str]) -> int:
    """Serves until it is interrupted; returns the exit code."""
    parser = Parser(prog="servefront dashboard", description="The Optuna study of a run in a browser.")
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run with a study (not strategy=exact)")
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="of this machine; 0: any (8080)")
    options = parser.parse_args(argv)
    from search.commands.search import fail

    try:
        server = served(options.run, options.port)
    except InputError as error:
        return fail(str(error), error.exit_code)
    with server:
        print(f"http://{HOST}:{server.server_port}/dashboard/studies/0 shows {options.run}; Ctrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def served(folder: Path, port: int) -> WSGIServer:
    """A server on loopback, listening, not yet answering."""
    journal = folder / "study.journal"
    if not journal.is_file():
        raise InputError(f"RUN: {folder} holds no study.journal, which a search with a sampler leaves")
    if not 0 <= port < 65536:
        raise InputError(f"--port: {port} is not allowed; give a number from 0 to 65535")
    try:
        return make_server(HOST, port, application(journal), handler_class=_Quiet)
    except OSError as error:
        raise InputError(f"--port: {port} cannot be used: {error.strerror}") from error


def application(journal: Path) -> Callable[..., Any]:
    """The dashboard's WSGI application for a study."""
    try:
        from optuna_dashboard import _app, wsgi
    except ImportError:
        raise InputError("optuna-dashboard is not installed: pip install 'servefront[dashboard]'") from None
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    # optuna-dashboard 0.21 takes the best of all trials, those that miss a limit too.
    _app.get_pareto_front_trials = feasible_front
    read_bounded(journal, MAX_BYTES, "a study's journal")
    try:
        return wsgi(JournalStorage(JournalFileBackend(str(journal))))
    except Exception as error:  # whatever Optuna meets in somebody's file
        raise InputError(f"RUN: {journal} is no study's journal: {type(error).__name__}: {error}") from error


def feasible_front(trials: Sequence[Any], directions: Sequence[Any]) -> list[Any]:
    """Trials that nothing dominates, of those that keep every limit."""
    from optuna_dashboard._pareto_front import get_pareto_front_trials

    kept = [t for t in trials if all(missed <= 0.0 for missed in t.constraints.values())]
    return get_pareto_front_trials(kept, directions)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing for every picture that the page loads."""
