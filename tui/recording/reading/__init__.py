"""A session from the disk, whatever state its recorder left it in."""
