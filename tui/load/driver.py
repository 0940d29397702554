"""The parent's side of one lane's driver process."""

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

import msgspec

from tui.load.pipe import HEADER_BYTES, LanePlan, Setting, Stop, body_length, pack
from tui.load.self_check import too_many_streams
from tui.model.rows import Frame
from tui.model.text import UserError, sanitize

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
