"""How fast a server's own counter of generated tokens rises while something runs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import isnan, nan

import httpx
import numpy as np

from tui.engines.readings import gauges_from
from tui.engines.registry import ENGINES
from tui.model.gauges import GENERATION_TOKENS

READ_EVERY_S = 0.25


def live_tokens(engine: str, page: bytes) -> float:
    """The tokens that a page of metrics says were generated so far, unfinished answers with them."""
    return gauges_from(ENGINES[engine], page).get(GENERATION_TOKENS, nan)


@contextmanager
def counted(engine: str, url: str) -> Iterator[list[tuple[float, float]]]:
    """Meanwhile read the server's counter of generated tokens: (s, tokens) of each reading."""
    over, readings = threading.Event(), list[tuple[float, float]]()

    def read() -> None:
        with httpx.Client(timeout=60.0) as client:
            while not over.wait(READ_EVERY_S):
                with suppress(httpx.HTTPError):  # a page that is late or off leaves a gap, and no run is lost for it
                    page = client.get(f"{url}/metrics", follow_redirects=True).raise_for_status().content
                    if not isnan(tokens := live_tokens(engine, page)):
                        readings.append((time.monotonic(), tokens))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield readings
    finally:
        over.set()
        reader.join()


def middle_rate(readings: list[tuple[float, float]], wave: int, waves: int) -> float:
    """Tokens/s from half a wave of so many tokens after the start to half a wave before the last wave's end.

    Not a number where the counter did not rise so far.
    """
    if not readings or readings[-1][1] - readings[0][1] < (waves - 0.5) * wave:
        return nan
    t_s, tokens = np.array(readings).T
    begin, end = 0.5 * wave, (waves - 0.5) * wave
    begin_s, end_s = np.interp((begin, end), tokens - tokens[0], t_s)
    return float((end - begin) / (end_s - begin_s))
