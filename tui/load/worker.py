"""The driver process of one lane: commands come in on stdin, frames go out on stdout. It ends when stdin does."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from typing import Any, TypeVar

import msgspec

from tui.load.lane import LaneLoad
from tui.load.pipe import HEADER_BYTES, LanePlan, Setting, Stop, Unpacker, body_length, pack
from tui.load.self_check import raise_open_file_limit, resident_bytes
from tui.load.socket import round_down_to_grid
from tui.load.stream import ChunkSink
from tui.model.rows import FRAME_PERIOD_S, Chunks, Frame

First = TypeVar("First", LanePlan, Setting)

PIPE_READ_BYTES = 1 << 16
_command = msgspec.msgpack.Decoder(Setting | Stop).decode


class Worker:
    """One lane's load and the pipe to its parent."""

    def __init__(self, plan: LanePlan, setting: Setting) -> None:
        self._plan = plan
        self._load = LaneLoad(plan, setting)
        self._over = asyncio.Event()
        self._unpacker = Unpacker()
        self._unsent = bytearray()
        self._broken: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._break)

    async def run(self) -> None:
        """Until told to stop, or the parent is gone."""
        for pipe in (sys.stdin.fileno(), sys.stdout.fileno()):
            os.set_blocking(pipe, False)
        self._loop.add_reader(sys.stdin.fileno(), self._read)
        due_s = self._loop.time()
        while not self._over.is_set():
            due_s += FRAME_PERIOD_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), max(0.0, due_s - self._loop.time()))
            if self._broken is not None:
                raise self._broken
            if not self._over.is_set():
                t_ns = await self._all_read()
                self._load.housekeeping()
                self._emit(t_ns)
            due_s = max(due_s, self._loop.time() - 1)
        self._load.close()
        self._emit(time.monotonic_ns())
        self._loop.remove_writer(sys.stdout.fileno())  # closing the loop runs it once more: the rest would go twice
        os.set_blocking(sys.stdout.fileno(), True)
        with contextlib.suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), self._unsent)

    def _break(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error of our own must not end as a request that silently never was: it ends the driver."""
        self._broken = context.get("exception") or RuntimeError(context["message"])

    def _read(self) -> None:
        data = os.read(sys.stdin.fileno(), PIPE_READ_BYTES)
        if not data:
            self._over.set()
        for message in self._unpacker.feed(data):
            command = _command(message)
            if isinstance(command, Stop):
                self._over.set()
            else:
                self._load.set(command)

    async def _all_read(self) -> int:
        """A moment before which nothing is still unread: kernel stamps are older than the reading of what they stamp.

        The event loop looks at all sockets once between two steps of a task; what it found is read by the third.
        """
        t_ns = time.monotonic_ns()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return t_ns

    def _emit(self, t_ns: int) -> None:
        load, sink = self._load, self._load.sink
        cpu_s, lag_ms, bound = load.self_check.next_frame(has_work=load.has_work)
        frame = Frame(
            t_ns=round_down_to_grid(t_ns),  # as arrivals are: what comes just after it is not told as before it
            segment=load.setting.segment,
            concurrency=load.setting.dials.concurrency,
            in_flight=load.in_flight,
            requests=load.rows,
            chunks=_chunks(sink),
            sent_t_ns=sink.sent_t_ns.tobytes(),
            first_t_ns=sink.first_t_ns.tobytes(),
            first_prompt_tokens=sink.first_prompt_tokens.tobytes(),
            due_total=load.due_total,
            started_total=load.started_total,
            cpu_s_total=cpu_s,
            loop_lag_ms=lag_ms,
            merged_reads=sink.merged_reads,
            rss_bytes=resident_bytes(),
            bound=bound,
            down=load.down,
            ramping=load.ramping,
        )
        load.rows = []
        sink.clear()
        self._send(pack(frame))

    def _send(self, data: bytes) -> None:
        self._unsent += data
        self._flush()

    def _flush(self) -> None:
        out = sys.stdout.fileno()
        try:
            sent = os.write(out, self._unsent)
        except BlockingIOError:
            sent = 0
        except BrokenPipeError:
            self._over.set()
            return
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(out, self._flush)
        else:
            self._loop.remove_writer(out)


def _chunks(sink: ChunkSink) -> Chunks:
    return Chunks(sink.request.tobytes(), sink.t_ns.tobytes(), sink.tokens.tobytes())


def _first(kind: type[First]) -> First:
    """A message before the event loop runs; unbuffered, so that the commands behind it stay in the pipe."""
    return msgspec.msgpack.decode(_exactly(body_length(_exactly(HEADER_BYTES))), type=kind)


def _exactly(count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = os.read(sys.stdin.fileno(), count - len(data))
        if not more:
            sys.exit(0)  # the parent is gone already
        data += more
    return data


async def _main(plan: LanePlan, setting: Setting) -> None:
    await Worker(plan, setting).run()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is for the screen, which ends this process in order
    raise_open_file_limit()
    first_plan, first_setting = _first(LanePlan), _first(Setting)
    gc.collect()
    gc.freeze()  # what is there now stays; the collector looks seldom at the rest
    gc.set_threshold(50_000, 20, 100)
    asyncio.run(_main(first_plan, first_setting))
