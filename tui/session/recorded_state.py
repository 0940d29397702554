"""The state at any second of a recording, made from whole columns: folding an hour up to there would take minutes.

It is equal to the state that folding every second gives, but for what `MARGIN_S` says.

What was said of the lanes at every second of a recording.

A verdict depends on every look since its segment began, so it can only be folded, from the start. A thread does that
once, while the recording plays, and keeps what was said each second: about 5 kB, so an hour takes some 20 MB.

A recording at one second: its seconds are folded one after the other, by the code that folds a live session.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Final, Self, cast

import numpy as np
import polars as pl
from msgspec.structs import replace

from tui.judge.itl import ChunkGaps
from tui.judge.plausible import Answers, doubts_of
from tui.judge.tables import LATENCY, for_lane
from tui.model.metrics import NS_PER_S
from tui.model.profile import Profile
from tui.model.rows import LANES, Batch, EventRow, Lane, SecondRow
from tui.model.session import LaneInfo
from tui.recording.tape import Tape
from tui.session.make_view import counted_seconds, judgement, make_view, unknown_judgement
from tui.session.seconds import Floats, ViewContext
from tui.session.state import (
    LONGEST_WINDOW_S,
    SLOW_OVER_S,
    Bucketed,
    LaneState,
    SecondDetail,
    SessionState,
    bucketed_by,
)
from tui.session.timeline import dials_after, first_dials
from tui.session.verdicts import LiveVerdicts
from tui.session.view import HISTORY_S, Judgement, View

MARGIN_S: Final = 10  # a gap between two chunks that begins so long before the oldest second of a window is not seen
Range = tuple[int, int]  # from the first moment until before the second
KnownItl = Callable[[Lane, int], Bucketed | None]  # of a lane's second of the session
NO_ITL: Final = Bucketed(np.empty(0, dtype=np.int16), np.empty(0, dtype=np.int64))


def state_at(tape: Tape, before: Batch, t_ns: int) -> SessionState:
    """The state at `t_ns`, a whole second. `before` is what was known before the load began.

    Inter-token latencies are left for `add_itl`, streams for `open_streams`.
    """
    state = SessionState(tape.t0_ns)
    state.apply(before)
    state.begin(tape.t0_ns)
    for event in tape.events:
        if tape.t0_ns <= event.t_ns < t_ns:
            state.take_event(event)
    state.t_ns = t_ns
    _take_gauges(state, tape, t_ns)
    _take_seconds(state, tape, t_ns)
    _take_details(state, tape, t_ns)
    _take_counts(state, tape, t_ns)
    return state


def add_itl(state: SessionState, tape: Tape, span: Range, known_itl: KnownItl) -> None:
    """Add the inter-token latencies of a span of seconds.

    Chunks are read only where they are not known.
    """
    start_ns, end_ns = span
    seconds = range((start_ns - tape.t0_ns) // NS_PER_S, (end_ns - tape.t0_ns) // NS_PER_S)
    known = {lane: [known_itl(lane, second) for second in seconds] for lane in LANES}
    if None in known["a"]:
        known |= _read_itl(tape, span)
    for lane in LANES:
        for detail in state.lanes[lane].details:
            if start_ns <= detail.t_ns < end_ns:
                detail.itl = known[lane][(detail.t_ns - start_ns) // NS_PER_S] or NO_ITL


def _read_itl(tape: Tape, span: Range) -> dict[Lane, list[Bucketed | None]]:
    start_ns, end_ns = span
    seconds = (end_ns - start_ns) // NS_PER_S
    itl: dict[Lane, list[Bucketed | None]] = {}
    for lane, chunks in tape.chunk_columns(start_ns - MARGIN_S * NS_PER_S, end_ns).items():
        gaps = ChunkGaps(start_ns).feed_columns(chunks.request, chunks.t_ns, chunks.tokens)
        inside = gaps.second >= 0
        itl[lane] = [*bucketed_by(gaps.second[inside], seconds, gaps.itl_ms[inside], gaps.tokens[inside])]
    return itl


def open_streams(state: SessionState, tape: Tape) -> None:
    """Let the streams that are open at the state's second go on from there."""
    span = (state.t_ns - MARGIN_S * NS_PER_S, state.t_ns)
    ended = tape.frame("requests", *span)
    for lane, chunks in tape.chunk_columns(*span).items():
        gaps = ChunkGaps()
        gaps.feed_columns(chunks.request, chunks.t_ns, chunks.tokens)
        state.lanes[lane].stream_on(gaps, for_lane(ended, lane)["request"].to_list())


