"""The top row: what is going on. Three parts, so that the elapsed time is all that repaints each second."""

from collections.abc import Sequence
from datetime import UTC, datetime

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize

from tui.records.rows import LANES
from tui.records.text import clean
from tui.records.units import NS_PER_S
from tui.session.view import View
from tui.widgets import numbers
from tui.widgets.rows import Row, Rows, Span, length, spread

DURABLE_LATE_S = 3.0
RECORDING_CELLS = 20
REPLAY = "REPLAY"  # the word for a picture of what was recorded before


class Facts(Rows):
    """As many facts as fit."""

    _told: Sequence[Span] = ()

    def show(self, spans: Sequence[Span]) -> None:
        """Take them, the first before the others."""
        self._told = spans
        self.put([_fitting(spans, self.size.width)])

    def on_resize(self, _: Resize) -> None:
        """Choose again for the new room."""
        self.show(self._told)


class StatusLine(Horizontal):
    """` ● LIVE 00:04:12   demo  Llama-3.1-8B  SIMULATED      ● REC 61 kB `."""

    DEFAULT_CSS = """
    StatusLine { height: 1; }
    StatusLine > .state { width: 25; }
    StatusLine > .recording { width: 20; }
    """

    def __init__(self) -> None:
        super().__init__(id="status")
        self._state = Rows(classes="state")
        self._facts = Facts(classes="facts")
        self._recording = Rows(classes="recording")

    def compose(self) -> ComposeResult:
        """State, facts, recording."""
        yield self._state
        yield self._facts
        yield self._recording

    @property
    def plain(self) -> str:
        """What is shown, as text."""
        return f"{self._state.plain}{self._facts.plain}{self._recording.plain}"

    def show(self, view: View, *, behind_s: int | None, load_on: bool, word: str = "LIVE") -> None:
        """Take this second. `behind_s`: for how long the picture has been frozen, None when it moves."""
        if behind_s is None:
            state: list[Span] = [(f" ● {word} ", "strong"), (numbers.clock(view.second), "")]
        else:
            state = [(f" ‖ FROZEN {numbers.short_clock(behind_s)} behind", "warn strong")]
        self._state.put([tuple(state)])
        self._facts.show(_facts(view, load_on=load_on))
        recording = _recorded(view) if word == REPLAY else _recording(view)
        self._recording.put([spread((), recording, max(length(recording), RECORDING_CELLS))])


def _fitting(spans: Sequence[Span], width: int) -> Row:
    """Those that fit whole, the first before the others: half a word tells nothing."""
    kept: list[Span] = []
    for text, role in spans:
        if not kept or length([*kept, (text.rstrip(), "")]) <= width or not width:
            kept.append((text, role))
    return tuple(kept)


def _facts(view: View, *, load_on: bool) -> list[Span]:
    spans: list[Span] = []
    if view.simulated:
        spans.append(("SIMULATED  ", "warn strong"))
    if not load_on:
        spans.append(("LOAD STOPPED, x resumes  ", "warn strong"))
    if view.settling_s > 0 and view.second:
        spans.append(("settling  ", "muted"))
    if view.plan:
        spans.append(("  ".join(clean(part, 60) for part in view.plan.split("  ")) + "  ", ""))
    spans.append((f"{clean(view.title, 40)}  ", ""))
    models = {clean(view.lanes[k].info.model, 60) for k in LANES if k in view.lanes and view.lanes[k].info}  # type: ignore[union-attr]
    if len(models) == 1 and (model := models.pop()):
        spans.append((f"{model.rpartition('/')[2]}  ", "muted"))
    if view.mode != "together":
        spans.append((f"{view.mode}  ", ""))
    return spans


def _recorded(view: View) -> list[Span]:
    return (
        [(f"recorded {datetime.fromtimestamp(view.wall_ns / NS_PER_S, UTC):%Y-%m-%d} ", "muted")]
        if view.wall_ns
        else []
    )


def _recording(view: View) -> list[Span]:
    if view.recording_note:
        return [(f"● REC {clean(view.recording_note, 60)} ", "error strong")]
    if not view.second and not view.recording:
        return []
    if not view.recording:
        return [("not recorded ", "muted")]
    if view.durable_age_s is not None and view.durable_age_s > DURABLE_LATE_S:
        return [(f"● REC {view.durable_age_s:.0f} s behind ", "warn")]
    return [("● REC ", "error"), (f"{numbers.size(view.recorded_bytes)} ", "muted")]
