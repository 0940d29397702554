"""Which sockets can be read, asked of the kernel directly.

asyncio makes a handle of each readable socket and runs it in a context of its own, which was 1 of the 10 us that a
token took. One epoll within its own, looked at when anything in it is readable, calls the readers straight away.
"""

import asyncio
import select
from collections.abc import Callable

Readable = Callable[[], None]


class Poller:
    """Calls back whoever reads a socket when it can be read. Everything happens on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._readers: dict[int, Readable] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None  # Linux; elsewhere asyncio does it all
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._look)

    def add(self, fd: int, readable: Readable) -> None:
        """Call `readable` whenever there is something to read."""
        if self._epoll is None:
            self._loop.add_reader(fd, readable)
            return
        self._readers[fd] = readable
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """No more, before `fd` is closed; one that was never added does no harm."""
        if self._epoll is None:
            self._loop.remove_reader(fd)
        elif self._readers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Let go of the kernel's own file."""
        if self._epoll is not None and not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _look(self) -> None:
        """All that can be read now, once each: those that end meanwhile are not asked any more."""
        assert self._epoll is not None
        readers = self._readers
        for fd, _ in self._epoll.poll(0, max(len(readers), 1)):
            if fd in readers:
                readers[fd]()
