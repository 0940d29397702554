"""The top and the bottom of the screen: status line, verdict line, key hints."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from textual.binding import Binding
from textual.containers import Horizontal
from textual.keys import format_key

from tui.model.metrics import NS_PER_S
from tui.model.text import sanitize
from tui.session.view import View
from tui.ui.comparison import Comparison
from tui.ui.keys import footer_label
from tui.ui.widgets import numbers
from tui.ui.widgets.panel import Panel, ScreenState
from tui.ui.widgets.rows import Row, Rows, Span, fit, length, spread

DURABLE_LATE_S = 3.0


def status_line() -> Horizontal:
    """` ● LIVE 00:04:12   demo  Llama-3.1-8B  SIMULATED      ● REC 61 kB `.

    Three panels, so that the elapsed time is all that repaints each second.
    """
    state, facts = Panel(_state_row, classes="state"), Panel(_facts_row, classes="facts")
    return Horizontal(state, facts, Panel(_recording_row, classes="recording"), id="status")


def _state_row(state: ScreenState, _width: int, _height: int) -> list[Row]:
    if state.behind_s is not None:
        return [((f" ‖ FROZEN {numbers.short_clock(state.behind_s)} behind", "warn strong"),)]
    word = "REPLAY" if state.replay else "LIVE"
    return [((f" ● {word} ", "strong"), (numbers.clock(state.view.second), ""))]


def _facts_row(state: ScreenState, width: int, _height: int) -> list[Row]:
    """The facts that fit uncut, the first before the others: half a word says nothing."""
    kept: list[Span] = []
    for text, role in _facts(state.view, replay=state.replay, load_on=state.load_on):
        if not kept or length([*kept, (text.rstrip(), "")]) <= width:
            kept.append((text, role))
    return [tuple(kept)]


def _recording_row(state: ScreenState, width: int, _height: int) -> list[Row]:
    recording = _recorded_on(state.view) if state.replay else _recording(state.view)
    return [spread((), recording, max(length(recording), width))]


def _facts(view: View, *, replay: bool, load_on: bool) -> list[Span]:
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
    models = {sanitize(lane.info.model, 60) for lane in view.lanes.values() if lane.info}
    if len(models) == 1 and (model := models.pop()):
        spans.append((f"{model.rpartition('/')[2]}  ", "muted"))
    if view.mode != "together":
        spans.append((f"{view.mode}  ", ""))
    if replay and view.recording_note:
        spans.append((f"{view.recording_note}  ", "muted"))
    return spans


def _recorded_on(view: View) -> list[Span]:
    if not view.wall_ns:
        return []
    return [(f"recorded {datetime.fromtimestamp(view.wall_ns / NS_PER_S, UTC):%Y-%m-%d} ", "muted")]


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


def verdict_row(comparison: Comparison, width: int) -> Row:
    """` undecided   output tok/s  A/B 1.14   30 s window      TTFT p95 A/B 0.82`."""
    lane, verdict = comparison.lead, comparison.verdict
    word_role = f"{lane} strong" if lane else "warn strong" if comparison.warning else "strong"
    spans: list[Span] = [(f" {'▲ ' if lane else ''}{verdict.word}", word_role)]
    if comparison.label:
        spans += [(f"  {comparison.label} ", "muted"), (f"A/B {numbers.ratio(comparison.ratio):>4}", "strong")]
    if interval := numbers.interval(verdict.low, verdict.high):
        spans.append((f" [{interval}]", ""))
    if comparison.warning:
        spans.append((f"  ! {comparison.warning}", "warn"))
    elif comparison.note:
        spans.append((f"  {_short_note(comparison.note, width - length(spans) - 2)}", "muted"))
    for label, ratio in comparison.other_ratios:
        more: list[Span] = [(f"   {label} ", "muted"), (f"{numbers.ratio(ratio):>4}", "")]
        if length([*spans, *more]) <= width:
            spans += more
    return fit(spans, width)


def _short_note(note: str, cells: int) -> str:
    """The note without the last clauses that do not fit: a number that is cut short is another number."""
    while len(note) > cells and ", " in note:
        note = note.rpartition(", ")[0]
    return note


def key_sign(key: str) -> str:
    """A key as it is printed: `[`, `ctrl+p`, `space`."""
    return key if key == "backspace" else format_key(key)


def grouped(bindings: Iterable[Binding]) -> list[tuple[str, str]]:
    """(keys, label) in order; the keys of a group come together under the group's name."""
    keys_by_label: dict[str, list[str]] = {}
    for binding in bindings:
        keys = keys_by_label.setdefault(footer_label(binding), [])
        if key_sign(binding.key) not in keys:
            keys.append(key_sign(binding.key))
    return [(" ".join(keys), text) for text, keys in keys_by_label.items()]


class Hints(Rows):
    """As many keys as fit, in order."""

    def show(self, bindings: Iterable[Binding]) -> None:
        width = self.size.width or self.app.size.width
        spans: list[Span] = []
        for keys, text in grouped(bindings):
            more: list[Span] = [(f" {keys}", "strong"), (f" {text} ", "muted")]
            if length([*spans, *more]) <= width:
                spans += more
        self.set_rows([fit(spans, width)])
