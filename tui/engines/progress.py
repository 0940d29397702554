"""How far a starting engine is, by the lines of its log."""

import re
from collections.abc import Mapping
from typing import Final

QUARTER: Final = 25  # per cent
_VLLM = (
    (r"Loading .*checkpoint shards: +(\d+)%", "loading weights {} %"),
    (r"Resolved architecture|Initializing a V1 LLM engine", "reading the model's configuration"),
    (r"Starting to load model|Initializing model took", "loading weights"),
    (r"Model loading took ([\d.]+) GiB", "weights are loaded, {} GiB on each GPU"),
    (r"Loading weights took|Model loading took", "weights are loaded"),
    (r"Available KV cache memory: ([\d.]+) GiB", "KV pool of {} GiB on each GPU"),
    (r"torch\.compile takes|Dynamo bytecode|Compiling a graph|saved AOT compiled", "compiling"),
    (r"KV cache size: ([\d,]+) tokens", "KV pool of {} tokens"),
    (r"Capturing CUDA graphs.*?(\d+)%", "capturing CUDA graphs {} %"),
    (r"Capturing CUDA graph|Graph capturing", "capturing CUDA graphs"),
    (r"Starting vLLM (?:API )?server|Application startup complete", "serving"),
)
_SGLANG = (
    (r"server_args=", "reading the model's configuration"),
    (r"shards: +(\d+)%", "loading weights {} %"),
    (r"Load weight begin", "loading weights"),
    (r"Load weight end.*mem usage=([\d.]+) GB", "weights are loaded, {} GiB on each GPU"),
    (r"Load weight end", "weights are loaded"),
    (r"KV Cache is allocated.*#tokens: (\d+)", "KV pool of {} tokens"),
    (r"Capturing batches.*?(\d+)%", "capturing CUDA graphs {} %"),
    (r"Capture (?:\w+ )*cuda graph begin", "capturing CUDA graphs"),
    (r"Uvicorn running", "warming up"),
    (r"fired up and ready", "serving"),
)
_LLAMACPP = (
    (r"load_tensors|loading model", "loading weights"),
    (r"warming up", "warming up"),
    (r"server is listening|listening on", "serving"),
)
_PATTERNS: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    kind: tuple((re.compile(pattern), stage) for pattern, stage in stages)
    for kind, stages in (("vllm", _VLLM), ("sglang", _SGLANG), ("llamacpp", _LLAMACPP))
}


def stage(kind: str, line: str) -> str:
    """What a log line says about the start, as people say it; empty when it says nothing about it.

    A share is told in quarters: engines write a line at each per cent.
    """
    for pattern, text in _PATTERNS.get(kind, ()):
        if match := pattern.search(line):
            if text.endswith("%"):
                return text.format(int(match[1]) // QUARTER * QUARTER)
            return text.format(*(f"{int(n):,}" if n.isdigit() else n for n in match.groups()))
    return ""
