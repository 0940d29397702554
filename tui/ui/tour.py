"""The demo's tour: two minutes in which the screen turns its own dials and says what is seen, until any key.

Each step waits for what it is about, and every number in a caption was measured in this session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from tui.model.rows import Lane
from tui.session.view import View
from tui.ui.comparison import names_in
from tui.ui.widgets.numbers import short, size
from tui.ui.widgets.rows import Rows, Span, fit, length

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow
    from tui.ui.live_screen import LiveScreen

READ_S = 6  # seconds of the session in which a caption is read
CURVE_S = 9
ENOUGH_S = 5  # settled seconds of a setting that is only a point of the curve
CRASHED: Lane = "b"
ServerSwitch = Callable[[Lane], Awaitable[None]]
Caption = Callable[[View], Sequence[str]]


class CaptionRow(Rows):
    """The sentences of a caption that fit, the first before the others."""

    def say(self, sentences: Sequence[str]) -> None:
        width = self.size.width or self.app.size.width
        spans: list[Span] = [(" tour ", "reverse strong"), (f" {sentences[0]}", "strong")]
        for sentence in (*sentences[1:], "Any key takes over."):
            more: Span = (f"  {sentence}", "muted" if sentence.startswith("Any key") else "")
            if length([*spans, more]) <= width:
                spans.append(more)
        self.set_rows([fit(spans, width)])


class Tour:
    """`stop` and `start` end and begin the simulated server of a lane."""

    def __init__(self, stop: ServerSwitch, start: ServerSwitch) -> None:
        self._stop, self._start = stop, start
        self._view: View | None = None
        self._next = asyncio.Event()
        self._screen: LiveScreen | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped: Lane | None = None
        self._restart: asyncio.Future[None] | None = None  # of a server that was stopped when the operator took over

    @property
    def runs(self) -> bool:
        return self._task is not None and not self._task.done()

    def begin(self, screen: LiveScreen) -> None:
        self._screen = screen
        self._task = asyncio.create_task(self._run(screen))

    def second(self, view: View) -> None:
        """A second is complete."""
        self._view = view
        self._next.set()

    def end(self) -> None:
        """The operator takes over: dials stay as they are, and a stopped server comes back."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, screen: LiveScreen) -> None:
        try:
            await self._settle_and_judge()
            await self._turn_concurrency(screen)
            await self._show_curve(screen)
            await self._lose_a_lane()
            await self._export()
        finally:
            if self._stopped is not None:
                self._restart = asyncio.ensure_future(self._start(self._stopped))
            for row in screen.query(CaptionRow):
                row.display = False

    async def _until(self, holds: Callable[[View], bool], caption: Caption) -> View:
        """Wait for a second of which this holds, with a caption made anew each second."""
        while True:
            self._next.clear()
            if self._view is not None:
                if self._screen is not None:
                    self._screen.query_one(CaptionRow).say(caption(self._view))
                if holds(self._view):
                    return self._view
            await self._next.wait()

    async def _show(self, seconds: int, *sentences: str) -> View:
        """A caption for so many seconds of the session."""
        began = self._view.second if self._view else 0
        return await self._until(lambda view: view.second >= began + seconds, lambda _: sentences)

    # The steps.

    async def _settle_and_judge(self) -> None:
        view = await self._until(
            is_settled,
            lambda view: (
                "Two simulated engines get the same requests.",
                "Nothing counts until the load has settled"
                + (f", in about {view.settling_s:.0f} s." if view.settling_s >= 1 else "."),
            ),
        )
        settled_s = view.second
        view = await self._until(
            is_judged,
            lambda view: (
                f"Settled after {settled_s} s: now each second counts.",
                f"{view.second - settled_s} s so far; the verdict falls once it is sure.",
            ),
        )
        await self._show(
            READ_S,
            f"A verdict, {view.second} s after the load began.",
            "It holds however often one looks; `v` compares by another figure.",
        )

    async def _turn_concurrency(self, screen: LiveScreen) -> None:
        """Two more settings: with the first they make a curve."""
        for factor, key in ((2.0, "}"), (0.25, "{ {")):
            turned_s = self._view.second if self._view else 0
            screen.turn("concurrency", factor=factor)
            streams = screen.source.board.shown("a").concurrency
            view = await self._until(
                lambda view, streams=streams: follows(view, streams),  # type: ignore[misc]
                lambda _, key=key, streams=streams: (f"`{key}` turns concurrency to {streams} in both lanes.",),  # type: ignore[misc]
            )
            took_s = view.second - turned_s
            await self._until(
                lambda view: is_settled(view) and settled_s(view) >= ENOUGH_S,
                lambda _, took_s=took_s, streams=streams: (  # type: ignore[misc]
                    f"{streams} streams in both lanes, {took_s} s after the turn.",
                    "They settle, and are measured by themselves: `t` lists every setting.",
                ),
            )

    async def _show_curve(self, screen: LiveScreen) -> None:
        await screen.action_show("curve")
        await self._show(CURVE_S, *curve_sentences(self._view))
        await screen.action_back()

    async def _lose_a_lane(self) -> None:
        name = names_in(self._view)[CRASHED] if self._view else ""
        began_s = self._view.second if self._view else 0
        self._stopped = CRASHED
        await self._stop(CRASHED)
        view = await self._until(lambda view: view.lanes[CRASHED].state == "down", lambda _: (f"{name} was killed.",))
        seen_s = view.second - began_s
        await self._show(READ_S, f"{name} is down, seen after {seen_s} s.", "The other lane goes on alone.")
        await self._start(CRASHED)
        self._stopped = None
        view = await self._until(
            lambda view: view.lanes[CRASHED].state == "up" and view.lanes[CRASHED].in_flight > 0,
            lambda _: (f"{name} starts again.",),
        )
        away_s = view.second - began_s
        await self._show(READ_S, f"{name} is back after {away_s} s, by itself.", "Meanwhile no second counted.")

    async def _export(self) -> None:
        view = self._view
        kept = f"{size(view.recorded_bytes)} are recorded so far." if view is not None and view.recording else ""
        await self._show(READ_S, "`e` exports figures and pictures, `y` copies the verdict.", kept)
        await self._show(2 * READ_S, "That was the tour: the dials are yours.", "`?` lists all keys, `q` quits.")


