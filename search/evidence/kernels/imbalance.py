"""How much longer experts take under power-law routing than under balanced routing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from search.evidence.kernels.cases import Cases
from search.evidence.kernels.fitting import Constants, predict, split

LARGE = 2048  # tokens from which the products compute more than they read
KEYS = ["accelerator", "kernel", "format", "moe_ep_size"]


def table(cases: Sequence[Cases], constants: Constants) -> pd.DataFrame:
    """Per distribution and expert parallel degree: the median over kernels of measured / predicted, relative to the
    same kernel's balanced rows. The tables hold no two rows that differ in the distribution only, so the law (of
    balanced routing) stands in for the shape. Layers of ``LARGE`` tokens and more."""
    parts = []
    for part in split(cases):
        frame = part.frame[[*KEYS, "distribution", "num_tokens"]].copy()
        frame["ratio"] = part.frame["seconds"].to_numpy() / predict("experts", constants, part)
        reason = part.frame["left_out"]
        parts.append(frame[(reason == "") | reason.str.startswith("power-law")])
    rows = pd.concat(parts)
    rows = rows[(rows["num_tokens"] >= LARGE) & ~rows["distribution"].str.contains("eplb|uniform")]
    medians = rows.groupby([*KEYS, "distribution"])["ratio"].agg(["median", "size"]).reset_index()
    balanced = medians[medians["distribution"] == "balanced"].set_index(KEYS)["median"].rename("balanced")
    skewed = medians[(medians["distribution"] != "balanced") & (medians["size"] >= 3)].join(balanced, on=KEYS).dropna()
    skewed["imbalance"] = skewed["median"] / skewed["balanced"]
    grouped = skewed.groupby(["distribution", "moe_ep_size"])
    out = grouped["imbalance"].agg(["median", "size"]).rename(columns={"size": "kernels"})
    out["rows"] = grouped["size"].sum()
    return out.replace([np.inf], np.nan)
