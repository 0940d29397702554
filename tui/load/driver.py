"""The parent's side of one lane's driver process.

What parent and driver send each other: length-prefixed MessagePack over pipes.

Down go one `LanePlan` and then commands; up come frames (`tui.model.rows.Frame`).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Literal, Self

import msgspec

from tui.engines.base import BodyChanges
from tui.load.self_check import too_many_streams
from tui.model.dials import Dials
from tui.model.profile import Endpoint
from tui.model.rows import Frame, Lane
from tui.model.text import UserError, sanitize
from tui.traffic.playlist import PlaylistPlan

_LENGTH = struct.Struct("<I")
HEADER_BYTES = _LENGTH.size
_encode = msgspec.msgpack.Encoder().encode


class LanePlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a driver needs to know. Never on a command line, because it may hold a key."""

    lane: Lane
    url: str  # base URL of the server
    path: str = ""  # where requests go behind it, with a query; empty: the usual path of the endpoint
    engine: str  # kind, a name in `engines.registry`
    model: str
    endpoint: Endpoint
    prompt_form: Literal["ids", "text"]
    usage: Literal["", "each", "end"] = ""  # empty: at the end, unless chunks hold several tokens
    token_pool: list[int] = []  # ordinary token ids that this server knows, for prompts of ids
    seed: int = 0
    first_request: int = 0  # the list continues where the driver before this one stopped
    salt: str = ""  # new each session and the same in both lanes: no cache is warm by accident
    output_jitter: float = 0.1
    think_s: float = 0.0  # in a closed loop, from a request's end to the next one in its slot
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    verify_tls: bool = True
    headers: dict[str, str] = {}  # with the key, if there is one
    changes: BodyChanges = BodyChanges()
    traffic: PlaylistPlan | None = None  # in place of synthetic prompts
    session_header: str = ""  # name of a header that carries the conversation's number


class Setting(msgspec.Struct, frozen=True, array_like=True, tag="setting"):
    """Dials from now on. `cancel`: streams above a lowered concurrency are cut off, not drained."""

    segment: int
    dials: Dials
    cancel: bool = False
    requests: int | None = None  # at a rate, the most requests that are sent
    plan_step_id: int = 0  # when it changes, `requests` counts from here
    ramp: bool = False  # in a closed loop, added streams begin evenly spaced and not at once
    context: int = 0  # the most tokens that every lane's server takes: longer rows of a traffic file are left out


class Stop(msgspec.Struct, frozen=True, array_like=True, tag="stop"):
    """Cancel what runs, send the last frame and end."""


def pack(message: msgspec.Struct) -> bytes:
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def body_length(header: bytes) -> int:
    """The bytes that follow this header."""
    return int(_LENGTH.unpack(header)[0])


class Unpacker:
    """Cuts messages out of a stream of bytes."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that are complete now."""
        self._rest += data
        while len(self._rest) >= HEADER_BYTES:
            end = HEADER_BYTES + body_length(bytes(self._rest[:HEADER_BYTES]))
            if len(self._rest) < end:
                return
            message = bytes(self._rest[HEADER_BYTES:end])
            del self._rest[:end]
            yield message


STOP_TIMEOUT_S = 3.0
MAX_STDERR_LINES = 20  # lines of the driver's stderr
_decode = msgspec.msgpack.Decoder(Frame).decode


class Driver:
    """A running driver. It ends when this process does, because its stdin ends then."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.reason = ""  # why it ended, if nobody stopped it
        self._process = process
        self._stderr: deque[str] = deque(maxlen=MAX_STDERR_LINES)
        self._stopping = False
        self._reading_stderr = asyncio.create_task(self._read_stderr())

    @classmethod
    async def start(cls, plan: LanePlan, setting: Setting) -> Self:
        """Start the process. UserError when this host does not allow so many streams."""
        if why := too_many_streams(setting.dials.concurrency):
            raise UserError(why)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tui.load.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 24,
            start_new_session=True,
        )
        driver = cls(process)
        driver._write(pack(plan) + pack(setting))
        return driver

    @property
    def pid(self) -> int:
        return self._process.pid

    def set(self, setting: Setting) -> None:
        self._write(pack(setting))

    async def frames(self) -> AsyncIterator[Frame]:
        """Frames until the driver ends; then `reason` is set if nobody stopped it."""
        assert self._process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                header = await self._process.stdout.readexactly(HEADER_BYTES)
                yield _decode(await self._process.stdout.readexactly(body_length(header)))
        code = await self._process.wait()
        if not self._stopping:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._reading_stderr), 1)
            self.reason = self._stderr[-1] if self._stderr else f"exit code {code}"

    async def stop(self) -> None:
        """Ask it to end, which still sends its last frame; kill it if it does not."""
        if self._stopping:
            await self._process.wait()
            return
        self._stopping = True
        self._write(pack(Stop()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._reading_stderr.cancel()

    def _write(self, data: bytes) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(data)

    async def _read_stderr(self) -> None:
        """Keep the last lines, for the event that says why it ended."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            if text := sanitize(line.decode("utf-8", "replace")):
                self._stderr.append(text)
