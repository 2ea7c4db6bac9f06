"""The study of a run, as optuna-dashboard itself answers for it."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path

import pytest

from search.commands.dashboard import main, served

pytest.importorskip("optuna_dashboard")


def test_no_trial_that_misses_a_limit_is_a_best_one(search, tmp_path: Path) -> None:
    code, _, err = search("+experiment=deepseek_r1_h200", "strategy.n_trials=100", "hydra.run.dir=r")
    assert code == 0, err
    with served(tmp_path / "r", 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/api/studies/0") as answer:
            study = json.load(answer)
        server.shutdown()
        thread.join()
    trials = study["trials"]
    missed = [any(c > 0 for c in trial["constraints"]) for trial in trials]
    assert len(trials) == 100 and 0 < sum(missed) < 100
    attributes = [{a["key"]: a["value"] for a in trial["user_attrs"]} for trial in trials]
    assert [a["feasible"].lower() == "false" for a in attributes] == missed
    assert all(a["layout"].strip('"').startswith("tp=") for a in attributes)
    assert {"engines", "burst_ttft_s", "memory_utilization"} <= set(attributes[0])
    best = {trial["number"] for trial in study["best_trials"]}
    assert best and not best & {n for n, bad in enumerate(missed) if bad}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nowhere"], "holds no study.journal"), (["r", "--port", "70000"], "--port: 70000 is not allowed")],
)
def test_bad_input(arguments: list[str], said: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "study.journal").touch()
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
