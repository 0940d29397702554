"""The typed rows that flow from socket to screen, with their names, units and schema version."""
