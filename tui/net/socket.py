"""One connection: a non-blocking socket whose reads carry the kernel's arrival timestamp, with TLS if asked for.

When one read joins several segments, its timestamp is the last segment's. Which certificates are trusted is decided
here, for all requests.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic_ns
from typing import Any, Protocol
from urllib.parse import urlsplit

from tui.model.rows import Cause
from tui.model.text import sanitize

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def ssl_context(*, verify: bool) -> ssl.SSLContext:
    """The system's store, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name; certifi's where there is neither."""
    return _context(verify, tuple(os.environ.get(name, "") for name in _VARIABLES))


@lru_cache
def _context(verify: bool, named: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not any(named) and not context.cert_store_stats()["x509_ca"] and not _has_folder():
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _has_folder() -> bool:
    """Whether the system has a folder of certificates, which are read when one is needed."""
    folder = ssl.get_default_verify_paths().capath
    return folder is not None and any(Path(folder).glob("*"))


READ_BYTES = 1 << 16
RECORD_BYTES = 1 << 14  # the most that one TLS record holds
ANCILLARY_BYTES = 64
MAX_HANDSHAKES = 4  # at once: a thousand would keep the running streams waiting for half a second
MAX_STAMP_AGE_NS = 50_000_000  # an older timestamp, or one from the future, has us check for a stepped wall clock
MIN_CLOCK_STEP_NS = 5_000_000  # an offset that moves further between two updates is a stepped clock, not drift
OFFSET_PROBES = 5  # the offset is taken between two readings of the clock; the closest pair counts
GRID_NS = 1_024  # resolution of arrivals: timestamps err by 9 us (p99 12), and finer digits would double a recording
MAX_LOOKUP_AGE_S = 30.0
NEXT_ADDRESS_S = 0.25  # after which the next address of a host is tried as well (RFC 8305)
SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)  # Linux
_timespec = struct.Struct("@ll").unpack_from  # seconds and nanoseconds

OnReadable = Callable[[], None]


class Poller:
    """Calls back the readers of sockets, straight from an epoll within that of the event loop.

    asyncio makes a handle of each readable socket and runs it in a context of its own, which was 1 of the 10 us that
    a token took.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._readers: dict[int, OnReadable] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None  # Linux; elsewhere asyncio does it all
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._read_all)

    def add(self, fd: int, on_readable: OnReadable) -> None:
        if self._epoll is None:
            self._loop.add_reader(fd, on_readable)
            return
        self._readers[fd] = on_readable
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Call before `fd` is closed; harmless for one that was never added."""
        if self._epoll is None:
            self._loop.remove_reader(fd)
        elif self._readers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        if self._epoll is not None and not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _read_all(self) -> None:
        """Read every readable socket once; a reader removed meanwhile is not called any more."""
        assert self._epoll is not None
        readers = self._readers
        for fd, _ in self._epoll.poll(0, max(len(readers), 1)):
            if fd in readers:
                readers[fd]()


def wall_minus_monotonic_ns() -> int:
    """CLOCK_REALTIME - CLOCK_MONOTONIC now, within about a microsecond."""
    best_gap, best = 1 << 62, 0
    for _ in range(OFFSET_PROBES):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        if after - before < best_gap:
            best_gap, best = after - before, wall - (before + after) // 2
    return best


def round_down_to_grid(t_ns: int) -> int:
    """The latest moment of the arrivals' grid that is not after this one."""
    return t_ns & -GRID_NS


@dataclass(slots=True)
class StampClock:
    """Offset from the kernel's wall-clock timestamps to the session's monotonic clock.

    Call `update` often: wall clocks are slewed and stepped.
    """

    offset_ns: int = 0
    steps: int = 0

    def update(self) -> None:
        offset_ns = wall_minus_monotonic_ns()
        if self.offset_ns and abs(offset_ns - self.offset_ns) > MIN_CLOCK_STEP_NS:
            self.steps += 1
        self.offset_ns = offset_ns


