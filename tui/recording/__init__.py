"""Crash-safe writing, reading, listing and export of sessions."""
