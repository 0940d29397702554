"""A recording's seconds folded one after the other, by the same code that a live session folds them with.

The state at any second of a recording, made from whole columns: folding an hour up to there would take minutes.

What a test holds it to: it is equal to the state that folding every second gives, but for what `MARGIN_S` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from typing import Final, Protocol, cast

import numpy as np
import polars as pl
from msgspec.structs import replace

from tui.judge.tables import for_lane
from tui.model.profile import Profile
from tui.model.rows import LANES, Batch, EventRow, Lane, SecondRow
from tui.model.session import LaneInfo
from tui.model.units import NS_PER_S
from tui.recording.tape import Tape
from tui.session.make_view import counted_seconds, make_view
from tui.session.seconds import ChunkGaps, Floats, ViewContext
from tui.session.state import HISTORY_S, SLOW_OVER_S, Bucketed, LaneState, SecondDetail, SessionState, bucketed_by
from tui.session.timeline import dials_after, first_dials
from tui.session.verdicts import LiveVerdicts
from tui.session.view import View
from tui.stats.verdict import Verdict

MARGIN_S: Final = 10  # a gap between two chunks that begins so long before the oldest second of a window is not seen
Range = tuple[int, int]  # from the first moment until before the second
KnownGaps = Callable[[Lane, int], Bucketed | None]
NO_GAPS: Final = Bucketed(np.empty(0, dtype=np.int16), np.empty(0, dtype=np.int64))


def restored(tape: Tape, before: Batch, standing: LiveVerdicts, t_ns: int) -> SessionState:
    """The state at `t_ns`, a whole second. `before` is what was known before the load began, and `standing` is where
    the lanes stood at `t_ns`. The values behind the seconds are left for `add_details`, streams for `open_streams`.
    """
    state = SessionState(tape.t0_ns)
    state.apply(before)
    state.begin(tape.t0_ns)
    for event in tape.events:
        if tape.t0_ns <= event.t_ns < t_ns:
            state.take_event(event)
    state.standing, state.t_ns = standing, t_ns
    _take_gauges(state, tape, t_ns)
    _take_seconds(state, tape, t_ns)
    _take_counts(state, tape, t_ns)
    return state


def add_details(state: SessionState, tape: Tape, span: Range, known: KnownGaps) -> None:
    """Put the values behind the seconds of a span before those that `state` has already.

    `known` tells the inter-token latencies of a lane's second of the session without reading its chunks, or None.
    """
    start_ns, end_ns = span
    seconds = range((start_ns - tape.t0_ns) // NS_PER_S, (end_ns - tape.t0_ns) // NS_PER_S)
    gaps = {lane: [known(lane, second) for second in seconds] for lane in LANES}
    if any(of is None for of in gaps["a"]):
        gaps |= _read_gaps(tape, span)
    good = tape.frame("requests", start_ns, end_ns).filter(pl.col("outcome") == "ok")
    for lane in LANES:
        rows = [row for row in state.lanes[lane].seconds if start_ns <= row.t_ns < end_ns]
        itl = [gaps[lane][(row.t_ns - start_ns) // NS_PER_S] or NO_GAPS for row in rows]
        state.lanes[lane].details.extendleft(reversed(list(_details(rows, for_lane(good, lane), itl))))


def _read_gaps(tape: Tape, span: Range) -> dict[Lane, list[Bucketed | None]]:
    start_ns, end_ns = span
    seconds = (end_ns - start_ns) // NS_PER_S
    found: dict[Lane, list[Bucketed | None]] = {}
    for lane, chunks in tape.chunk_columns(start_ns - MARGIN_S * NS_PER_S, end_ns).items():
        gaps = ChunkGaps(start_ns).feed_columns(chunks.request, chunks.t_ns, chunks.tokens)
        inside = gaps.second >= 0
        found[lane] = [*bucketed_by(gaps.second[inside], seconds, gaps.itl_ms[inside], gaps.tokens[inside])]
    return found


def open_streams(state: SessionState, tape: Tape) -> None:
    """Let the streams that are open where the state stands go on from there."""
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
    for lane, of in state.lanes.items():
        if fault.lane in ("", lane) and any(
            readings[-1][0] >= second_ns
            for (source, _), readings in of.gauges.items()
            if readings and fault.name == ("gpu" if source.startswith("gpu") else source)
        ):
            of.fault.pop(fault.name, None)


def _take_seconds(state: SessionState, tape: Tape, t_ns: int) -> None:
    rows = tape.second_rows(max(tape.t0_ns, t_ns - HISTORY_S * NS_PER_S), t_ns)
    for lane in LANES:
        state.lanes[lane].seconds.extend(row for row in rows if row.lane == lane)


def _details(rows: list[SecondRow], requests: pl.DataFrame, itl: list[Bucketed]) -> Iterator[SecondDetail]:
    """The values behind each second's row."""
    columns = _columns(requests)
    t_ns = np.array([row.t_ns for row in rows], dtype=np.int64)
    ended_ns, segment = requests["t_end_ns"].to_numpy(), requests["segment"].to_numpy()
    first, past = np.searchsorted(ended_ns, t_ns), np.searchsorted(ended_ns, t_ns + NS_PER_S)
    for row, gaps, start, end in zip(rows, itl, first.tolist(), past.tolist(), strict=True):
        of = {name: column[start:end] for name, column in columns.items()}
        own = segment[start:end] == row.segment
        prompt_tokens, output_tokens = of.pop("prompt_tokens")[own], of.pop("output_tokens")[own]
        yield SecondDetail(row.t_ns, of, gaps, own, prompt_tokens[~np.isnan(prompt_tokens)], output_tokens)


