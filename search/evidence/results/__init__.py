"""Results of benchmarks of one's own servers, read back and set against what was predicted."""
