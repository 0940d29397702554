"""What each engine says of its own settings: a file an engine, each with `read`."""
