"""dragstrip: two LLM inference servers, one clock, one list of requests."""

__version__ = "0.1.0"
