"""Optuna's proxy: one gRPC server speaks to the storage, workers speak to it alone."""

from __future__ import annotations

import re
import warnings
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage

from search.base.errors import InputError

SCHEME = "grpc://"
ADDRESS = re.compile(r"grpc://(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")


def open_proxy(key: str, text: str, answer_s: float) -> BaseStorage:
    """The storage behind the server at ``grpc://HOST:PORT``; ``InputError`` naming ``key`` where none answers."""
    found = ADDRESS.fullmatch(text)
    if not found or not 0 < int(found[2]) < 65536:
        raise InputError(f"{key}: {text} is not allowed; a proxy is grpc://HOST:PORT")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            from optuna.storages import GrpcStorageProxy

            proxy = GrpcStorageProxy(host=found[1], port=int(found[2]))
        proxy.wait_server_ready(timeout=answer_s)
    except ImportError as error:
        raise InputError(f"{key}: {text} needs a package: pip install 'servefront[grpc]' ({error})") from error
    except ConnectionError as error:
        raise InputError(f"{key}: {text}: no proxy answers within {answer_s:g} s") from error
    return proxy


def failed_call(error: BaseException) -> str | None:
    """What a call over gRPC failed with; ``None`` where it is another error."""
    if not any(kind.__module__.partition(".")[0] == "grpc" for kind in type(error).__mro__):
        return None
    details: Any = getattr(error, "details", lambda: None)
    return " ".join(str(details() or type(error).__name__).split())[:300]
