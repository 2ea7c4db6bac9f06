"""``servefront explain RUN``: why a plan is, or is not, what a run recommends (docs/explain.md)."""
