"""Compile and start the token source, pinned to the first core, so that the reader has the last one to itself."""

import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

CERTIFICATE = Path(__file__).parents[2] / "load" / "localhost.pem"
CORES = sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Sent:
    """What the source itself knows of one paced answer."""

    seed: int
    received_ns: int
    t_ns: list[int]  # of each token


@contextmanager
def source(binary: Path | None = None, *, tls: bool = False) -> Iterator[str]:
    """The base URL of a running source; `binary`: another server that takes --port and --cpu."""
    with tempfile.TemporaryDirectory() as folder:
        if binary is not None:
            port = _free_port()
            command = [str(binary), "--port", str(port), "--cpu", str(CORES[0])]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        else:
            built = Path(folder) / "source"
            code = str(Path(__file__).with_name("source.c"))
            with_tls = (["-DWITH_TLS"], ["-lssl", "-lcrypto"]) if tls else ([], [])
            subprocess.run(["cc", "-O2", *with_tls[0], "-o", built, code, *with_tls[1]], check=True)
            command = [str(built), str(CERTIFICATE)] if tls else [str(built)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            os.sched_setaffinity(process.pid, {CORES[0]})
            assert process.stdout is not None
            port = int(process.stdout.readline())
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def sent(url: str) -> list[Sent]:
    """The source's own log of the paced answers that it has ended since the last call."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    with urlopen(f"{url}/log", context=unchecked) as answer:  # noqa: S310 - the source that we started
        lines = [list(map(int, line.split())) for line in answer.read().decode("ascii").splitlines()]
    return [Sent(seed, received_ns, t_ns) for seed, received_ns, *t_ns in lines]


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
