"""Reports of sessions: what they say as blocks, and the blocks as Markdown or as one HTML page."""
