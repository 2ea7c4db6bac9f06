"""Ranks placed on nodes one by one, and NCCL's double tree over them in plain floats, for the scalar reference."""

import math


def double_tree(networks: tuple[tuple[int, float, float], ...], inside: list[int], data: float) -> float:
    """Seconds of an all-reduce over two tiers (domain, latency, bytes/s), of ``inside`` ranks in a domain of each, by
    the protocol that NCCL estimates to be fastest."""
    (_, _, beta), (_, alpha, outer) = networks
    m, nodes = inside[0], inside[1] / inside[0]
    both_ways = 2 * (m - 1) / m * data / beta + 2 * (nodes - 1) / nodes * data / m / outer
    carried = (data / 11.25e9, data / (0.276 * m * outer), both_ways)
    protocols = ((6.8e-6, 0.6e-6, 1.0), (14e-6, 1.25e-6, 1.7), (8.4e-6, 4e-6, 2.8))
    return min(
        base + 2 * ((m - 1) * hop + math.log2(nodes) * net * alpha) + on_the_way
        for (base, hop, net), on_the_way in zip(protocols, carried, strict=True)
    )


def together(size: int, stride: int, domain: int, gpus: int) -> int:
    """Ranks of one group that share a domain, for the group that is torn the most."""
    worst = size
    for start in range(0, gpus, size * stride):
        for offset in range(stride):
            places = [(start + offset + i * stride) // domain for i in range(size)]
            worst = min(worst, max(places.count(p) for p in places))
    return worst
