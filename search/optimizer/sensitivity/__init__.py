"""How far the recommended plan depends on what nobody knows exactly: each uncertain input over its range, one unit more
of each resource and limit, and seeded draws over all inputs at once (docs/sensitivity.md)."""
