"""The driver process of one lane: commands arrive on stdin, frames leave on stdout. It ends when stdin does."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from typing import Any

import msgspec

from tui.load.driver import HEADER_BYTES, LanePlan, Setting, Stop, Unpacker, body_length, pack
from tui.load.lane import LaneLoad
from tui.load.self_check import raise_open_file_limit, resident_bytes
from tui.model.rows import FRAME_PERIOD_S, Frame
from tui.net.socket import round_down_to_grid

PIPE_READ_BYTES = 1 << 16
_command = msgspec.msgpack.Decoder(Setting | Stop).decode


class Worker:
    """One lane's load and the pipe to its parent."""

    def __init__(self, plan: LanePlan, setting: Setting) -> None:
        self._load = LaneLoad(plan, setting)
        self._over = asyncio.Event()
        self._unpacker = Unpacker()
        self._unsent = bytearray()
        self._error: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._on_error)

    async def run(self) -> None:
        """Run until a Stop arrives or the parent is gone."""
        for pipe in (sys.stdin.fileno(), sys.stdout.fileno()):
            os.set_blocking(pipe, False)
        self._loop.add_reader(sys.stdin.fileno(), self._read)
        due_s = self._loop.time()
        while not self._over.is_set():
            due_s += FRAME_PERIOD_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), max(0.0, due_s - self._loop.time()))
            if self._error is not None:
                raise self._error
            if not self._over.is_set():
                t_ns = await self._all_read()
                self._load.housekeeping()
                self._emit(t_ns)
            due_s = max(due_s, self._loop.time() - 1)
        self._load.close()
        self._emit(time.monotonic_ns())
        self._loop.remove_writer(sys.stdout.fileno())  # or closing the loop runs it again: the rest would go twice
        os.set_blocking(sys.stdout.fileno(), True)
        with contextlib.suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), self._unsent)

    def _on_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the driver on an error of our own: it must not pass for a request that silently never happened."""
        self._error = context.get("exception") or RuntimeError(context["message"])

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
        """A moment before which nothing is unread: data is read later than its kernel timestamp.

        The event loop polls all sockets once between two steps of a task; what it finds is read by the third.
        """
        t_ns = time.monotonic_ns()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return t_ns

    def _emit(self, t_ns: int) -> None:
        load, sink = self._load, self._load.sink
        cpu_s, lag_ms, bound = load.self_check.next_frame(has_work=load.has_work)
        frame = Frame(
            t_ns=round_down_to_grid(t_ns),  # as arrivals are, so that none after this frame has an earlier time
            segment=load.setting.segment,
            concurrency=load.setting.dials.concurrency,
            in_flight=load.in_flight,
            requests=load.rows,
            chunks=sink.chunks(),
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
            counted=sink.counted.tobytes(),
            position=load.position,
            dropped_total=load.dropped_total,
            through=load.through,
        )
        load.rows = []
        sink.clear()
        self._unsent += pack(frame)
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


def _read_message() -> bytes:
    """For before the event loop runs. Unbuffered, so that the commands after it stay in the pipe."""
    return _read_exactly(body_length(_read_exactly(HEADER_BYTES)))


def _read_exactly(count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = os.read(sys.stdin.fileno(), count - len(data))
        if not more:
            sys.exit(0)  # the parent is gone already
        data += more
    return data


async def main(plan: LanePlan, setting: Setting) -> None:
    await Worker(plan, setting).run()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is for the parent, which ends this process properly
    raise_open_file_limit()
    lane_plan = msgspec.msgpack.decode(_read_message(), type=LanePlan)
    first_setting = msgspec.msgpack.decode(_read_message(), type=Setting)
    gc.collect()
    gc.freeze()  # what exists now stays; collect the rest rarely
    gc.set_threshold(50_000, 20, 100)
    asyncio.run(main(lane_plan, first_setting))