def _columns(requests: pl.DataFrame) -> dict[str, Floats]:
    """What a detail holds of each request, nan where it has no such value.

    Milliseconds are divided here: Polars multiplies by 1e-6 instead, which differs in the last digit from the rows'.
    """

    def column(of: pl.Expr) -> Floats:
        return requests.select(of.cast(pl.Float64).fill_null(float("nan"))).to_series().to_numpy()

    first, last, sent = pl.col("t_first_ns"), pl.col("t_last_ns"), pl.col("t_send_ns")
    more = pl.col("output_tokens") - pl.col("k_first")
    return {
        "ttft": column(first - sent) / 1e6,
        "ttft_sched": column(first - pl.col("t_sched_ns")) / 1e6,
        "tpot": column(last - first) / 1e6 / column(pl.when(more > 0).then(more)),
        "e2e": column(last - sent) / 1e6,
        "prompt_tokens": column(pl.col("prompt_tokens")),
        "output_tokens": column(pl.col("output_tokens")),
    }


def _take_counts(state: SessionState, tape: Tape, t_ns: int) -> None:
    """What is counted since the load began, and what the newest request of each kind tells."""
    newest = tape.outcomes(t_ns)
    for row in newest.iter_rows(named=True):
        lane: LaneState = state.lanes[row["lane"]]
        if row["outcome"] == "ok":
            lane.done += row["n"]
        elif row["outcome"] == "failed":
            lane.failed += row["n"]
            lane.causes[row["cause"]] += row["n"]
    for row in newest.sort("newest_ns").iter_rows(named=True):
        lane = state.lanes[row["lane"]]
        if row["outcome"] == "ok":
            lane.stamp = row["stamp"]
            lane.tokens_from_chunks = row["tokens_from"] == "chunks"
        elif row["outcome"] == "failed":
            lane.last_error = f"{row['cause']}: {row['detail']}" if row["detail"] else row["cause"]


READING: Final = "reading the recording up to here"


class Known(Protocol):
    """What is known of every second up to some moment, because someone has folded them all."""

    def standing_at(self, second: int) -> LiveVerdicts | None:
        """Where the lanes stood at the end of so many seconds; None where that is not known yet."""
        ...

    def gaps_at(self, lane: Lane, second: int) -> Bucketed | None:
        """The inter-token latencies of one second; None where they are not known yet."""
        ...


