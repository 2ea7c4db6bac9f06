"""A study that several processes, on one machine or on many, work on together through Optuna's own storages."""
