"""A TOML file becomes a checked `Profile`; an error names file, line, key and what was expected."""
