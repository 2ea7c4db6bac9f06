"""From Hydra's configuration to the schema's own types. Every unknown key is refused here."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from search.base.errors import InputError
from search.inputs import own_cluster
from search.inputs.compared import spread
from search.inputs.kinds import check_kinds
from search.inputs.plan_reader import read_baselines
from search.inputs.records import record
from search.inputs.schema import Config
from search.inputs.split.machines import named

own_cluster.register()  # before Hydra composes anything


def typed(config: DictConfig) -> Config:
    """Lay the composed configuration over the schema; an unknown key or a value of the wrong type is an
    ``InputError``. Baselines that are paths are read here, so that what comes out stands alone."""
    try:
        container = OmegaConf.to_container(config, resolve=True)
        spread(container)
        named(container)
        check_kinds(container, Config)
        result = record(Config, container)
    except OmegaConfBaseException as error:
        raise InputError(explain(error)) from error
    assert isinstance(result, Config)
    result.baselines = read_baselines(result.baselines)
    return result


def explain(error: OmegaConfBaseException) -> str:
    """An OmegaConf error in one line."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError):  # of a resolver of ours
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    key = error.full_key or error.key or ""
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        allowed = sorted(getattr(error.object_type, "__dataclass_fields__", {}))
        return f"{key}: unknown key" + (f"; allowed: {', '.join(allowed)}" if allowed else "")
    if isinstance(error, MissingMandatoryValue):
        return f"{key}: must be given"
    return f"{key}: {str(error.msg or error).splitlines()[0]}"
