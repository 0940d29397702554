"""One connection: a non-blocking socket whose reads carry the kernel's arrival stamp, with TLS between if asked for.

The stamp is that of the last segment that a read joined.

Which sockets can be read, asked of the kernel directly.

asyncio makes a handle of each readable socket and runs it in a context of its own, which was 1 of the 10 us that a
token took. One epoll within its own, looked at when anything in it is readable, calls the readers straight away.

The kernel stamps packets in wall-clock time; the session runs on the monotonic clock. This is the step between.

Where a host's name leads. Looked up once for all connections: 4,096 of them must not queue in resolver threads.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Any, NamedTuple, Protocol

from tui.model.rows import Cause
from tui.model.text import sanitize

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


PROBES = 5  # the offset is taken between two readings of the clock; the closest pair of a few is kept
GRID_NS = 1_024  # arrivals are told no finer: stamps err by 9 us (p99 12), and such digits double a recording
STEP_NS = 5_000_000  # an offset that moved further than this between two looks is a stepped clock, not drift


def wall_minus_monotonic_ns() -> int:
    """CLOCK_REALTIME - CLOCK_MONOTONIC now, within about a microsecond."""
    best_gap, best = 1 << 62, 0
    for _ in range(PROBES):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        if after - before < best_gap:
            best_gap, best = after - before, wall - (before + after) // 2
    return best


def on_grid(t_ns: int) -> int:
    """The last moment of the grid of arrivals that is not after this one."""
    return t_ns & -GRID_NS


@dataclass(slots=True)
class StampClock:
    """Turns the kernel's stamps into monotonic ones. Call `look` often: wall clocks are slewed and stepped."""

    offset_ns: int = 0
    steps: int = 0

    def look(self) -> None:
        """Take the offset again."""
        offset_ns = wall_minus_monotonic_ns()
        if self.offset_ns and abs(offset_ns - self.offset_ns) > STEP_NS:
            self.steps += 1
        self.offset_ns = offset_ns


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


READ_BYTES = 1 << 16
RECORD_BYTES = 1 << 14  # the most that one TLS record holds
ANCILLARY_BYTES = 64
HANDSHAKES_AT_ONCE = 4  # a thousand at once would keep the running streams waiting for half a second
DOUBTFUL_NS = 50_000_000  # a stamp this old, or from the future, makes us look whether the wall clock was stepped
SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)  # Linux
_timespec = struct.Struct("@ll").unpack_from  # seconds and nanoseconds


class WireError(Exception):
    """A connection that failed, with the cause that its request's row gets."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause: Cause = cause
        self.detail = sanitize(detail)


class Reader(Protocol):
    """Who reads a wire."""

    def received(self, data: bytes, t_ns: int, kernel: bool) -> None:
        """Bytes came at `t_ns`; whether that is the kernel's stamp."""
        ...

    def closed(self, error: WireError | None) -> None:
        """The other side closed, in order or not."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect."""

    host: str
    port: int
    lookup: Lookup
    tls: ssl.SSLContext | None
    connect_timeout_s: float
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HANDSHAKES_AT_ONCE))