def _take_gauges(state: SessionState, tape: Tape, t_ns: int) -> None:
    since_ns = max(tape.t0_ns, t_ns - HISTORY_S * NS_PER_S)
    frames = [tape.last_gauges(since_ns)] if since_ns > tape.t0_ns else []
    for frame in (*frames, tape.frame("gauges", since_ns, t_ns)):
        for (lane, source, name), rows in frame.group_by("lane", "source", "name", maintain_order=True):
            readings = state.lanes[cast("Lane", lane)].gauges[cast("str", source), cast("str", name)]
            readings.extend(zip(rows["t_ns"].to_list(), rows["value"].to_list(), strict=True))
    for event in tape.events:
        if event.kind == "fault" and event.t_ns < t_ns:
            _forget_if_read_again(state, event, tape.t0_ns)


def _forget_if_read_again(state: SessionState, fault: EventRow, t0_ns: int) -> None:
    """A source that was read in the second of its fault, or later, has none any more."""
    second_ns = t0_ns + (fault.t_ns - t0_ns) // NS_PER_S * NS_PER_S
    for lane, lane_state in state.lanes.items():
        if fault.lane in ("", lane) and any(
            readings[-1][0] >= second_ns
            for (source, _), readings in lane_state.gauges.items()
            if readings and fault.name == ("gpu" if source.startswith("gpu") else source)
        ):
            lane_state.fault.pop(fault.name, None)


def _take_seconds(state: SessionState, tape: Tape, t_ns: int) -> None:
    rows = tape.second_rows(max(tape.t0_ns, t_ns - HISTORY_S * NS_PER_S), t_ns)
    for lane in LANES:
        state.lanes[lane].seconds.extend(row for row in rows if row.lane == lane)


def _take_details(state: SessionState, tape: Tape, t_ns: int) -> None:
    start_ns = max(tape.t0_ns, t_ns - LONGEST_WINDOW_S * NS_PER_S)
    good = tape.frame("requests", start_ns, t_ns).filter(pl.col("outcome") == "ok")
    for lane in LANES:
        rows = [row for row in state.lanes[lane].seconds if row.t_ns >= start_ns]
        state.lanes[lane].details.extend(_details(rows, for_lane(good, lane)))


def _details(rows: list[SecondRow], requests: pl.DataFrame) -> Iterator[SecondDetail]:
    """The values behind each second's row, without the inter-token latencies."""
    columns = _columns(requests)
    doubts = doubts_of(Answers.from_frame(requests))
    t_ns = np.array([row.t_ns for row in rows], dtype=np.int64)
    ended_ns, segment = requests["t_end_ns"].to_numpy(), requests["segment"].to_numpy()
    first, last = np.searchsorted(ended_ns, t_ns), np.searchsorted(ended_ns, t_ns + NS_PER_S)
    for row, start, end in zip(rows, first.tolist(), last.tolist(), strict=True):
        values = {name: column[start:end] for name, column in columns.items()}
        in_segment = segment[start:end] == row.segment
        prompt_tokens, output_tokens = (
            values.pop("prompt_tokens")[in_segment],
            values.pop("output_tokens")[in_segment],
        )
        prompt_tokens = prompt_tokens[~np.isnan(prompt_tokens)]
        yield SecondDetail(row.t_ns, values, NO_ITL, in_segment, prompt_tokens, output_tokens, doubts[start:end])


def _columns(requests: pl.DataFrame) -> dict[str, Floats]:
    """What a detail holds of each request, nan where it has no such value."""
    columns = requests.select(**LATENCY, prompt_tokens="prompt_tokens", output_tokens="output_tokens")
    return {column.name: column.to_numpy() for column in columns.cast(pl.Float64).fill_null(float("nan"))}


