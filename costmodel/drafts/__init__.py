"""Drafts that a model checks: what proposes them, what is gained, what it costs."""