# What getaddrinfo returns: family, type, protocol, canonical name, address.
AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Resolver:
    """Looks a host up once for all connections: 4,096 of them must not queue in resolver threads."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._started_s = 0.0
        self._preferred: AddressInfo | None = None
        self._lookup: asyncio.Task[Sequence[AddressInfo]] | None = None

    async def addresses(self) -> Sequence[AddressInfo]:
        """Where to connect. Raises OSError when nobody knows the host."""
        lookup, now_s = self._lookup, time.monotonic()
        failed = lookup is not None and lookup.done() and (lookup.cancelled() or lookup.exception() is not None)
        if lookup is None or failed or now_s - self._started_s > MAX_LOOKUP_AGE_S:
            lookup = self._lookup = asyncio.create_task(self._resolve())
            self._started_s = now_s
        resolved = await asyncio.shield(lookup)
        return sorted(resolved, key=lambda address: address != self._preferred) if len(resolved) > 1 else resolved

    def prefer(self, address: AddressInfo) -> None:
        """Try this address first from now on: it answered."""
        self._preferred = address

    async def _resolve(self) -> Sequence[AddressInfo]:
        host, port, kind = self._host, self._port, socket.SOCK_STREAM
        try:  # a numeric address needs no thread
            return socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            return await asyncio.get_running_loop().getaddrinfo(host, port, type=kind)


class WireError(Exception):
    """A connection that failed; `cause` and `detail` go into its request's row."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause: Cause = cause
        self.detail = sanitize(detail)


class Reader(Protocol):
    def received(self, data: bytes, t_ns: int, kernel: bool) -> None:
        """Bytes arrived at `t_ns`, by the kernel's timestamp or else by our own clock."""
        ...

    def closed(self, error: WireError | None) -> None:
        """The other side closed, with or without an error."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and how to connect to it."""

    host: str
    port: int
    resolver: Resolver
    tls: ssl.SSLContext | None
    connect_timeout_s: float
    handshakes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_HANDSHAKES))


