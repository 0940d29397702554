"""Brings the records of one head-to-head together, live or replayed: batches, windows, dials."""
