"""The configuration is found from a checkout, an editable install and an installed wheel, each from any folder."""

import subprocess
import sys
from pathlib import Path

import pytest

SHOW = "from search.base.paths import conf_dir; print(conf_dir())"


def conf_of(python: Path | str, folder: Path, *, path: Path | None = None) -> Path:
    command = [str(python), "-c", SHOW]
    environment = {"PATH": "/usr/bin:/bin"} | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=environment)
    return Path(done.stdout.strip())


def test_from_the_checkout_and_the_editable_install(repo, tmp_path):
    assert conf_of(sys.executable, repo).resolve() == repo / "conf"
    assert conf_of(sys.executable, tmp_path, path=repo).resolve() == repo / "conf"


@pytest.mark.slow
def test_from_an_installed_wheel(repo, tmp_path):
    """A bare environment that sees this one's libraries, but the program from its wheel alone."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(repo)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("servefront-*.whl")
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    assert (target / "search" / "conf" / "config.yaml").is_file()
    assert conf_of(sys.executable, tmp_path, path=target) == target / "search" / "conf"
    run = [sys.executable, "-m", "search", "+experiment=qwen3_235b", "strategy=exact"]
    done = subprocess.run(
        run, cwd=tmp_path, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(target)}
    )
    assert done.returncode == 0, done.stderr
    assert "Recommended plan" in done.stdout
    assert list((tmp_path / "outputs" / "qwen3_235b").iterdir())
