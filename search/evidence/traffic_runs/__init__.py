"""Measured runs under traffic (requests that arrive at a rate), and what the model says of them."""