def address(base: str, *, verify_tls: bool, timeout_s: float) -> Address:
    """Where the server of a base URL is, and how its certificate is checked."""
    url = urlsplit(base)
    context = ssl_context(verify=verify_tls) if url.scheme == "https" else None
    host, port = url.hostname or "", url.port or (443 if context else 80)
    return Address(host, port, Resolver(host, port), context, timeout_s)


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

    async def shake_hands(self, context: ssl.SSLContext, host: str, handshakes: asyncio.Semaphore) -> None:
        """Begin TLS. Raises WireError.

        A step is half a millisecond of arithmetic: few run at once, and after each the streams get a turn.
        """
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        while True:
            async with handshakes:
                is_done = _handshake_step(tls)
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
        self._poller.add(self._sock.fileno(), self._readable)

    def send(self, data: bytes) -> None:
        """Send now what the kernel takes, and the rest when it can take it. Raises WireError."""
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
        """Close at once: the server sees that the stream was cut off."""
        if self._open:
            self._open = False
            self._poller.remove(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()
            self.reader = None

    @property
    def is_open(self) -> bool:
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
            self._deliver(data, t_ns, kernel)
        else:
            self._decrypt(self._tls, data, t_ns, kernel)

    def _stamp(self, ancillary: list[tuple[int, int, bytes]]) -> tuple[int, bool]:
        """When a read arrived, and whether by the kernel's timestamp: not on the first read after a clock step."""
        now_ns = monotonic_ns()
        if not ancillary:
            return now_ns, False
        clock = self._clock
        seconds, ns = _timespec(ancillary[0][2])
        wall_ns = seconds * 1_000_000_000 + ns
        t_ns = wall_ns - clock.offset_ns
        if not 0 <= now_ns - t_ns < MAX_STAMP_AGE_NS:
            clock.update()
            t_ns = wall_ns - clock.offset_ns
        if self._clock_steps != clock.steps:
            self._clock_steps = clock.steps
            return now_ns, False
        return min(t_ns, now_ns), True

    def _deliver(self, data: bytes, t_ns: int, kernel: bool) -> None:
        if self.reader is not None:
            self.reader.received(data, t_ns, kernel)
        else:
            self._end(None)  # an answer without a request

    def _decrypt(self, tls: ssl.SSLObject, data: bytes, t_ns: int, kernel: bool) -> None:
        self._incoming.write(data)
        parts = []
        closed, broken = False, None
        try:
            while part := tls.read(RECORD_BYTES):
                parts.append(part)
                if not self._incoming.pending:
                    break  # one more call would cost an exception per token
            else:
                closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            closed = True
        except ssl.SSLError as error:
            closed, broken = True, WireError("tls", error.reason or str(error))
        if parts:  # the server did send what came before the end
            self._deliver(b"".join(parts), t_ns, kernel)
        if closed:
            self._end(broken)

    def _end(self, error: WireError | None) -> None:
        reader = self.reader  # notify the reader exactly once
        self.close()
        if reader is not None:
            reader.closed(error)


async def connect(address: Address, clock: StampClock, poller: Poller) -> Wire:
    """An open wire to the server. Raises WireError."""
    try:
        async with asyncio.timeout(address.connect_timeout_s):
            return await _connect(address, clock, poller)
    except TimeoutError:
        raise WireError("connect timeout", f"no connection within {address.connect_timeout_s:g} s") from None


async def _connect(address: Address, clock: StampClock, poller: Poller) -> Wire:
    try:
        addresses = await address.resolver.addresses()
    except OSError as error:
        raise WireError("dns", f"{address.host}: {error.strerror or error}") from error
    try:
        sock = await _first_connected(addresses, address.resolver)
    except OSError as error:
        cause: Cause = "refused" if isinstance(error, ConnectionRefusedError) else "unreachable"
        raise WireError(cause, f"{address.host}:{address.port}: {error.strerror or error}") from error
    wire = Wire(sock, asyncio.get_running_loop(), clock, poller)
    if address.tls is not None:
        try:
            await wire.shake_hands(address.tls, address.host, address.handshakes)
        except BaseException:  # cancelled, timed out or no TLS: nobody else closes it
            sock.close()
            raise
    wire.listen()
    return wire


async def _first_connected(addresses: Sequence[AddressInfo], resolver: Resolver) -> socket.socket:
    """A connection to the first address that answers. Raises the last OSError when none does.

    The next is tried when one fails, and as well when it has not answered for a while: any of them may be dead.
    """
    if len(addresses) == 1:
        return await _open(addresses[0])
    failed = OSError("no address")
    waiting, pending = list(addresses), dict[asyncio.Task[socket.socket], AddressInfo]()
    try:
        while waiting or pending:
            if waiting:
                info = waiting.pop(0)
                pending[asyncio.create_task(_open(info))] = info
            delay_s = NEXT_ADDRESS_S if waiting else None
            done, _ = await asyncio.wait(pending, timeout=delay_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                info = pending.pop(task)
                if (error := task.exception()) is None:
                    resolver.prefer(info)
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failed = error
        raise failed
    finally:
        for task in pending:
            task.cancel()
            task.add_done_callback(_close_unused)


def _close_unused(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _open(info: AddressInfo) -> socket.socket:
    family, kind, protocol, _, endpoint = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request_kernel_timestamps(sock)
        await asyncio.get_running_loop().sock_connect(sock, endpoint)
    except BaseException:
        sock.close()
        raise
    return sock


def _handshake_step(tls: ssl.SSLObject) -> bool:
    """Continue a handshake. Returns whether it is complete."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError as error:
        raise WireError("tls", getattr(error, "verify_message", "") or error.reason or str(error)) from error
    return True


def keep_kernel_timestamping_on() -> socket.socket:
    """A socket that keeps the kernel timestamping as long as it is open.

    Linux begins some time after the first socket asks, on a busy host a few milliseconds: without this socket the
    first answers would have no kernel timestamp.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request_kernel_timestamps(sock)
    return sock


def request_kernel_timestamps(sock: socket.socket) -> None:
    """Have the kernel timestamp what arrives, where it can."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
