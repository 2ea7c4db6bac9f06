"""The cluster that an accelerator comes with, chosen where nobody names another.

``conf/config.yaml`` has ``cluster: ${own_cluster:${hardware}}`` in its defaults list. Hydra asks once it knows which
hardware the command line and the experiment chose, so that the cluster follows the hardware.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from costmodel.cluster import Cluster
from costmodel.hardware import Accelerator
from search.base.errors import InputError
from search.base.paths import conf_dir
from search.inputs.bounded_file import read_bounded
from search.inputs.config_source import MAX_BYTES
from search.inputs.plain_yaml import read_yaml
from search.inputs.schema import Config

FALLBACK = "hgx8_400g"  # of an accelerator that names none: eight on NVLink-class links, 400 Gb/s each outside
_folders: list[Path] = []  # a configuration folder of the user's, where Hydra's own search path does not tell


def register(folder: Path | None = None) -> None:
    """Make ``${own_cluster:...}`` known; ``folder`` is searched besides the catalog."""
    _folders[:] = [folder] if folder is not None else []
    OmegaConf.register_new_resolver("own_cluster", own_cluster, replace=True)


def own_cluster(hardware: object) -> str:
    """The option of the ``cluster`` group that the file of a ``hardware`` option names, or the file that it begins
    with (its ``defaults``). A file that cannot be read is left to Hydra, which says what is wrong with it."""
    seen: set[str] = set()
    wanted = [str(hardware)]
    while wanted:
        option = wanted.pop().rpartition("/")[2].removesuffix(".yaml")
        if option in seen:
            continue
        seen.add(option)
        content = _read(option)
        if isinstance(content.get("cluster"), str):
            return str(content["cluster"])
        defaults = content.get("defaults")
        wanted += [name for name in defaults if isinstance(name, str)] if isinstance(defaults, list) else []
    return FALLBACK


def _read(option: str) -> dict[str, Any]:
    for folder in (conf_dir(), *_searched()):
        path = folder / "hardware" / f"{option}.yaml"
        if _is_file(path):
            try:
                content = read_yaml(str(path), read_bounded(path, MAX_BYTES, "a configuration file"), "a configuration")
            except InputError:
                return {}
            return content if isinstance(content, dict) else {}
    return {}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _searched() -> list[Path]:
    """The user's folders: ``--config-dir`` and ``hydra.searchpath`` as far as Hydra tells."""
    found = list(_folders)
    if GlobalHydra.instance().is_initialized():
        for element in GlobalHydra.instance().config_loader().get_search_path().get_path():
            if element.path and element.path.startswith("file://"):
                found.append(Path(element.path.removeprefix("file://")))
            elif element.path and "://" not in element.path:
                found.append(Path(element.path))
    return found


def foreign(config: Config, accelerator: Accelerator, cluster: Cluster) -> tuple[str, ...]:
    """One line where a cluster is another vendor's than the accelerator; nothing where nobody says whose either is."""
    vendors = config.cluster.vendors
    if not vendors or accelerator.vendor in (*vendors, "", "unspecified"):
        return ()
    whose = "an invented one" if vendors == ["unspecified"] else f"built with {' or '.join(vendors)} accelerators"
    own = f"; cluster={config.hardware.cluster} is its own" if config.hardware.cluster else ""
    return (f"cluster {cluster.name!r} is {whose}, {accelerator.name!r} is {accelerator.vendor}'s{own}",)
