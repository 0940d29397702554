"""What was recorded comes back as the batches that were given."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.recording import synthetic
from tests.recording.conftest import Make
from tests.recording.synthetic import record, wait_for
from tui.model.rows import Batch, Chunks, EventRow, Lane
from tui.recording.reader import open_session
from tui.recording.recorder import Recorder
from tui.recording.tape import Tape

SECOND_NS = synthetic.SECOND_NS


def in_order(batch: Batch) -> Batch:
    """A given batch as a replayed one has it: rows in order of time, empty chunks left out."""
    return Batch(
        t_ns=batch.t_ns,
        requests=sorted(batch.requests, key=lambda row: row.t_end_ns),
        chunks=[(lane, chunks) for lane, chunks in batch.chunks if chunks.t_ns],
        seconds=batch.seconds,
        gauges=batch.gauges,
        events=batch.events,
    )


def by_second(tape: Tape, t0_ns: int = 0, t1_ns: int | None = None) -> Iterator[Batch]:
    """One batch for each second of the grid, from that of `t0_ns`; from the beginning, first what was before it."""
    if t0_ns < tape.t0_ns:
        yield tape.between(0, tape.t0_ns)
    first = max(0, t0_ns - tape.t0_ns) // SECOND_NS
    for start_ns in range(tape.t0_ns + first * SECOND_NS, t1_ns or tape.t_end_ns, SECOND_NS):
        yield tape.between(start_ns, start_ns + SECOND_NS)


@pytest.mark.parametrize("closed", [True, False])
def test_batches_come_back_equal(tmp_path: Path, closed: bool) -> None:
    given = list(synthetic.batches(10))
    recorder = record(tmp_path / "s", given)
    if closed:
        recorder.close("done", 10.0)
    before, *seconds = by_second(Tape(open_session(tmp_path / "s")))
    assert before == Batch(t_ns=synthetic.T0_NS)
    assert seconds == [in_order(batch) for batch in given]
    if not closed:
        recorder.close("done", 10.0)


def test_seeking_gives_the_same_seconds(make: Make) -> None:
    recorded = make(seconds=70)
    _, *played = by_second(Tape(recorded))
    tape = Tape(recorded)
    for second in (0, 69, 31, 3):
        at_ns = synthetic.T0_NS + second * SECOND_NS
        assert list(by_second(tape, at_ns + 400_000_000)) == played[second:]
    assert list(by_second(tape, synthetic.T0_NS + 5 * SECOND_NS, synthetic.T0_NS + 8 * SECOND_NS)) == played[5:8]


def test_between_joins_seconds(make: Make) -> None:
    tape = Tape(make(seconds=12))
    _, *seconds = by_second(tape)
    whole = tape.between(synthetic.T0_NS + 2 * SECOND_NS, synthetic.T0_NS + 12 * SECOND_NS)
    assert whole.t_ns == tape.t_end_ns == synthetic.T0_NS + 12 * SECOND_NS
    assert whole.requests == [row for batch in seconds[2:] for row in batch.requests]
    assert whole.events == [row for batch in seconds[2:] for row in batch.events]
    for lane, chunks in whole.chunks:
        assert chunks.t_ns == b"".join(c.t_ns for batch in seconds[2:] for name, c in batch.chunks if name == lane)


def test_what_came_out_of_order_is_put_in_its_second(tmp_path: Path) -> None:
    """A frame of lane b may come after one of lane a that is already in the next second."""
    first, second = synthetic.T0_NS + 10, synthetic.T0_NS + SECOND_NS + 10

    def chunks(lane: Lane, *t_ns: int) -> Batch:
        request = np.arange(len(t_ns), dtype="<i8").tobytes()
        tokens = np.ones(len(t_ns), dtype="<i4").tobytes()
        return Batch(max(t_ns), chunks=[(lane, Chunks(request, np.array(t_ns, dtype="<i8").tobytes(), tokens))])

    rows = [batch.seconds for batch in synthetic.batches(2)]
    recorder = Recorder(tmp_path / "s", synthetic.info())
    for batch in (chunks("a", first, second), chunks("b", second, first), Batch(second, seconds=rows[0] + rows[1])):
        recorder(batch)
    recorder.close("done", 2.0)
    _, *played = by_second(Tape(open_session(tmp_path / "s")))
    times = [[(lane, np.frombuffer(c.t_ns, "<i8").tolist()) for lane, c in batch.chunks] for batch in played]
    assert times == [[("a", [first]), ("b", [first])], [("a", [second]), ("b", [second])]]


def test_what_was_known_before_the_load_comes_first(tmp_path: Path) -> None:
    early = EventRow("a", synthetic.T0_NS - 3 * SECOND_NS, "start", text="vLLM 0.33.0")
    record(tmp_path / "s", [Batch(synthetic.T0_NS, events=[early]), *synthetic.batches(1)]).close("done", 1.0)
    before, second = by_second(Tape(open_session(tmp_path / "s")))
    assert before.events == [early]
    assert early not in second.events


def test_following_sees_each_second_whole(tmp_path: Path) -> None:
    given = list(synthetic.batches(6))
    recorder = record(tmp_path / "s", given[:3])
    tape = Tape(open_session(tmp_path / "s"))
    assert (tape.live, tape.t_end_ns) == (True, given[2].t_ns)
    for batch in given[3:5]:
        assert not tape.refresh()
        recorder(batch)
        wait_for(lambda at=batch.t_ns: recorder.durable_t_ns == at)  # type: ignore[misc]
        assert tape.refresh()
        assert list(by_second(tape, tape.t_end_ns - SECOND_NS)) == [in_order(batch)]
    assert [event.t_ns for event in tape.events] == [synthetic.T0_NS]
    recorder(given[5])
    recorder.close("done", 6.0)
    assert tape.refresh()
    assert list(by_second(tape, synthetic.T0_NS)) == [in_order(batch) for batch in given]
    assert (tape.live, tape.info.ended) == (False, "done")


def test_closing_under_a_followers_hands_is_no_error(tmp_path: Path) -> None:
    given = list(synthetic.batches(2))
    recorder = record(tmp_path / "s", given)
    tape = Tape(open_session(tmp_path / "s"))
    recorder.close("done", 2.0)  # the parts that the tape knows of are gone now
    assert list(by_second(tape, synthetic.T0_NS)) == [in_order(batch) for batch in given]


def test_a_session_cut_off_in_its_first_second_still_plays(tmp_path: Path) -> None:
    (batch,) = synthetic.batches(1)
    record(tmp_path / "s", [Batch(batch.t_ns, requests=batch.requests)]).close("", 0.5)
    tape = Tape(open_session(tmp_path / "s"))
    assert tape.t_end_ns == max(row.t_end_ns for row in batch.requests) + 1
    assert sum(len(played.requests) for played in by_second(tape)) == len(batch.requests)


def test_outcomes_are_counted_from_the_start(make: Make) -> None:
    tape = Tape(make(seconds=9))
    counts = {
        (lane, outcome, cause): n
        for lane, outcome, cause, n, *_ in tape.outcomes(synthetic.T0_NS + 9 * SECOND_NS).iter_rows()
    }
    assert counts == {
        (lane, *what): n for lane in "ab" for what, n in {("ok", ""): 80, ("failed", "http 5xx"): 10}.items()
    }
