"""Time under the operator's hands: where, how fast, and the bar. On a wide screen two rows, on a narrow one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isinf
from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message

from tui.session.transport import SPEEDS, Moment
from tui.widgets import numbers
from tui.widgets.rows import Row, Rows, Span, fit, length
from tui.widgets.timeline import LEGEND, SIGNS, Timeline
from tui.widgets.timeline import Span as Bar

HOUR_S: Final = 3600
STATE_CELLS: Final = 26  # ` ▶ LIVE following, 12 s old`
NARROW_STATE_CELLS: Final = 8  # ` ▶ ×0.25`


@dataclass(frozen=True, slots=True)
class TransportState:
    """Everything the strip shows. Seconds are since the load began."""

    position_s: float
    duration_s: float
    playing: bool
    speed: float
    opened: bool = True
    live: bool = False  # the picture stays at the end of a recording that grows
    age_s: float = 0.0  # of that end
    wall_s: float | None = None  # the wall clock at the position; None: not known
    moments: Sequence[Moment] = ()
    window: tuple[float, float | None] | None = None
    said: str = ""  # a sentence for the operator


class Words(Rows):
    """The text; a click on it plays or pauses."""

    class Clicked(Message):
        """Play or pause."""

    def on_click(self, event: events.Click) -> None:
        """Tell it."""
        event.stop()
        self.post_message(self.Clicked())


class TransportStrip(Container):
    """Hands the bar and the text what they show."""

    DEFAULT_CSS = """
    TransportStrip { height: 2; width: 1fr; layout: vertical; }
    TransportStrip > Words { width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__(id="transport")
        self._words = Words(id="transport-words")
        self._bar = Timeline()

    def compose(self) -> ComposeResult:
        """Text before bar: side by side where there is one row."""
        yield self._words
        yield self._bar

    @property
    def plain(self) -> str:
        """What is shown, as text."""
        return f"{self._words.plain}\n{self._bar.plain}"

    def show(self, state: TransportState) -> None:
        """Take this moment."""
        width = self.size.width or self.app.size.width
        if self.size.height == 1:
            row = narrow_row(state)
            self._words.styles.width = length(row)
        else:
            row = wide_row(state, width)
            self._words.styles.width = "1fr"
        self._words.put([row])
        self._bar.show(Bar(state.position_s, state.duration_s, state.moments, state.window))


def speed_text(speed: float) -> str:
    """`×0.25`, `×4`, `×max`."""
    return "×max" if isinf(speed) else f"×{speed:g}"


def clock_in(t_s: float, duration_s: float) -> str:
    """A second as it is written in a recording of that length, so that the cell does not grow."""
    return numbers.clock(t_s) if duration_s >= HOUR_S else numbers.short_clock(t_s)


def narrow_row(state: TransportState) -> Row:
    """` ▶ ×4    01:34/09:48 14:03:22 UTC `."""
    if not state.opened:
        return ((" opening the recording ", "muted"),)
    word = f"LIVE {state.age_s:.0f} s old" if state.live else speed_text(state.speed)
    length_text = "" if state.live else f"/{clock_in(state.duration_s, state.duration_s)}"
    return (
        (f" {_sign(state)} {word}".ljust(NARROW_STATE_CELLS), "strong"),
        (f" {clock_in(state.position_s, state.duration_s)}", "strong"),
        (f"{length_text}{_wall(state, ' ')} ", "muted"),
    )


def wide_row(state: TransportState, width: int) -> Row:
    """` ▶ playing ×4   01:34 / 09:48   14:03:22 UTC   window 01:10 – 01:30   …`, then what fits."""
    if not state.opened:
        return fit([(" opening the recording", "muted")], width)
    spans: list[Span] = [
        (f" {_sign(state)} {_word(state)}".ljust(STATE_CELLS), "strong"),
        (f"  {clock_in(state.position_s, state.duration_s)}", "strong"),
        (f" / {clock_in(state.duration_s, state.duration_s)}{_wall(state, '   ')}", "muted"),
    ]
    if state.window is not None:
        spans.append((f"   {window_text(state.window, state.duration_s)}", "strong"))
    if state.said:
        spans.append((f"   {state.said}", "warn"))  # cut rather than left out
    for more in (_legend(), _speeds(state)):
        if length([*spans, *more]) <= width:
            spans += more
    return fit(spans, width)


def window_text(window: tuple[float, float | None], duration_s: float) -> str:
    """`window 01:10 – 01:30`, or where it begins while its end is not marked."""
    start_s, end_s = window
    if end_s is None:
        return f"window from {clock_in(start_s, duration_s)}, z ends it"
    return f"window {clock_in(start_s, duration_s)} – {clock_in(end_s, duration_s)}"


def _sign(state: TransportState) -> str:
    return "▶" if state.playing else "‖"


def _word(state: TransportState) -> str:
    if state.live:
        return f"LIVE following, {state.age_s:.0f} s old"
    return f"{'playing' if state.playing else 'paused'} {speed_text(state.speed)}"


def _wall(state: TransportState, before: str) -> str:
    return "" if state.wall_s is None else f"{before}{datetime.fromtimestamp(state.wall_s, UTC):%H:%M:%S} UTC"


def _speeds(state: TransportState) -> list[Span]:
    """Every speed, the one that holds in brackets."""
    texts = [speed_text(speed)[1:] for speed in SPEEDS]
    shown = [f"[{text}]" if speed == state.speed else text for speed, text in zip(SPEEDS, texts, strict=True)]
    return [("   ×", "muted"), (" ".join(shown), "muted")]


def _legend() -> list[Span]:
    spans: list[Span] = []
    for kind, word in LEGEND:
        sign, role = SIGNS[kind]
        spans += [(f"   {sign}", role), (f" {word}", "muted")]
    return spans
