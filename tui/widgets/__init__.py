"""The parts of a screen. They are given their numbers; they do not look them up."""
