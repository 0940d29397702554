"""Time in a replay: speed, pause, steps, jumps, the end; sessions of every kind."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.recording import synthetic
from tui.model.rows import Batch, EventRow
from tui.model.session import SessionInfo
from tui.model.text import UserError
from tui.recording.marks import Marks
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder
from tui.recording.tape import Tape
from tui.session.replay import ReplayOptions, ReplaySource
from tui.session.source import SPEEDS, Source
from tui.session.timeline import profile_of

NS = synthetic.SECOND_NS
SECONDS = 20
LINKED = {"name": "s", "a": {"url": "http://a"}, "b": {"url": "http://b"}}
Change = Callable[[Batch], Batch]


def record(folder: Path, seconds: int = SECONDS, change: Change = lambda batch: batch, **about: object) -> Recorder:
    recorder = Recorder(folder, synthetic.info("s", **{"profile": LINKED, **about}))
    for batch in synthetic.batches(seconds, synthetic.Load(4, 5, failed_every=0)):
        recorder(change(replace(batch, events=[])))
    return recorder


class Replayed:
    """A replay whose pictures can be waited for."""

    def __init__(self, folder: Path, how: ReplayOptions | None = None, marks: Marks | None = None) -> None:
        self.source = ReplaySource(
            profile_of(open_session(folder).info), lambda: Tape(open_session(folder)), how or ReplayOptions(), marks
        )
        self.seconds: list[int] = []
        self._moved = asyncio.Event()

    async def start(self) -> None:
        await self.source.start(self._take)
        await self.source.opened()

    def _take(self) -> None:
        self.seconds.append(self.source.view(30).second)
        self._moved.set()

    async def when(self, holds: Callable[[ReplaySource], bool], within_s: float = 20) -> None:
        async with asyncio.timeout(within_s):
            while not holds(self.source):
                self._moved.clear()
                await self._moved.wait()


@asynccontextmanager
async def replaying(
    folder: Path, how: ReplayOptions | None = None, marks: Marks | None = None
) -> AsyncIterator[Replayed]:
    replayed = Replayed(folder, how, marks)
    await replayed.start()
    try:
        yield replayed
    finally:
        await replayed.source.stop("done")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sessions") / "s"
    record(folder).close("done", float(SECONDS))
    return folder


async def test_it_is_a_source_at_its_first_second(folder: Path) -> None:
    async with replaying(folder) as replayed:
        source: Source = replayed.source
        assert source.replay
        assert source.board.read_only
        replay = replayed.source
        assert (replay.position_s, replay.duration_s, replay.playing) == (0.0, SECONDS, True)
        assert not replay.following


async def test_at_full_speed_it_comes_to_the_end_and_pauses_there_then_plays_again(folder: Path) -> None:
    async with replaying(folder, ReplayOptions(speed=math.inf)) as replayed:
        source = replayed.source
        await replayed.when(lambda source: not source.playing)
        assert source.position_s == SECONDS == source.view(30).second
        assert replayed.seconds == sorted(replayed.seconds)
        source.set_speed(0.25)
        source.toggle()
        await replayed.when(lambda source: source.position_s < SECONDS)
        assert source.playing
        assert source.position_s == 0


async def test_paused_it_stays_and_steps_by_seeking(folder: Path) -> None:
    async with replaying(folder, ReplayOptions(start_at=lambda length_s: length_s / 2)) as replayed:
        source = replayed.source
        source.toggle()
        at = source.position_s
        assert at >= SECONDS / 2
        for wanted, reached in ((at + 1, at + 1), (at, at), (3.9, 3), (-5, 0), (1e9, SECONDS)):
            await source.seek(wanted)
            assert source.position_s == reached == source.view(30).second
        assert not source.playing


async def test_speed_is_how_many_seconds_pass_in_one(folder: Path) -> None:
    async with replaying(folder, ReplayOptions(speed=64.0)) as replayed:
        began_s = asyncio.get_running_loop().time()
        await replayed.when(lambda source: not source.playing)
        assert asyncio.get_running_loop().time() - began_s >= SECONDS / 64 * 0.8
        for speed in SPEEDS:
            replayed.source.set_speed(speed)
            assert replayed.source.speed == speed
        with pytest.raises(ValueError, match="one of"):
            replayed.source.set_speed(3.0)


async def test_of_many_jumps_at_once_the_last_one_counts(folder: Path) -> None:
    async with replaying(folder) as replayed:
        replayed.source.toggle()
        await asyncio.gather(*(replayed.source.seek(second) for second in (3, 15, 7, 11)))
        assert replayed.source.position_s == 11


async def test_the_dials_are_those_of_the_moment(tmp_path: Path) -> None:
    turn = {
        5: EventRow("", 0, "dial", "concurrency", "8", "32"),
        9: EventRow("b", 0, "dial", "shared_prefix", "0", "25"),
    }

    def turned(batch: Batch) -> Batch:
        event = turn.get((batch.t_ns - synthetic.T0_NS) // NS)
        return replace(batch, events=[msgspec.structs.replace(event, t_ns=batch.t_ns - 1)] if event else [])

    record(tmp_path / "s", change=turned).close("done", float(SECONDS))
    async with replaying(tmp_path / "s") as replayed:
        source, board = replayed.source, replayed.source.board
        source.toggle()
        await source.seek(4)
        assert (board.in_force("a").concurrency, board.linked) == (8, True)
        await source.seek(7)
        assert (board.shown("b").concurrency, board.linked) == (32, True)
        await source.seek(12)
        assert (board.shown("b").shared_prefix, board.shown("a").shared_prefix, board.linked) == (0.25, 0.0, False)
        assert not board.step("concurrency", 1)
        assert board.set("concurrency", 3) == "the dials are as recorded"
        assert [(round(m.t_s), m.text) for m in source.moments()] == [(5, "conc 8→32"), (9, "shared 0→25")]


async def test_a_mark_is_kept_next_to_the_recording(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    async with replaying(folder, marks=Marks(tmp_path / "s.jsonl")) as replayed:
        replayed.source.toggle()
        await replayed.source.seek(6)
        replayed.source.mark("look here")
        assert [(m.t_s, m.kind, m.text, m.is_annotation) for m in replayed.source.moments()] == [
            (6.0, "mark", "look here", True)
        ]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


async def test_the_verdicts_come_once_the_whole_of_before_is_known(folder: Path) -> None:
    async with replaying(folder, ReplayOptions(start_at=lambda length_s: length_s)) as replayed:
        await replayed.when(lambda source: "needs" in source.view(30).verdicts["output_tps"].reason)
        assert len(replayed.source.view(30).ledger) == 1


# Sessions of every kind.


async def test_one_lane_alone(tmp_path: Path) -> None:
    def alone(batch: Batch) -> Batch:
        return Batch(
            batch.t_ns,
            requests=[row for row in batch.requests if row.lane == "a"],
            chunks=[(lane, chunks) for lane, chunks in batch.chunks if lane == "a"],
            seconds=[row for row in batch.seconds if row.lane == "a"],
        )

    info = synthetic.info()
    record(tmp_path / "s", change=alone, profile={"a": {"url": "http://a"}}, lanes={"a": info.lanes["a"]}).close(
        "done", float(SECONDS)
    )
    async with replaying(tmp_path / "s") as replayed:
        await replayed.source.seek(10)
        view = replayed.source.view(30)
        assert list(view.lanes) == ["a"]
        assert view.lanes["a"].done == 40
        window = await replayed.source.window(2, 8)
        assert window.requests == {"a": 24}
        assert window.note == "there is one lane"


async def test_a_session_without_a_whole_second_says_so(tmp_path: Path) -> None:
    Recorder(tmp_path / "s", synthetic.info("s", profile=LINKED)).close("done", 0.0)
    replayed = Replayed(tmp_path / "s")
    with pytest.raises(UserError, match="s holds no whole second: there is nothing to replay"):
        await replayed.start()
    await replayed.source.stop("done")


@pytest.mark.parametrize("table", ["requests", "chunks", "gauges", "events", "seconds"])
async def test_a_session_that_lost_a_table_replays_the_rest(tmp_path: Path, table: str) -> None:
    mark = EventRow("", synthetic.T0_NS + 1, "mark", text="here")
    record(tmp_path / "s", change=lambda batch: replace(batch, events=[mark])).close("done", float(SECONDS))
    (path,) = (tmp_path / "s" / table).glob("*.parquet")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    async with replaying(tmp_path / "s") as replayed:
        replayed.source.toggle()
        for second in (SECONDS // 2, SECONDS - 1):
            await replayed.source.seek(second)
            assert replayed.source.view(30).second == second
            tps = replayed.source.view(30).lanes["a"].output_tps
            assert tps == (None if table == "seconds" else 20)


async def test_a_session_that_was_killed_replays_what_is_on_the_disk(tmp_path: Path) -> None:
    recorder = record(tmp_path / "s")
    while recorder.durable_t_ns != synthetic.T0_NS + SECONDS * NS:
        await asyncio.sleep(0.01)
    recorder._closing.set()
    recorder._thread.join()
    recorder._lock.release()
    async with replaying(tmp_path / "s", ReplayOptions(start_at=lambda length_s: length_s)) as replayed:
        assert replayed.source.view(30).lanes["b"].done == SECONDS * 4


async def test_lanes_that_take_turns(tmp_path: Path) -> None:
    def in_turns(batch: Batch) -> Batch:
        turn = "ab"[(batch.t_ns - synthetic.T0_NS) // NS // 5 % 2]
        rows = [msgspec.structs.replace(row, resting=row.lane != turn) for row in batch.seconds]
        return replace(batch, seconds=rows)

    record(tmp_path / "s", change=in_turns, profile={**LINKED, "mode": "alternate"}).close("done", float(SECONDS))
    async with replaying(tmp_path / "s") as replayed:
        replayed.source.toggle()
        await replayed.source.seek(15)
        view = replayed.source.view(30)
        assert view.mode == "alternate"
        assert sum(value is None for value in view.lanes["a"].curve) == 6


@pytest.mark.parametrize(
    "profile", [{}, {"load": {"concurrency": 4, "sampler": "new"}, "colour": 3}, {"a": {"url": 7}, "slo": "all"}]
)
def test_a_profile_of_another_version_is_read_as_far_as_it_is_known(profile: dict[str, object]) -> None:
    info: SessionInfo = synthetic.info("s", profile=profile)
    read = profile_of(info)
    assert read.b is not None
    assert read.load.concurrency == (4 if "load" in profile else 8)


# Following.


async def followed_at(source: ReplaySource, second: float) -> bool:
    await source.seek(second)
    return source.following


async def test_following_shows_each_second_as_it_comes_and_says_how_it_ended(tmp_path: Path) -> None:
    recorder = record(tmp_path / "s", 3)
    while recorder.durable_t_ns is None:
        await asyncio.sleep(0.01)
    more = [replace(batch, events=[]) for batch in synthetic.batches(3, synthetic.Load(4, 5), first=3)]
    async with replaying(tmp_path / "s", ReplayOptions(follow=True)) as replayed:
        source = replayed.source
        assert (source.position_s, source.playing) == (3, True)
        recorder(more[0])
        await replayed.when(lambda source: source.position_s == 4)
        assert [await followed_at(source, second) for second in (1, 99)] == [False, True]
        recorder(more[1])
        recorder(Batch(more[1].t_ns, events=[EventRow("", more[1].t_ns + 1, "end", text="quit")]))
        await asyncio.to_thread(recorder.close, "quit", 5.0)
        await replayed.when(lambda source: any(event.kind == "end" for event in source.view(30).events))
        assert (source.position_s, source.playing) == (5, False)
        assert [moment.text for moment in source.moments() if moment.kind == "end"] == ["quit"]
