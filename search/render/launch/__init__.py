"""Launch commands: a plan in the words of an engine, complete enough to start, or the rule that the engine lacks."""
