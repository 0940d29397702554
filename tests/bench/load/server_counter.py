"""How fast a server's own counter of generated tokens rises while something runs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import nan

import httpx
import numpy as np

from tui.engines.registry import ENGINES
from tui.records.gauges import GENERATION_TOKENS
from tui.telemetry.gauging import read_page

READ_EVERY_S = 0.25
MIDDLE = (0.25, 0.75)  # of a run's tokens


def live_tokens(engine: str, page: bytes) -> float:
    """The tokens that a page of metrics says were generated so far, unfinished answers with them."""
    return read_page(ENGINES[engine], page).get(GENERATION_TOKENS, nan)


@contextmanager
def counted(engine: str, url: str) -> Iterator[list[tuple[float, float]]]:
    """Meanwhile read the server's counter of generated tokens: (s, tokens) of each reading."""
    over, readings = threading.Event(), list[tuple[float, float]]()

    def read() -> None:
        with httpx.Client(timeout=60.0) as client:
            while not over.wait(READ_EVERY_S):
                with suppress(httpx.HTTPError):  # a page that is late or off leaves a gap, and no run is lost for it
                    page = client.get(f"{url}/metrics", follow_redirects=True).raise_for_status().content
                    readings.append((time.monotonic(), live_tokens(engine, page)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield readings
    finally:
        over.set()
        reader.join()


def middle_rate(readings: list[tuple[float, float]]) -> float:
    """Tokens/s of the counter through the middle half of what it rose; not a number where it did not rise."""
    if not readings or not readings[-1][1] > readings[0][1]:
        return nan
    t_s, tokens = np.array(readings).T
    share = (tokens - tokens[0]) / (tokens[-1] - tokens[0])
    begin_s, end_s = np.interp(MIDDLE, share, t_s)
    return float((MIDDLE[1] - MIDDLE[0]) * (tokens[-1] - tokens[0]) / (end_s - begin_s))