def is_settled(view: View) -> bool:
    verdict = view.verdicts.get("output_tps")
    return verdict is not None and verdict.state in {"measuring", "decided"}


def is_judged(view: View) -> bool:
    """A verdict has fallen, or it was looked long enough."""
    verdict = view.verdicts.get("output_tps")
    return verdict is not None and verdict.state in {"decided", "cannot_tell"}


def follows(view: View, streams: int) -> bool:
    """Whether so many streams run in both lanes, under dials that are in force."""
    return all(lane.dials.concurrency == lane.in_flight == streams for lane in view.lanes.values())


def settled_s(view: View) -> int:
    """Settled seconds of the setting in force."""
    return min((len(tps) for tps in view.segment_tps.values()), default=0)


def curve_sentences(view: View | None) -> Sequence[str]:
    """What each lane gained from the fewest streams to the most."""
    rows = sorted(view.ledger if view is not None else (), key=streams_of)
    if view is None or not rows:
        return ("`k`: throughput against latency, a point for each setting.",)
    few, many = rows[0], rows[-1]
    gains = ", ".join(
        f"{name} {short(few.tps[lane])} to {short(many.tps[lane])} tok/s"
        for lane, name in names_in(view).items()
        if lane in few.tps and lane in many.tps
    )
    span = f"{streams_of(few)} to {streams_of(many)} streams"
    return (f"`k`: throughput against latency, {span}.", f"{gains}.")


def streams_of(row: LedgerRow) -> int:
    return int(row.dials["a"]["concurrency"])
