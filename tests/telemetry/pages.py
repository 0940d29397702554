"""Metrics pages captured from real vLLM, SGLang and llama.cpp servers, without most buckets."""

from pathlib import Path

CAPTURED = Path(__file__).parent / "captured"
PAGES = sorted(path.name for path in CAPTURED.glob("*.txt"))


def page(name: str) -> bytes:
    """The bytes of one captured page."""
    return (CAPTURED / name).read_bytes()


def kind(name: str) -> str:
    """The engine that a page came from."""
    return name.partition("-")[0]
