"""How fast a server's own counter of generated tokens rises while something runs."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import numpy as np

# SGLang's `generation_tokens_total` stands still until a request ends; this one rises with every step.
LIVE = re.compile(r'vllm:generation_tokens_total|sglang:realtime_tokens_total(?=\{.*mode="decode")')
READ_EVERY_S = 0.25
MIDDLE = (0.25, 0.75)  # of a run's tokens


def live_tokens(told: str) -> float:
    """The tokens that a page of metrics says were generated so far."""
    return sum(float(line.split()[1]) for line in told.splitlines() if LIVE.match(line))


@contextmanager
def counted(url: str) -> Iterator[list[tuple[float, float]]]:
    """Meanwhile read the server's counter of generated tokens: (s, tokens) of each reading."""
    over, readings = threading.Event(), list[tuple[float, float]]()

    def read() -> None:
        with httpx.Client(timeout=60.0) as client:
            while not over.wait(READ_EVERY_S):
                with suppress(httpx.HTTPError):  # a page that is late or off leaves a gap, and no run is lost for it
                    told = client.get(f"{url}/metrics", follow_redirects=True).raise_for_status().text
                    readings.append((time.monotonic(), live_tokens(told)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield readings
    finally:
        over.set()
        reader.join()


def middle_rate(readings: list[tuple[float, float]]) -> float:
    """Tokens/s of the counter through the middle half of what it rose; not a number where it did not rise."""
    if not readings or readings[-1][1] <= readings[0][1]:
        return float("nan")
    t_s, tokens = np.array(readings).T
    share = (tokens - tokens[0]) / (tokens[-1] - tokens[0])
    begin_s, end_s = np.interp(MIDDLE, share, t_s)
    return float((MIDDLE[1] - MIDDLE[0]) * (tokens[-1] - tokens[0]) / (end_s - begin_s))
