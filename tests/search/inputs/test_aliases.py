"""Names that people type become file names before Hydra reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.base.errors import InputError
from search.inputs.aliases import by_file_name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("hardware=h200", "hardware=h200_sxm"),
        ("hardware=H200,b200", "hardware=h200_sxm,b200_sxm"),
        ("hardware=h200_sxm", "hardware=h200_sxm"),
        ("hardware=h200_sxm.yaml", "hardware=h200_sxm.yaml"),
        ("model=Qwen/Qwen3-8B", "model=qwen3_8b"),
        ("model=deepseek-ai/DeepSeek-R1,qwen3_8b", "model=deepseek_r1,qwen3_8b"),
        ("model.name=h200", "model.name=h200"),
        ("hardware=glob(h*)", "hardware=glob(h*)"),
        ("+experiment=qwen3_235b", "+experiment=qwen3_235b"),
    ],
)
def test_names(typed: str, meant: str) -> None:
    assert by_file_name([typed]) == [meant]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("hardware=h2000", "hardware: there is no 'h2000'; near: h200_sxm"),
        ("hardware=zzz", "hardware: there is no 'zzz'; near: none; servefront hardware lists them"),
        ("model=lama_3_8b", "model: there is no 'lama_3_8b'; near: llama_3_8b"),
    ],
)
def test_none_of_that_name(typed: str, line: str) -> None:
    with pytest.raises(InputError) as error:
        by_file_name([typed])
    assert str(error.value).startswith(line)


@pytest.mark.parametrize("flag", ["--config-dir {0}", "--config-dir={0}", "-cd {0}", "hydra.searchpath=['file://{0}']"])
def test_own_files_come_first(tmp_path: Path, flag: str) -> None:
    (tmp_path / "hardware").mkdir()
    (tmp_path / "hardware" / "h200.yaml").write_text("defaults: [h200_sxm]\n")
    arguments = [*flag.format(tmp_path).split(), "hardware=h200"]
    assert by_file_name(arguments) == arguments