def _take_counts(state: SessionState, tape: Tape, t_ns: int) -> None:
    """What is counted since the load began, and what the newest request of each kind says."""
    newest = tape.outcomes(t_ns)
    for row in newest.iter_rows(named=True):
        lane: LaneState = state.lanes[row["lane"]]
        if row["outcome"] == "ok":
            lane.done += row["n"]
        elif row["outcome"] in ("failed", "refused"):
            lane.failed += row["n"] if row["outcome"] == "failed" else 0
            lane.causes[row["cause"]] += row["n"]
    for row in newest.sort("newest_ns").iter_rows(named=True):
        lane = state.lanes[row["lane"]]
        if row["outcome"] == "ok":
            lane.stamp = row["stamp"]
            lane.tokens_from_chunks = row["tokens_from"].startswith("chunks")
        elif row["outcome"] in ("failed", "refused"):
            lane.last_error = f"{row['cause']}: {row['detail']}" if row["detail"] else row["cause"]


def recorded_context(tape: Tape, profile: Profile, state: SessionState) -> ViewContext:
    """What a view of the state needs besides the rows.

    A server is known from its start event on; one that no event names is taken to have been known always.
    """
    start_ns: dict[str, int] = {}
    for event in tape.events:
        if event.kind == "start":
            start_ns.setdefault(event.lane, event.t_ns)
    dials = dials_after(first_dials(profile), state.dial_events)
    infos: dict[Lane, LaneInfo] = {
        lane: tape.info.lanes[lane]
        for lane in dials
        if lane in tape.info.lanes and start_ns.get(lane, 0) <= state.t_ns
    }
    return ViewContext(profile, infos, dials, tape.info.wall_ns)


WAIT_S: Final = 0.5  # for more of a session that is still recorded


class Judgements:
    """Folds in a thread that calls `run`; any thread may read. `tape` is for this alone."""

    def __init__(self, tape: Tape, profile: Profile) -> None:
        self._tape = tape
        self._profile = profile
        self._state = SessionState(tape.t0_ns, live_verdicts=LiveVerdicts.under(profile))
        self._state.apply(tape.between(0, tape.t0_ns))
        self._state.begin(tape.t0_ns)
        self._said: list[Judgement] = []
        self._itl: dict[Lane, list[Bucketed | None]] = {lane: [] for lane in LANES}
        self._segment_tps = SegmentTps(profile.lanes)
        self._more = threading.Event()
        self._may_run = threading.Event()
        self._may_run.set()
        self._stopped = False
        self._keep()

    @property
    def reached(self) -> int:
        """The last second of which it is known what was said."""
        return len(self._said) - 1

    def at(self, second: int) -> Judgement | None:
        """What was said at the end of so many seconds; None where that is not known yet."""
        if second > self.reached:
            return None
        history = [said.verdicts for said in self._said[max(second + 1 - HISTORY_S, 1) : second + 1]]
        return replace(self._said[second], segment_tps=self._segment_tps.at(second), history=history)

    def itl_at(self, lane: Lane, second: int) -> Bucketed | None:
        """The inter-token latencies of one second; None where they are not known yet."""
        return self._itl[lane][second] if 0 <= second < self.reached else None

    def run(self, *, follow: bool) -> None:
        """Fold until the end of the session, or of the replay. Blocks."""
        while not self._stopped:
            self._may_run.wait()
            if self._state.t_ns < self._tape.t_end_ns:
                self._fold()
            elif not follow:
                return
            else:
                live = self._tape.live
                if not self._tape.refresh():
                    if not live:
                        return
                    self._more.wait(WAIT_S)
                self._more.clear()

    def look_for_more(self) -> None:
        """There is a new second of a session that is still recorded."""
        self._more.set()

    def pause(self) -> None:
        """Leave the processor to something that an operator waits for."""
        self._may_run.clear()

    def go_on(self) -> None:
        self._may_run.set()

    def stop(self) -> None:
        """It is needed no longer."""
        self._stopped = True
        self._more.set()
        self._may_run.set()

    def _fold(self) -> None:
        start_ns = self._state.t_ns
        self._state.apply(self._tape.between(start_ns, start_ns + NS_PER_S))
        for lane in LANES:
            details = self._state.lanes[lane].details
            self._itl[lane].append(details[-1].itl if details and details[-1].t_ns == start_ns else None)
        self._keep()

    def _keep(self) -> None:
        judged = judgement(self._state, recorded_context(self._tape, self._profile, self._state))
        self._segment_tps.add(judged.segment_tps)
        self._said.append(replace(judged, segment_tps={}))


