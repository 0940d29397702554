"""Frames and rows in, whole seconds and what is known of each lane out; live and replay fold alike."""
