"""Kind 5, for who has no screen: a server that begins well and then fails, with words that `run` must pass on."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.odd.endings import SIX
from tests.odd.server import DONE, Exchange, OddServer, serving, stream, usage, whole

WORDS = "this cell is drained, ask another one"
GOOD_ANSWERS = 3  # one of them to the first look, before the load
RUN = ["run", "--json", "--for", "3s", "--max-concurrency", "1"]


async def begins_well(exchange: Exchange) -> None:
    if exchange.number < GOOD_ANSWERS:
        await stream(*SIX, usage(6), DONE)(exchange)
    else:
        await exchange.send(whole("503 Service Unavailable", {"error": {"message": WORDS, "type": "drained"}}))


@contextmanager
def served() -> Iterator[str]:
    """The server's URL; it runs in a thread, because the command is waited for."""
    loop, ready, end, urls = asyncio.new_event_loop(), threading.Event(), asyncio.Event(), list[str]()

    async def serve() -> None:
        async with serving(OddServer(5, "begins well", begins_well)) as running:
            urls.append(running.url)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    yield urls[0]
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.close()


def dragstrip(*arguments: str) -> tuple[str, str]:
    """What the command prints on stdout and on stderr."""
    command = [sys.executable, "-m", "tui", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=50)
    return done.stdout, done.stderr


def test_the_words_are_where_a_script_and_a_reader_look(tmp_path: Path) -> None:
    with served() as url:
        printed, errors = dragstrip(*RUN, "--a", url, "--out", str(tmp_path))
    (session,) = tmp_path.glob("*_*")
    report, _ = dragstrip("report", str(session))
    assert printed.startswith("{"), errors
    assert report.startswith("#")
    assert all(WORDS in text for text in (printed, errors, report))
