"""A recording played through the same state and views as a live session."""