class Playing:
    """A state that stands at a whole second of a tape: from the beginning, or put there by `standing_at`."""

    def __init__(self, tape: Tape, profile: Profile) -> None:
        self.tape = tape
        self.profile = profile
        self.first_dials = first_dials(profile)
        self.before = tape.between(0, tape.t0_ns)
        self.exact = True  # whether the verdicts are known, too
        self.state = beginning(tape, profile, self.before)
        self._streams_open = True  # whether the state knows the last chunks of the streams that are open
        self._details_from_ns = tape.t0_ns  # of the seconds before it the rows alone are known

    def standing_at(self, second: int, course: Known | None, window_s: int) -> Playing:
        """The same tape at another second, ready for views over `window_s`."""
        found = copy(self)
        t_ns = self.tape.t0_ns + second * NS_PER_S
        known = course.standing_at(second) if course is not None else None
        found.exact = known is not None or not second
        found.state = restored(self.tape, self.before, known or LiveVerdicts.under(self.profile), t_ns)
        found._details_from_ns, found._streams_open = t_ns, False
        found.see(window_s, course)
        return found

    def see(self, window_s: int, course: Known | None = None) -> None:
        """Read what a longer window needs."""
        wanted_ns = max(self.tape.t0_ns, self._oldest_shown_ns(window_s))
        if wanted_ns < self._details_from_ns:
            known = course.gaps_at if course is not None else nothing_known
            add_details(self.state, self.tape, (wanted_ns, self._details_from_ns), known)
            self._details_from_ns = wanted_ns

    def _oldest_shown_ns(self, window_s: int) -> int:
        """The beginning of the oldest second of which a view shows the values behind it."""
        now_ns = self.state.t_ns
        oldest_ns = now_ns - max(window_s, SLOW_OVER_S) * NS_PER_S
        if self.profile.mode != "alternate":
            return oldest_ns
        turns = [counted_seconds(lane, now_ns, window_s, in_turns=True) for lane in self.state.lanes.values()]
        return min([oldest_ns, *(rows[0].t_ns for rows in turns if rows)])

    @property
    def second(self) -> int:
        """Where it stands."""
        return (self.state.t_ns - self.tape.t0_ns) // NS_PER_S

    @property
    def at_end(self) -> bool:
        """Whether there is no further whole second yet."""
        return self.state.t_ns >= self.tape.t_end_ns

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
        self.see(window_s)
        view = replace(make_view(self.state, self.context(), window_s), recording=self.tape.info.name)
        return view if self.exact else _without_verdicts(view)

    def context(self) -> ViewContext:
        """What a view needs besides the rows."""
        dials = dials_after(self.first_dials, self.state.dial_events)
        return ViewContext(self.profile, self._infos(), dials, self.tape.info.wall_ns)

    def _infos(self) -> dict[Lane, LaneInfo]:
        """The servers that were known by then; those of which no event tells are taken to have been known always."""
        told_ns: dict[str, int] = {}
        for event in self.tape.events:
            if event.kind == "start":
                told_ns.setdefault(event.lane, event.t_ns)
        infos = self.tape.info.lanes
        return {
            lane: infos[lane]
            for lane in self.first_dials
            if lane in infos and told_ns.get(lane, 0) <= self.state.t_ns
        }


def nothing_known(lane: Lane, second: int) -> None:
    """No second's gaps are known without reading its chunks."""


def beginning(tape: Tape, profile: Profile, before: Batch) -> SessionState:
    """The state when the load began."""
    state = SessionState(tape.t0_ns)
    state.standing = LiveVerdicts.under(profile)
    state.apply(before)
    state.begin(tape.t0_ns)
    return state


def _without_verdicts(view: View) -> View:
    """What stands in for verdicts that are still being worked out: no word is said of what is not known."""
    barred = len(view.lanes) < len(LANES) or view.incomparable
    verdicts = view.verdicts if barred else {"output_tps": Verdict("output_tps", "undecided", reason=READING)}
    lanes = {lane: replace(shown, limits_met="") for lane, shown in view.lanes.items()}
    return replace(
        view, lanes=lanes, verdicts=verdicts, ledger=(), ledger_now=-1, crossover="", segment_tps={}, settling_s=0.0
    )
