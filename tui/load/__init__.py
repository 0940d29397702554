"""Make the load and measure it truthfully. Knows no screen, no file, no rival lane."""
