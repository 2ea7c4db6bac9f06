"""Predictions of rows that took no part in the fit: whole families, models, systems, engines or versions left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from search.evidence.measured.fitting import Fitted, apply, fit_linear, linear_around
from search.evidence.measured.grouped import Figures, Read, predict
from search.evidence.measured.linear import Linear
from search.evidence.measured.rows import Measurement
from search.evidence.measured.versions import version_of
from search.inputs.models.catalog import plain


def model_of(m: Measurement) -> str:
    """The architecture: DeepSeek-R1 is DeepSeek-V3's, and a checkpoint in another format is the same model."""
    name = plain(m.model.rsplit("/", 1)[-1])
    for ending in ("fp8", "instruct", "nvfp4", "0528"):
        name = name.removesuffix(ending)
    return "deepseekv3" if name.startswith(("deepseekr1", "deepseekv3")) else name


def version_family(m: Measurement) -> str:
    """Engine and minor version; rows without a number are a version of their own."""
    return f"{m.engine} {version_of(m) or m.version or 'not printed'}"


KEYS: Mapping[str, Callable[[Measurement], str]] = {
    "family": lambda m: str(m.family),
    "model": model_of,
    "system": lambda m: m.system,
    "engine": lambda m: m.engine,
    "version": version_family,
}
STRICT = ("model", "system", "version")  # all of a row's are left out together


def mask(read: Read, wanted: Callable[[Measurement], bool]) -> NDArray[np.bool_]:
    return np.array([i in read.cases and wanted(row) for i, row in enumerate(read.rows)])


class LeftOut:
    """Leaves rows out of the fit, with the slopes around ``fitted`` (constants fitted to ``keep``)."""

    def __init__(self, read: Read, fitted: Fitted, keep: NDArray[np.bool_]) -> None:
        self.read, self.keep = read, keep
        self.linear: Linear = linear_around(read, fitted)

    def one(self, what: str) -> Figures:
        """Every row predicted with constants fitted to the rows of other groups."""
        key = KEYS[what]
        return self._each(lambda m: (key(m),))

    def strict(self) -> Figures:
        """Every row predicted with constants fitted to rows of another model, another system and another version."""
        return self._each(lambda m: tuple(KEYS[k](m) for k in STRICT))

    def _each(self, keys: Callable[[Measurement], tuple[str, ...]]) -> Figures:
        read = self.read
        places = list(read.cases)
        at = {i: n for n, i in enumerate(places)}
        out = np.full((4, len(places)), np.nan)
        of_row = [keys(row) for row in read.rows]
        for group in sorted({of_row[i] for i in places}):
            others = [not any(a == b for a, b in zip(own, group, strict=True)) for own in of_row]
            fitted = fit_linear(read, self.linear, self.keep & np.array(others))
            inside = Read(read.rows, {i: c for i, c in read.cases.items() if of_row[i] == group}, {})
            found = predict(inside, apply(fitted))
            out[:, [at[i] for i in found.places]] = [
                found.ttft_s, found.tpot_s, found.tokens_per_s_per_gpu, found.waiting,
            ]  # fmt: skip
        return Figures(places, out[0], out[1], out[2], out[3] > 0)
