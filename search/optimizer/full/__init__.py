"""Every layout, batch, chunk size, format and engine at once: the exact front without a list of plans."""
