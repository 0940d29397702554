"""Compile and start the token source, pinned to the first core, so that the reader has the last one to itself."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

CORES = sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Sent:
    """What the source itself knows of one paced answer."""

    first_ns: int
    last_ns: int
    received_ns: int
    tokens: int


@contextmanager
def source(binary: Path | None = None) -> Iterator[str]:
    """The base URL of a running source; `binary`: another server that takes --port and --cpu."""
    with tempfile.TemporaryDirectory() as folder:
        if binary is not None:
            port = _free_port()
            command = [str(binary), "--port", str(port), "--cpu", str(CORES[0])]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        else:
            built = Path(folder) / "source"
            subprocess.run(["cc", "-O2", "-o", built, Path(__file__).with_name("source.c")], check=True)
            process = subprocess.Popen([built], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            os.sched_setaffinity(process.pid, {CORES[0]})
            assert process.stdout is not None
            port = int(process.stdout.readline())
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def sent(url: str) -> list[Sent]:
    """The source's own log of the paced answers that it has ended since the last call."""
    with urlopen(f"{url}/log") as answer:  # noqa: S310 - the source that we started
        lines = answer.read().decode("ascii").splitlines()
    return [Sent(*map(int, line.split())) for line in lines]


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
