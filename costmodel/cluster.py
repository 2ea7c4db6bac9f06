"""How accelerators are wired: tiers, each a larger domain with its own latency and bandwidth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from costmodel.fields import Quantity


@dataclass(frozen=True)
class Tier:
    """Accelerators that reach each other over one kind of link."""

    name: str
    size: Annotated[int, Quantity("accelerators in such a domain", 1)]
    latency_s: Annotated[float, Quantity("of one pass of a message (alpha)", 0, 1)]
    bytes_per_s: Annotated[float, Quantity("what one accelerator's link carries in one direction", 1e6, 1e14)]
    efficiency: Annotated[float, Quantity("share of bytes_per_s that a collective achieves", 0, 1, above=True)] = 1.0
    oversubscription: Annotated[float, Quantity("divides the rate", 1, 1e4)] = 1.0
    switch_latency_s: Annotated[
        float, Quantity("of an all-reduce that the switch adds up (NVLink SHARP); 0: it adds up none", 0, 1)
    ] = 0.0

    @property
    def rate(self) -> float:
        """Bytes/s that count: beta."""
        return self.bytes_per_s * self.efficiency / self.oversubscription


@dataclass(frozen=True)
class Cluster:
    """``tiers`` from the inside (a node) to the outside. ``max_gpus`` accelerators exist at most."""

    name: str
    tiers: tuple[Tier, ...]

    @property
    def node_size(self) -> int:
        return self.tiers[0].size

    @property
    def max_gpus(self) -> int:
        return self.tiers[-1].size

    def members(self, tier: int, size: Any, stride: Any, gpus: Any) -> Any:
        """How many ranks of a group share one domain of ``tier``.

        A group is ``size`` ranks that stand ``stride`` apart, so it covers ``size * stride`` neighbouring ranks. It
        lies inside one domain when that extent divides the domain's size, or when all ``gpus`` fit in it; otherwise
        some group of the deployment straddles a border, and the slowest group counts. Then at most
        floor(domain / stride) ranks are together, and at least one.
        """
        domain = self.tiers[tier].size
        extent = size * stride
        inside = (gpus <= domain) | ((extent <= domain) & (domain % np.maximum(extent, 1) == 0))
        # A straddling group of ranks: the share of the group that one domain holds in the worst placement.
        together = np.maximum(np.floor(domain / stride), 1.0)
        split = np.minimum(together, np.maximum(np.ceil(size / 2), 1.0))
        return np.where(inside, size, np.minimum(split, size))
