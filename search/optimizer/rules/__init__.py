"""Legality: which layouts exist, and which an engine takes."""