class Wire:
    """An open connection. One reader at a time; `send` and `close` never block."""

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, clock: StampClock, poller: Poller
    ) -> None:
        self.reader: Reader | None = None
        self.idle_since_s = 0.0
        self._sock, self._loop, self._clock, self._poller = sock, loop, clock, poller
        self._clock_steps = clock.steps
        self._recvmsg = sock.recvmsg
        self._unsent = b""
        self._open = True
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()

    async def shake_hands(self, context: ssl.SSLContext, host: str, turns: asyncio.Semaphore) -> None:
        """Begin TLS. Raises WireError.

        A step takes half a millisecond of arithmetic: `turns` are few, and whoever had one gives the streams a turn.
        """
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        while True:
            async with turns:
                is_done = _step(tls)
                await asyncio.sleep(0)
            try:
                await self._flush_handshake()
                if is_done:
                    self._tls = tls
                    return
                data = await self._loop.sock_recv(self._sock, READ_BYTES)
            except OSError as error:  # the host was reached: it is not "unreachable"
                raise WireError("tls", f"{error.strerror or error} during the TLS handshake") from error
            if not data:
                raise WireError("tls", "the server closed the connection during the TLS handshake")
            self._incoming.write(data)

    async def _flush_handshake(self) -> None:
        if data := self._outgoing.read():
            await self._loop.sock_sendall(self._sock, data)

    def listen(self) -> None:
        """Read from now on."""
        self._poller.add(self._sock.fileno(), self._readable)

    def send(self, data: bytes) -> None:
        """Hand bytes to the kernel, and what it does not take at once when it does. Raises WireError."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise WireError("reset", error.strerror or str(error)) from error
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def close(self) -> None:
        """Close at once; the server sees the end of a stream that was cut off."""
        if self._open:
            self._open = False
            self._poller.remove(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()
            self.reader = None

    @property
    def is_open(self) -> bool:
        """Whether it can carry a request."""
        return self._open

    def _writable(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(WireError("reset", error.strerror or str(error)))
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        try:
            data, ancillary, _, _ = self._recvmsg(READ_BYTES, ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(WireError("reset", error.strerror or str(error)))
            return
        t_ns, kernel = self._stamp(ancillary)
        if not data:
            self._end(None)
        elif self._tls is None:
            self._hand_on(data, t_ns, kernel)
        else:
            self._decrypt(self._tls, data, t_ns, kernel)

    def _stamp(self, ancillary: list[tuple[int, int, bytes]]) -> tuple[int, bool]:
        """When a read arrived, and whether the kernel says so: not on the first read after the clock was stepped."""
        now_ns = monotonic_ns()
        if not ancillary:
            return now_ns, False
        clock = self._clock
        seconds, ns = _timespec(ancillary[0][2])
        wall_ns = seconds * 1_000_000_000 + ns
        t_ns = wall_ns - clock.offset_ns
        if not 0 <= now_ns - t_ns < DOUBTFUL_NS:
            clock.look()
            t_ns = wall_ns - clock.offset_ns
        if self._clock_steps != clock.steps:
            self._clock_steps = clock.steps
            return now_ns, False
        return min(t_ns, now_ns), True

    def _hand_on(self, data: bytes, t_ns: int, kernel: bool) -> None:
        if self.reader is not None:
            self.reader.received(data, t_ns, kernel)
        else:
            self._end(None)  # an answer that nobody asked for

    def _decrypt(self, tls: ssl.SSLObject, data: bytes, t_ns: int, kernel: bool) -> None:
        self._incoming.write(data)
        parts = []
        closed, broken = False, None
        try:
            while part := tls.read(RECORD_BYTES):
                parts.append(part)
                if not self._incoming.pending:
                    break  # asking once more would cost an exception a token
            else:
                closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            closed = True
        except ssl.SSLError as error:
            closed, broken = True, WireError("tls", error.reason or str(error))
        if parts:  # what came before the end was still said
            self._hand_on(b"".join(parts), t_ns, kernel)
        if closed:
            self._end(broken)

    def _end(self, error: WireError | None) -> None:
        reader = self.reader  # whoever it is must hear of it once
        self.close()
        if reader is not None:
            reader.closed(error)


async def connect(address: Address, clock: StampClock, poller: Poller) -> Wire:
    """A wire to the server, ready to send on. Raises WireError."""
    try:
        async with asyncio.timeout(address.connect_timeout_s):
            return await _connect(address, clock, poller)
    except TimeoutError:
        raise WireError("connect timeout", f"no connection within {address.connect_timeout_s:g} s") from None


async def _connect(address: Address, clock: StampClock, poller: Poller) -> Wire:
    loop = asyncio.get_running_loop()
    try:
        found = await address.lookup.places()
    except OSError as error:
        raise WireError("dns", f"{address.host}: {error.strerror or error}") from error
    refused: OSError | None = None
    for family, kind, protocol, _, where in found:
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # no such protocol on this host, or too many open files
            refused = error
            continue
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with_stamps(sock)
            await loop.sock_connect(sock, where)
            wire = Wire(sock, loop, clock, poller)
            if address.tls is not None:
                await wire.shake_hands(address.tls, address.host, address.turns)
        except OSError as error:
            sock.close()
            refused = error
        except BaseException:  # cancelled, timed out or no TLS: the socket is nobody's
            sock.close()
            raise
        else:
            wire.listen()
            return wire
    cause: Cause = "refused" if isinstance(refused, ConnectionRefusedError) else "unreachable"
    raise WireError(cause, f"{address.host}:{address.port}: {refused.strerror if refused else 'no address'}")


def _step(tls: ssl.SSLObject) -> bool:
    """Go on with a handshake; whether it is done, else more must come."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError as error:
        raise WireError("tls", getattr(error, "verify_message", "") or error.reason or str(error)) from error
    return True


def stamping() -> socket.socket:
    """A socket that keeps the kernel stamping while it is open.

    Linux begins to stamp a moment after the first socket asks, on a busy host some milliseconds: without this one the
    first answers would go without.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with_stamps(sock)
    return sock


def with_stamps(sock: socket.socket) -> bool:
    """Ask the kernel to stamp what arrives; False where it cannot."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True
