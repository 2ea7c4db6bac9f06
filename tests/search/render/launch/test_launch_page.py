"""docs/launch.md: its commands run, its tables are complete."""

import re
import shlex
import subprocess
from pathlib import Path

from search.cli import main as servefront
from search.commands.search import main as search
from search.optimizer.rules.start import START_RULES
from search.render.launch.flags import SGLANG, TRTLLM, VLLM

# Read by search.commands.audit, not written: no axis of a plan, deprecated, or left to the engine.
NOT_WRITTEN = {
    "local_groups", "first_group", "group_address", "group_port", "block", "old_attn_dp", "dense_tp", "moe_dp", "dp",
    "model", "cache_bytes", "blocks", "cache_tokens",
}  # fmt: skip


def page(repo: Path) -> str:
    return (repo / "docs" / "launch.md").read_text()


def test_its_commands_run(repo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^    (\S.*)$", page(repo), re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        words = shlex.split(command)
        if words[0] == "python":
            assert search([*words[3:], "strategy.n_trials=20"]) == 0
        elif words[0] == "servefront":
            assert servefront(words[1:]) == 0
            assert capsys.readouterr().out
        else:
            subprocess.run(words, check=True)


def test_it_names_every_flag_and_rule(repo):
    text = page(repo)
    flags = [f.name for table in (VLLM, SGLANG, TRTLLM) for key, f in table.items() if key not in NOT_WRITTEN]
    missing = [name for name in [*flags, *(r.name for r in START_RULES)] if f"`{name}`" not in text]
    assert not missing
