"""The commands, a few lines each."""
