"""A session onto the disk as it happens."""
