"""The screens. They hold no number that is not derived from the session."""
