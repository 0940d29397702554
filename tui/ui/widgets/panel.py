"""Panels: rows made from what the screen shows now, and made again when the size changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from textual.events import Resize, Show

from tui.judge.sentence import joined
from tui.model.dials import DIAL
from tui.model.metrics import NS_PER_S
from tui.model.rows import EventRow, Lane
from tui.model.text import sanitize
from tui.session.source import WindowView
from tui.session.view import LaneView, View
from tui.ui.comparison import Comparison
from tui.ui.widgets import numbers
from tui.ui.widgets.chart import Curve, Glyphs, spark_ground
from tui.ui.widgets.rows import Row, Rows, Span, fit, length
from tui.ui.widgets.server_rows import power_top
from tui.ui.widgets.trailing import Trailing, latency_cells, shared_top, trailing

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow

CHART_MIN_S = 100


@dataclass(frozen=True)
class ScreenState:
    """What every panel is handed each second. What both lanes share keeps them at one scale and in the same rows."""

    view: View
    comparison: Comparison
    glyphs: Glyphs
    replay: bool = False
    figure: str = "output_tps"  # that the lanes are compared by
    dials_hidden: bool = False  # there is no room for them
    load_on: bool = True
    behind_s: int | None = None  # how long the screen has been frozen; None while it is not
    slow_link: bool = False  # every second second is drawn
    window: WindowView | None = None  # of a replay; None while it is being worked out
    pinned: LedgerRow | None = None  # a setting whose figures are shown beside the present ones

    @property
    def lanes(self) -> Mapping[Lane, LaneView]:
        return self.view.lanes

    @property
    def chart_s(self) -> int:
        """How many seconds the charts of the lanes cover, at least."""
        return max(CHART_MIN_S, self.view.window_s)

    @cached_property
    def trailing(self) -> Mapping[str, Trailing]:
        """The figure that the lanes are compared by, over time."""
        return trailing(self.view, self.figure)

    @cached_property
    def top(self) -> float:
        """Of the charts of all lanes."""
        return shared_top(self.trailing, self.view.second, self.chart_s, each_second=self.glyphs.each_second)

    @cached_property
    def _latency_cells(self) -> dict[tuple[str, int], tuple[Mapping[Lane, Curve], float]]:
        return {}

    def latency_cells(self, name: str, cells: int) -> tuple[Mapping[Lane, Curve], float]:
        """A latency's sparkline in each lane, and the value at full height."""
        key = (name, cells)
        if key not in self._latency_cells:
            second = self.view.second
            on = spark_ground(second, cells)
            lanes = {lane: latency_cells(shown, name, second, on) for lane, shown in self.lanes.items()}
            known = [value for curve in lanes.values() for value in curve if value is not None]
            self._latency_cells[key] = (lanes, max(known, default=0.0))
        return self._latency_cells[key]

    @cached_property
    def power_top(self) -> float:
        """Of the GPUs' power, in W."""
        return power_top(self.lanes.values())

    @cached_property
    def any_gpu(self) -> bool:
        return any(lane.gpus for lane in self.lanes.values())

    @cached_property
    def any_due(self) -> bool:
        """Whether one lane has a TTFT from the moment at which a request was due."""
        return any("ttft_sched" in lane.latencies for lane in self.lanes.values())


Draw = Callable[[ScreenState, int, int], Sequence[Row]]  # into so many cells and rows


class Panel(Rows):
    """Rows that `draw` makes; nothing is drawn while the panel is hidden."""

    def __init__(
        self,
        draw: Draw,
        *,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
        min_size: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.draw, self.min_size = draw, min_size
        self.state: ScreenState | None = None

    def show(self, state: ScreenState) -> None:
        self.state = state
        self.redraw()

    def on_resize(self, _: Resize) -> None:
        self.redraw()

    def on_show(self, _: Show) -> None:
        self.redraw()

    def redraw(self) -> None:
        width, height = self.content_size
        room = width >= self.min_size[0] and height >= self.min_size[1]
        if self.state is not None and room and all(node.display for node in self.ancestors_with_self):
            self.set_rows(self.draw(self.state, width, height))


EVENT_ROLE = {"down": "error", "fault": "warn", "bound": "warn"}
EVENT_SIGN = {"error": "✖ ", "warn": "! "}


def event_rows(state: ScreenState, width: int, height: int) -> list[Row]:
    """As many of the newest events as there are rows."""
    return [_event_row(event, state.view.t0_ns, width) for event in state.view.events[-height:]]


def _event_row(event: EventRow, t0_ns: int, width: int) -> Row:
    """` 00:02:44  A  concurrency 16 → 32 streams`."""
    at_s = max((event.t_ns - t0_ns) / NS_PER_S, 0.0) if t0_ns else 0.0
    lane: Span = (f" {event.lane.upper() or ' '} ", f"{event.lane} strong" if event.lane else "")
    is_over = event.kind in {"fault", "bound"} and (event.new == "off" or not event.text)
    role = "" if is_over else EVENT_ROLE.get(event.kind, "")
    text: Span = (f"{EVENT_SIGN.get(role, '')}{event_text(event)}", role)
    return fit([(f" {numbers.clock(at_s)}", "muted"), lane, text], width)


def event_text(event: EventRow) -> str:
    """`concurrency 16 → 32 streams`, `down: connection refused`, `mark after warm-up`."""
    if event.kind == "dial":
        unit = DIAL[event.name].unit if event.name in DIAL else ""
        name = sanitize(event.name, 20).replace("_", " ")
        return f"{name} {sanitize(event.old, 20)} → {sanitize(event.new, 20)} {unit}".rstrip()
    if event.kind == "limits":
        return f"limits {sanitize(event.old, 40) or 'none'} → {sanitize(event.new, 40) or 'none'} ms"
    if event.kind == "plan":
        return f"plan: {sanitize(event.text)}"
    if event.kind == "verdict":
        return f"verdict: {sanitize(event.text)}"
    if event.kind == "fault" and not event.text:
        return f"{sanitize(event.name, 20)} readings are back"
    words = [event.kind, sanitize(event.name, 20), sanitize(event.new, 20), sanitize(event.text)]
    return " ".join(word for word in words if word)


def tiny_rows(state: ScreenState, width: int, height: int) -> list[Row]:
    """`A 2,481  B 2,172 tok/s  A 1.14× B`: what is left where there is no room for anything else.

    A new row begins whenever the next piece does not fit.
    """
    pieces: list[list[Span]] = []
    for lane, lane_view in state.lanes.items():
        value = numbers.whole(lane_view.output_tps) if lane_view.state in {"up", "stopped"} else lane_view.state
        pieces.append([(f"{lane.upper()} ", f"{lane} strong"), (value, "strong")])
    pieces[-1].append((" tok/s", "muted"))
    if len(state.lanes) > 1:
        pieces.append([(joined(state.comparison.sentence.within(0)), "strong")])
    if state.view.simulated:
        pieces.append([("SIMULATED", "warn strong")])
    rows: list[list[Span]] = [[]]
    for piece in pieces:
        if rows[-1] and length([*rows[-1], ("  ", ""), *piece]) > width:
            rows.append([])
        rows[-1] += [("  ", ""), *piece] if rows[-1] else piece
    return [fit(row, width) for row in rows[:height]]
