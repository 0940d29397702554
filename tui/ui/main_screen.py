"""The picture of a head-to-head, live or replayed: it takes one view a second and hands each widget its numbers."""

import asyncio
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen

from tui.profile.model import Profile
from tui.records.rows import Lane
from tui.screens.headline import OBJECTIVES, headline_of
from tui.screens.keys import FOOTER, ZOOM
from tui.screens.parts import Look, brief, look_box, missing, overlay_box, show_parts, third_column, titled
from tui.screens.terminal import painted
from tui.session.source import Source
from tui.session.view import View
from tui.widgets.dial_strip import DialStrip
from tui.widgets.event_list import EventList
from tui.widgets.glyphs import GLYPHS
from tui.widgets.gpu_rows import is_flat, power_top_of
from tui.widgets.hints import Hints
from tui.widgets.lane_pane import LanePane
from tui.widgets.lane_rows import PaneNumbers
from tui.widgets.scale import scale_for
from tui.widgets.status_line import REPLAY, StatusLine
from tui.widgets.verdict_line import Headline, VerdictLine

SCALE_HISTORY_S = 300
PLAIN_SIZE = (80, 24)
TINY_SIZE = (40, 12)
COMFORTABLE_SIZE = (110, 32)
WIDE_CELLS = 160
OVERLAY_ROWS = 46


def urls(profile: Profile) -> dict[Lane, str]:
    """The lanes of a profile and where they are, before anything was found there."""
    return {"a": profile.a.url} if profile.b is None else {"a": profile.a.url, "b": profile.b.url}


