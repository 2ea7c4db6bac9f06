"""Audits: a plan that somebody wrote, or a command that somebody runs, against the model."""
