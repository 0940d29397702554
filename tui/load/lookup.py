"""Where a host's name leads. Looked up once for all connections: 4,096 of them must not queue in resolver threads."""

import asyncio
import socket
import time
from typing import Any, NamedTuple

FRESH_S = 30.0


class Place(NamedTuple):
    """One way to reach a host, as the resolver tells it."""

    family: int
    kind: int
    protocol: int
    name: str
    address: Any


class Lookup:
    """The places of one host. OSError when nobody knows it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._asked_s = 0.0
        self._asking: asyncio.Task[list[Place]] | None = None

    async def places(self) -> list[Place]:
        """Where to connect; what was found stays good for half a minute."""
        now_s = time.monotonic()
        if self._asking is None or now_s - self._asked_s > FRESH_S or _failed(self._asking):
            self._asking, self._asked_s = asyncio.create_task(self._ask()), now_s
        return await asyncio.shield(self._asking)

    async def _ask(self) -> list[Place]:
        try:  # an address in figures needs no thread
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        return [Place(*place) for place in found]


def _failed(asked: asyncio.Task[list[Place]]) -> bool:
    return asked.done() and (asked.cancelled() or asked.exception() is not None)
