"""Engines started with one configuration, and ended in order."""
