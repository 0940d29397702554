"""From what is known to what a screen shows."""
