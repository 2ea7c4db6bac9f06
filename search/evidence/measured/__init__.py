"""Measurements of real servers: reading them, predicting them, and saying how far off the predictions are."""
