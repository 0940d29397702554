"""A session while it is measured: lanes, dials, plans and turns on one clock."""
