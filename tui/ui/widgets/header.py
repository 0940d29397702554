"""The top row: what is going on. Three parts, so that the elapsed time is all that repaints each second.

The one line that says who is ahead, by how much and how sure.

The bottom row: the keys that can be pressed now, taken from the bindings themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import Resize

from tui.model.rows import LANES
from tui.model.text import sanitize
from tui.model.units import NS_PER_S
from tui.session.view import View
from tui.ui.widgets import numbers
from tui.ui.widgets.rows import Row, Rows, Span, fit, length, spread

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
        spans.append(("  ".join(sanitize(part, 60) for part in view.plan.split("  ")) + "  ", ""))
    spans.append((f"{sanitize(view.title, 40)}  ", ""))
    models = {sanitize(view.lanes[k].info.model, 60) for k in LANES if k in view.lanes and view.lanes[k].info}  # type: ignore[union-attr]
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
        return [(f"● REC {sanitize(view.recording_note, 60)} ", "error strong")]
    if not view.second and not view.recording:
        return []
    if not view.recording:
        return [("not recorded ", "muted")]
    if view.durable_age_s is not None and view.durable_age_s > DURABLE_LATE_S:
        return [(f"● REC {view.durable_age_s:.0f} s behind ", "warn")]
    return [("● REC ", "error"), (f"{numbers.size(view.recorded_bytes)} ", "muted")]


Word = Literal["A ahead", "B ahead", "level", "undecided", "not comparable"]
LANE_OF = {"A ahead": "a", "B ahead": "b"}


class Headline(msgspec.Struct, frozen=True):
    """A verdict as it is shown. `ratio` is A over B, `low` and `high` its interval when there is one."""

    word: Word
    label: str  # of the figure compared
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""  # what it stands on, or why there is none
    beside: tuple[tuple[str, float | None], ...] = ()  # further figures and their plain ratios
    warning: str = ""  # what makes the lanes incomparable

    @property
    def lead(self) -> str:
        """The lane that is said to be ahead, or nothing."""
        return LANE_OF.get(self.word, "")


class VerdictLine(Rows):
    """Shows a `Headline`."""

    def show(self, headline: Headline) -> None:
        """Take the verdict of this second."""
        self.put([verdict_row(headline, self.size.width or self.app.size.width)])


def ratio_text(ratio: float | None) -> str:
    """`1.142`, with as many places as a reader can use."""
    return "–" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def verdict_row(headline: Headline, width: int) -> Row:
    """` undecided   output tok/s  A/B 1.14   30 s window      TTFT p95 A/B 0.82`."""
    lane = headline.lead
    word_role = f"{lane} strong" if lane else "warn strong" if headline.warning else "strong"
    spans: list[Span] = [(f" {'▲ ' if lane else ''}{headline.word}", word_role)]
    if headline.label:
        spans += [(f"  {headline.label} ", "muted"), (f"A/B {ratio_text(headline.ratio):>4}", "strong")]
    if headline.low is not None and headline.high is not None:
        spans.append((f" [{headline.low:.2f} … {headline.high:.2f}]", ""))
    if headline.warning:
        spans.append((f"  ! {headline.warning}", "warn"))
    elif headline.note:
        spans.append((f"  {_fitting_note(headline.note, width - sum(len(t) for t, _ in spans) - 2)}", "muted"))
    for label, ratio in headline.beside:
        more: list[Span] = [(f"   {label} ", "muted"), (f"{ratio_text(ratio):>4}", "")]
        if sum(len(t) for t, _ in spans + more) <= width:
            spans += more
    return fit(spans, width)


def _fitting_note(note: str, cells: int) -> str:
    """The note without the last clauses that the line has no room for: a number cut short is another number."""
    while len(note) > cells and ", " in note:
        note = note.rpartition(", ")[0]
    return note


KEY_SIGNS = {
    "left_square_bracket": "[", "right_square_bracket": "]", "left_curly_bracket": "{", "right_curly_bracket": "}",
    "comma": ",", "full_stop": ".", "less_than_sign": "<", "greater_than_sign": ">", "semicolon": ";",
    "apostrophe": "'", "colon": ":", "quotation_mark": '"', "question_mark": "?", "up": "↑", "down": "↓",
    "left": "←", "right": "→", "escape": "esc", "pageup": "pgup", "pagedown": "pgdn",
}  # fmt: skip


def key_sign(key: str) -> str:
    """A key as it is printed: `[`, `ctrl+p`, `space`."""
    return KEY_SIGNS.get(key, key)


def grouped(bindings: Iterable[Binding]) -> list[tuple[str, str]]:
    """(keys, label) in order: the keys of one group stand together under the group's name."""
    found: dict[str, list[str]] = {}
    for binding in bindings:
        label = binding.group.description if binding.group else binding.description
        keys = found.setdefault(label, [])
        if key_sign(binding.key) not in keys:
            keys.append(key_sign(binding.key))
    return [(" ".join(keys), label) for label, keys in found.items()]


def hint_row(hints: Iterable[tuple[str, str]], width: int) -> Row:
    """As many hints as fit, in order."""
    spans: list[Span] = []
    for keys, label in hints:
        more: list[Span] = [(f" {keys}", "strong"), (f" {label} ", "muted")]
        if length([*spans, *more]) <= width:
            spans += more
    return fit(spans, width)


class Hints(Rows):
    """One row of hints."""

    def show(self, bindings: Iterable[Binding]) -> None:
        """Take the bindings that are active and shown."""
        self.put([hint_row(grouped(bindings), self.size.width or self.app.size.width)])
