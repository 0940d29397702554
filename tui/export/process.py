"""An export in a process of its own, so that nothing that measures waits for it: both ends of its pipe.

A question is a line of JSON. Its answers are lines too, any number of `Progressed` and then one of the others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tui.model.rows import TABLES
from tui.model.text import UserError

if TYPE_CHECKING:
    from tui.export.job import ExportedFile
    from tui.recording.reader import RecordedSession, Selection

NICENESS: Final = 10
PROGRESS_EVERY_S: Final = 0.2
MAX_LINE_BYTES: Final = 1 << 20


class Part(msgspec.Struct, frozen=True):
    """A part of a session, in seconds since its load began; nothing set: all of it."""

    from_s: float | None = None
    until_s: float | None = None
    segment_at_s: float | None = None  # the segment of this second


class SizesAsked(msgspec.Struct, frozen=True, tag=True):
    parts: list[Part]


class WriteAsked(msgspec.Struct, frozen=True, tag=True):
    part: Part
    form: str
    folder: str


class Sizes(msgspec.Struct, frozen=True, tag=True):
    by_part: list[dict[str, int]]  # bytes by format, about
    segments: list[int | None]  # which one each part is, where it is one


class Progressed(msgspec.Struct, frozen=True, tag=True):
    what: str  # a table or a lane
    share: float  # of it, 0 to 1


class Written(msgspec.Struct, frozen=True, tag=True):
    path: str  # the file, or the folder of several
    files: int
    size_bytes: int


class Problem(msgspec.Struct, frozen=True, tag=True):
    sentence: str


Question = SizesAsked | WriteAsked
Answer = Sizes | Progressed | Written | Problem


class ExportProcess:
    """The end of whoever wants an export. The process starts with the first question and waits for the next one."""

    def __init__(self, session: Path) -> None:
        self._session = session
        self._process: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()

    async def sizes(self, parts: Sequence[Part]) -> Sizes:
        """About how many bytes each part will be, by format. UserError where the session cannot be read."""
        answer = await self._ask(SizesAsked(list(parts)), lambda _: None)
        assert isinstance(answer, Sizes)
        return answer

    async def write(self, part: Part, form: str, folder: Path, progress: Callable[[Progressed], None]) -> Written:
        """Write a part under a name that is free in the folder. UserError where it cannot be written."""
        answer = await self._ask(WriteAsked(part, form, str(folder)), progress)
        assert isinstance(answer, Written)
        return answer

    async def close(self) -> None:
        """End the process; what it was writing is removed."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()

    async def _ask(self, question: Question, progress: Callable[[Progressed], None]) -> Answer:
        async with self._one_at_a_time:
            if self._process is None:
                self._process = await self._started()
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with suppress(ConnectionError):
                self._process.stdin.write(msgspec.json.encode(question) + b"\n")
                await self._process.stdin.drain()
            while line := await self._process.stdout.readline():
                answer: Answer = msgspec.json.decode(line, type=Answer)
                if isinstance(answer, Problem):
                    raise UserError(answer.sentence)
                if not isinstance(answer, Progressed):
                    return answer
                progress(answer)
            raise UserError("the process that exports ended: try `dragstrip export`, which says why")

    async def _started(self) -> asyncio.subprocess.Process:
        """In a group of its own: ctrl+c is for the screen. One thread: the cores are for what is measured."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tui.export.process", str(self._session),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "POLARS_MAX_THREADS": "1"}, start_new_session=True, limit=MAX_LINE_BYTES,
        )  # fmt: skip


def main() -> None:
    """The end that exports."""
    os.nice(NICENESS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what is half written is removed
    session = Path(sys.argv[1])
    for line in sys.stdin.buffer:
        question: Question = msgspec.json.decode(line, type=Question)
        try:
            _say(_sizes(session, question) if isinstance(question, SizesAsked) else _write(session, question))
        except UserError as error:
            _say(Problem(str(error)))
        except Exception as error:  # noqa: BLE001 - whoever asked waits for an answer
            _say(Problem(f"the export failed: {type(error).__name__}: {error}"))


def _say(answer: Answer) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


def _sizes(directory: Path, question: SizesAsked) -> Sizes:
    import polars as pl

    from tui.export.sizes import estimated_bytes
    from tui.recording.reader import open_session, select_rows

    session = open_session(directory)
    by_part, segments = [], []
    for part in question.parts:
        selection = _selection(session, part)
        counts = pl.collect_all([select_rows(session, table, selection).select(pl.len()) for table in TABLES])
        rows = {table: frame.item() for table, frame in zip(TABLES, counts, strict=True)}
        by_part.append(estimated_bytes(rows))
        segments.append(selection.segment)
    return Sizes(by_part, segments)


def _selection(session: RecordedSession, part: Part) -> Selection:
    """UserError where the session has no such segment."""
    import polars as pl

    from tui.recording.reader import Selection, window_ns

    if part.segment_at_s is None:
        return Selection(TABLES, *window_ns(session.info, part.from_s, part.until_s))
    at_ns, _ = window_ns(session.info, part.segment_at_s, None)
    seconds = session.scan("seconds").filter(pl.col("t_ns") <= at_ns).select(pl.col("segment").last()).collect()
    if not seconds.height or seconds.item() is None:
        raise UserError("no second of this setting has been recorded yet")
    return Selection(segment=seconds.item())


def _write(directory: Path, question: WriteAsked) -> Written:
    """Into a folder of its own first, so that nothing half written has a name that somebody would open."""
    from tui.export.formats import export
    from tui.recording.reader import open_session

    session, folder = open_session(directory), Path(question.folder)
    try:
        place = Path(tempfile.mkdtemp(prefix=".dragstrip-", dir=folder))
    except OSError as error:
        raise UserError(f"cannot write in {folder} ({error.strerror}): choose another folder") from error
    try:
        selection = _selection(session, question.part)
        files = export(session, question.form, place, selection, Reporter().progress)
        return _in_place(files, folder, f"{session.name}{_part_name(question.part, selection)}", question.form)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _part_name(part: Part, selection: Selection) -> str:
    if selection.segment is not None:
        return f"-segment-{selection.segment}"
    return "" if part.from_s is None else f"-{part.from_s:.0f}-{part.until_s or 0:.0f}"


def _in_place(files: Sequence[ExportedFile], folder: Path, name: str, form: str) -> Written:
    """Move what was written to a name that is free: one file to its own, several to a folder."""
    if len(files) == 1:
        simulated = ".SIMULATED" if ".SIMULATED." in files[0].path.name else ""
        target = _free(folder, name, f"{simulated}{files[0].path.suffix}")
        files[0].path.rename(target)
    else:
        target = _free(folder, f"{name}-{form}", "")
        target.mkdir()
        for file in files:
            file.path.rename(target / file.path.name)
    return Written(str(target), len(files), sum(file.size_bytes for file in files))


def _free(folder: Path, name: str, suffix: str) -> Path:
    """`NAME.csv`, or where that is taken `NAME_2.csv`, …: nothing that is there is ever overwritten."""
    names = (f"{name}{'' if number == 1 else f'_{number}'}{suffix}" for number in count(1))
    return next(path for text in names if not (path := folder / text).exists())


class Reporter:
    """Says how far the export is, a few times a second."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def progress(self, what: str, done: int, total: int) -> None:
        if (now_s := time.monotonic()) >= self._next_s:
            self._next_s = now_s + PROGRESS_EVERY_S
            _say(Progressed(what, done / max(total, 1)))


if __name__ == "__main__":
    main()
