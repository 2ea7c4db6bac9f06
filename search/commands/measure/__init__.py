"""Measuring an accelerator with PyTorch: timings of the kinds of work that the planner's laws describe, and the law's
constants fitted to them (docs/measure.md). ``torch`` is imported only when a device is opened."""
