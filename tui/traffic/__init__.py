"""Traffic from files: prompts, traces and conversations become requests, the same list in both lanes."""