class SegmentTps:
    """`View.segment_tps` at every second. A segment grows by its end: each value is kept once."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._values: dict[Lane, array[float]] = {lane: array("d") for lane in lanes}
        self._spans: list[tuple[int, int]] = []

    def add(self, tps: Mapping[Lane, Sequence[float]]) -> None:
        """One more second; the values of all lanes are of one length."""
        start, end = self._spans[-1] if self._spans else (0, 0)
        length = min(map(len, tps.values()))
        if length < end - start:  # a new segment, or its oldest values have gone
            start = end
        for lane, values in tps.items():
            self._values[lane].extend(values[end - start :])
        self._spans.append((start, start + length))

    def at(self, second: int) -> dict[Lane, list[float]]:
        start, end = self._spans[second]
        return {lane: values[start:end].tolist() for lane, values in self._values.items()}


READING: Final = "reading the recording up to here"


class Playback:
    """Stands at the end of a second. What is said of the lanes there comes from `judgements`, once it is known."""

    def __init__(self, tape: Tape, profile: Profile, judgements: Judgements | None = None) -> None:
        self.tape = tape
        self.profile = profile
        self.judgements = judgements
        self._note = "" if tape.live or tape.session.has_chunks else "no chunks, so no ITL"
        self._before = tape.between(0, tape.t0_ns)
        self.state = state_at(tape, self._before, tape.t0_ns)
        self._itl_from_ns = tape.t0_ns  # of the seconds before it no inter-token latencies are known
        self._streams_open = True  # whether the state knows the last chunks of the streams that are open

    def moved_to(self, second: int, window_s: int) -> Self:
        """The same recording at another second, ready for views over `window_s`. This one may be shown meanwhile."""
        moved = copy(self)
        t_ns = self.tape.t0_ns + second * NS_PER_S
        moved.state = state_at(self.tape, self._before, t_ns)
        moved._itl_from_ns, moved._streams_open = t_ns, False
        moved._read_itl_of(window_s)
        return moved

    @property
    def second(self) -> int:
        """How many seconds have been played."""
        return (self.state.t_ns - self.tape.t0_ns) // NS_PER_S

    @property
    def at_end(self) -> bool:
        """Whether there is no further whole second yet."""
        return self.state.t_ns >= self.tape.t_end_ns

    @property
    def may_step(self) -> bool:
        """Whether the next second is there, and what is said of it known, if it is known of this one."""
        known = -1 if self.judgements is None else self.judgements.reached
        return not self.at_end and self.second != known

    def step(self) -> None:
        """Fold the next second in."""
        if not self._streams_open:
            open_streams(self.state, self.tape)
            self._streams_open = True
        start_ns = self.state.t_ns
        self.state.apply(self.tape.between(start_ns, start_ns + NS_PER_S))

    def finish(self) -> None:
        """The session that was followed has ended: come to its end, and say how it was."""
        while not self.at_end:
            self.step()
        ends = [event for event in self.tape.events if event.kind == "end"]
        ended = self.tape.info.ended or "cut off: it was not closed"
        self.state.take_event(ends[-1] if ends else EventRow("", self.state.t_ns, "end", text=ended))

    def view(self, window_s: int) -> View:
        """What a screen shows here."""
        self._read_itl_of(window_s)
        context = recorded_context(self.tape, self.profile, self.state)
        judged = self.judgements.at(self.second) if self.judgements is not None else None
        judged = judged or unknown_judgement(self.state, context, READING)
        view = make_view(self.state, context, window_s, judged)
        return replace(view, recording=self.tape.info.name, recording_note=self._note)

    def _read_itl_of(self, window_s: int) -> None:
        """Read what a longer window needs."""
        wanted_ns = max(self.tape.t0_ns, self._oldest_shown_ns(window_s))
        if wanted_ns < self._itl_from_ns:
            add_itl(self.state, self.tape, (wanted_ns, self._itl_from_ns), self._known_itl)
            self._itl_from_ns = wanted_ns

    def _known_itl(self, lane: Lane, second: int) -> Bucketed | None:
        return None if self.judgements is None else self.judgements.itl_at(lane, second)

    def _oldest_shown_ns(self, window_s: int) -> int:
        """Start of the oldest second whose samples a view needs."""
        state = self.state
        oldest_ns = state.t_ns - max(window_s, SLOW_OVER_S) * NS_PER_S
        if self.profile.mode != "alternate":
            return oldest_ns
        turns = [counted_seconds(lane, state.t_ns, window_s, in_turns=True) for lane in state.lanes.values()]
        return min([oldest_ns, *(rows[0].t_ns for rows in turns if rows)])
