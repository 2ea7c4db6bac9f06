"""Hydra's own launcher, whose jobs go to workers where ``compute`` says so.

Hydra takes launchers from its own package and from ``hydra_plugins`` alone; so this one stands in its basic launcher's
place. Other launchers (joblib, submitit, Ray's) are untouched.

Hydra's sweeper composes every job to see that it can be and throws that away; the launcher composes it again. With this
one each is composed once, still before the first begins: a sweep of small jobs takes four fifths of the seconds.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from search.base.errors import InputError
from search.base.workers import LOCAL, opened
from search.base.workers.local import inside
from search.commands.job import failures, job
from search.inputs.derived import check_ranges
from search.inputs.kinds import check_kinds
from search.inputs.records import record
from search.inputs.schema import ComputeConfig

log = logging.getLogger("hydra._internal.core_plugins.basic_launcher")


class Ran(NamedTuple):
    """What a job said on standard output and error, and its failures with their exit codes."""

    out: str
    err: str
    failures: list[tuple[str, int]]


@dataclass(frozen=True)
class RunJob:
    """Runs a composed job in the folder ``cwd``; in a worker what it says comes back with it."""

    context: HydraContext
    cwd: str

    def __call__(self, config: DictConfig) -> Ran:
        if not inside():
            self._run(config)
            return Ran("", "", [])
        failures.clear()
        try:
            os.chdir(self.cwd)
        except OSError as error:
            raise InputError(
                f"compute: a worker cannot go to {self.cwd}: {error.strerror}; jobs of a sweep write there: share it"
            ) from error
        setup_globals()
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            done = self._run(config)
        if done.status == JobStatus.FAILED:
            odd: Any = done._return_value
            failures.append((f"unexpected {type(odd).__name__}: {odd}", InputError.exit_code))
        return Ran(out.getvalue(), err.getvalue(), list(failures))

    def _run(self, config: DictConfig) -> JobReturn:
        return run_job(
            hydra_context=self.context,
            task_function=job,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


class Launcher(BasicLauncher):
    """One job after the other here, or all of them spread over workers, in whose turn their output comes."""

    composes_first = True

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        assert self.config is not None
        assert self.hydra_context is not None
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        compute = _compute(self.config)
        composed = [self._composed(overrides) for overrides in job_overrides]
        with opened(compute.kind, compute.workers, compute.address) as hired:
            workers = hired if len(job_overrides) > 1 else LOCAL  # a job alone has them all
            log.info(f"Launching {len(job_overrides)} jobs " + ("locally" if workers is LOCAL else "on workers"))
            context = HydraContext(callbacks=self.hydra_context.callbacks, config_loader=None)  # type: ignore[arg-type]
            task = RunJob(self.hydra_context if workers is LOCAL else context, os.getcwd())
            jobs = self._jobs(job_overrides, composed, initial_job_idx)
            for ran in workers.map(task, jobs, len(job_overrides), "jobs"):
                sys.stdout.write(ran.out)
                sys.stderr.write(ran.err)
                failures.extend(ran.failures)
                configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return []

    def _composed(self, overrides: Sequence[str]) -> bytes:
        """A job's configuration, as a fortieth of the memory that it takes unfolded."""
        assert self.config is not None
        assert self.hydra_context is not None
        return pickle.dumps(self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides)))

    @staticmethod
    def _jobs(job_overrides: Sequence[Sequence[str]], composed: Sequence[bytes], first: int) -> Iterator[DictConfig]:
        for number, (overrides, kept) in enumerate(zip(job_overrides, composed, strict=True), first):
            log.info(f"\t#{number} : {' '.join(filter_overrides(overrides))}")
            config: DictConfig = pickle.loads(kept)
            with open_dict(config):
                config.hydra.job.id = number
                config.hydra.job.num = number
            yield config


def _compute(config: DictConfig) -> ComputeConfig:
    found: Any = OmegaConf.to_container(config.get("compute", OmegaConf.create()), resolve=True)
    check_kinds(found, ComputeConfig, "compute")
    compute: ComputeConfig = record(ComputeConfig, found)
    check_ranges("compute", compute)
    return compute


def register() -> None:
    """In the place of Hydra's basic launcher and sweeper from now on."""
    known = Plugins.instance().class_name_to_class
    from search.commands.sweeper import Sweeper  # not before there are plugins

    for ours in (Launcher, Sweeper):
        theirs = ours.mro()[1]
        known[f"{theirs.__module__}.{theirs.__name__}"] = ours