class PictureScreen(Screen[None]):
    """From the top: what goes on, what is asked, who is ahead, why, what happened, what can be pressed."""

    AUTO_FOCUS = ""  # None would mean the application's choice, which is the first dial

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.window_s = 30
        self.objective = OBJECTIVES[0]
        self.glyphs = GLYPHS[0]
        self.zoomed: Lane | None = None
        self.load_on = True
        self.frozen_at: int | None = None
        self.behind_s = 0  # how far the frozen picture is behind
        self.view: View | None = None
        self.overlay_wanted: bool | None = None
        self.look: Look = "lanes"  # what fills the middle
        self.begun = asyncio.Event()
        self._fitted = Size(0, 0)  # what the classes were set for
        self.lanes = urls(source.profile)

    def compose(self) -> ComposeResult:
        """Status, dials, verdict, lanes, events, hints; what does not fit is hidden by class, never scrolled."""
        self._fit_classes(update=False)  # before anything is styled: later, each change would style all again
        yield StatusLine()
        yield from self.compose_strip()
        yield DialStrip(self.source.board, list(self.lanes))
        yield VerdictLine(id="verdict")
        with Horizontal(id="middle"):
            with Horizontal(id="lanes"):
                for lane, url in self.lanes.items():
                    yield LanePane(lane, url, id=f"pane-{lane}")
            if self.has_class("-wide"):
                yield third_column()
        if self.has_class("-overlay"):
            yield overlay_box()
        yield titled(EventList(id="events"), "events-box", "Events")
        yield Hints(id="hints")
        if self.has_class("-tiny"):
            yield brief()

    def compose_strip(self) -> ComposeResult:
        """What stands between status and dials: nothing where time cannot be moved in."""
        yield from ()

    def on_mount(self) -> None:
        """Paint what is known, and only then begin: heavy imports come after the first paint."""
        self._fit_panes()
        self.show_hints()
        self.take(self.source.view(self.window_s))
        self.app.app_resume_signal.subscribe(self, self.come_back)
        self.call_after_refresh(self._start)

    def come_back(self, app: App[Any]) -> None:
        """Everything again: after `fg` the terminal is blank, and only what changes would be painted on it."""
        app.refresh(layout=True)

    async def _start(self) -> None:
        painted()
        await self.source.start(self._second_complete)
        self.begun.set()

    def _second_complete(self) -> None:
        self.call_later(self.tick)

    def tick(self) -> None:
        """A second is complete: show it, unless the picture is frozen."""
        if not self.is_attached:
            return
        view = self.source.view(self.window_s)
        if self.frozen_at is None:
            self.take(view)
        elif self.view is not None:
            behind = self.behind_s = view.second - self.frozen_at
            if behind <= 10 or behind % 10 == 0:  # a frozen picture is all but silent
                self.show_frozen(self.view, behind)

    def show_frozen(self, view: View, behind_s: int) -> None:
        """Say that the picture stands still, and for how long."""
        if self.frozen_at is not None:
            self.query_one(StatusLine).show(view, behind_s=behind_s, load_on=self.load_on)

    def take(self, view: View) -> None:
        """Hand every widget its numbers."""
        self.view = view
        word = REPLAY if self.source.replay else "LIVE"
        self.query_one(StatusLine).show(view, behind_s=None, load_on=self.load_on, word=word)
        self._show_numbers(view)

    def _show_numbers(self, view: View) -> None:
        """All that a frozen picture holds: everything but the status line."""
        headline = self.headline_of(view)
        self.query_one(VerdictLine).show(headline)
        self._show_lanes(view, headline)
        self.query_one(DialStrip).show()
        for events in self.query(EventList):
            if events.parent is not None and events.parent.display:
                events.show(view.events, view.t0_ns)
        show_parts(self, view, self.glyphs, headline)

    def headline_of(self, view: View) -> Headline:
        """The verdict that stands above all numbers."""
        return headline_of(view, self.objective, linked=self.source.board.linked)

    def _show_lanes(self, view: View, headline: Headline) -> None:
        if self.look != "lanes":
            return
        lanes = view.lanes.values()
        shared = PaneNumbers(
            view=view.lanes["a"],
            second=view.second,
            window_s=view.window_s,
            scale=scale_for(lane.curve[-SCALE_HISTORY_S:] for lane in lanes),
            power_top=power_top_of(list(lanes)),
            marks=view.dial_marks,
            glyphs=self.glyphs,
            any_gpu=any(lane.gpus for lane in lanes),
            any_flat=any(is_flat(lane) for lane in lanes),
            any_due=any("ttft_sched" in lane.latencies for lane in lanes),
        )
        for pane in self.query(LanePane):
            if pane.lane in view.lanes and pane.display:
                pane.show(replace(shared, view=view.lanes[pane.lane], lead=headline.lead == pane.lane))

    async def look_at(self, look: Look) -> None:
        """Fill the middle with the lanes or something else, which is made when it is first looked at."""
        if look != "lanes" and not self.query(f"#{look}-box"):
            await self.query_one("#middle").mount(look_box(look), after="#lanes")
        self.look = look
        self.fit_to_size()

    def on_resize(self, _: Resize) -> None:
        """Choose what is shown for the new size; the first one is known before anything is made."""
        if self._fitted != self.app.size:
            self.fit_to_size()

    def fit_to_size(self) -> None:
        """Set the classes of this size, make what they show for the first time, and draw again."""
        self._fit_classes()
        self._fit_panes()
        for part, within, after in missing(self):
            within.mount(part, after=after)
        self.redraw()
        self.call_after_refresh(self.redraw)

    def _fit_panes(self) -> None:
        alone = self.zoomed or ("a" if self.has_class("-single") else None)
        for pane in self.query(LanePane):
            pane.display = alone in {None, pane.lane} or alone not in self.lanes

    def _fit_classes(self, *, update: bool = True) -> None:
        self._fitted = self.app.size
        width, height = self._fitted
        tiny = width < TINY_SIZE[0] or height < TINY_SIZE[1]
        single = not tiny and (width < PLAIN_SIZE[0] or height < PLAIN_SIZE[1])
        overlay = self.overlay_wanted if self.overlay_wanted is not None else height >= OVERLAY_ROWS
        classes = {
            "-tiny": tiny,
            "-single": single,
            "-narrow": width < COMFORTABLE_SIZE[0] or height < COMFORTABLE_SIZE[1],
            "-wide": width >= WIDE_CELLS and height >= COMFORTABLE_SIZE[1],
            "-overlay": overlay and not tiny and (height >= OVERLAY_ROWS or self.look == "lanes"),
            "-overlay-alone": overlay and height < OVERLAY_ROWS and self.look == "lanes",
            "-curve": self.look == "curve",
            "-ledger": self.look == "ledger",
            "-window": self.look == "window",
        }
        for name, on in classes.items():
            self.set_class(on, name, update=update)

    def redraw(self) -> None:
        """Show the view again after something else than the numbers changed."""
        if not self.is_attached:
            return
        self.show_hints()
        if self.view is not None and self.frozen_at is None:
            self.take(self.view)
        elif self.view is not None:
            self.show_frozen(self.view, self.behind_s)
            self._show_numbers(self.view)

    def show_hints(self) -> None:
        """The bottom row from the bindings that are active and shown."""
        active = [found.binding for found in self.active_bindings.values() if found.binding.show]
        first = ZOOM.description if self.has_class("-single") and len(self.lanes) > 1 else ""
        self.query_one(Hints).show(in_footer_order(active, first))


def in_footer_order(bindings: Iterable[Binding], first: str = "") -> list[Binding]:
    """The bindings with the most needed ones first (`first` before all), because a narrow footer keeps those."""

    def place(binding: Binding) -> int:
        label = binding.group.description if binding.group else binding.description
        if label == first:
            return -1
        return FOOTER.index(label) if label in FOOTER else len(FOOTER)

    return sorted(bindings, key=place)
