"""The top and the bottom of the screen: status line, verdict line, key hints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from textual.binding import Binding
from textual.containers import Horizontal
from textual.keys import format_key

from tui.judge.sentence import Sentence
from tui.model.dials import DIAL, DialName, dial_text
from tui.model.metrics import NS_PER_S
from tui.model.text import sanitize
from tui.session.view import View
from tui.ui.keys import footer_label
from tui.ui.widgets import numbers
from tui.ui.widgets.panel import Panel, ScreenState
from tui.ui.widgets.rows import Row, Rows, Span, fit, length, spread

DURABLE_LATE_S = 3.0
SLOW_LINK = "slow link: drawn every 2 s  "


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
    facts = _facts(state.view, replay=state.replay, load_on=state.load_on)
    if state.dials_hidden and state.load_on:
        facts = [(f"{load_text(state.view)}  ", "strong"), *facts]
    for text, role in [(SLOW_LINK, "warn"), *facts] if state.slow_link else facts:
        if not kept or length([*kept, (text.rstrip(), "")]) <= width:
            kept.append((text, role))
    return [tuple(kept)]


def load_text(view: View) -> str:
    """`conc 32 in 256 out 128`, where there is no room for dials; `32|16` where the lanes' differ."""
    dials = [lane.dials for lane in view.lanes.values()]

    def values(name: DialName) -> str:
        return "|".join(dict.fromkeys(dial_text(DIAL[name], getattr(one, name)) for one in dials))

    closed = all(one.arrival == "closed" for one in dials)
    load = f"conc {values('concurrency')}" if closed else f"{values('request_rate')} req/s"
    return f"{load} in {values('prompt_tokens')} out {values('output_tokens')}"


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
    return [("● REC ", "strong"), (f"{numbers.size(view.recorded_bytes)} ", "muted")]


BAR_CELLS = 10
TONES = {"strong": "strong", "plain": "", "muted": "muted", "warn": "warn"}


def verdict_row(sentence: Sentence, width: int) -> Row:
    """` ▲ B SGLang gives 1.72× A vLLM's tokens/s (95 %: 1.54 to 1.92), after 87 s`, or as much of it as fits."""
    spans = sentence_spans(sentence, width - 4)
    if sentence.progress is not None and length(spans) + BAR_CELLS + 2 <= width:
        full = min(max(round(sentence.progress * BAR_CELLS), 0), BAR_CELLS)
        spans += [(f"  {'▓' * full}", "muted"), ("░" * (BAR_CELLS - full), "muted")]
    return fit(spans, width)


def sentence_spans(sentence: Sentence, width: int) -> list[Span]:
    """The sentence with the sign and the colour of the lane that is ahead."""
    lane = f"{sentence.ahead} strong" if sentence.ahead else "strong"
    spans = [(part.text, lane if part.tone == "lane" else TONES[part.tone]) for part in sentence.within(width)]
    return [(" ▲ " if sentence.ahead else " ", lane), *spans]


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
    """As many keys as fit, in order; a click does what the key does."""

    _actions: Sequence[tuple[int, str]] = ()  # where each hint ends, and its action

    def show(self, bindings: Iterable[Binding]) -> None:
        width = self.size.width or self.app.size.width
        bindings = list(bindings)
        spans: list[Span] = []
        actions: list[tuple[int, str]] = []
        for keys, text in grouped(bindings):
            more: list[Span] = [(f" {keys}", "strong"), (f" {text} ", "muted")]
            if length([*spans, *more]) <= width:
                spans += more
                of_group = [binding.action for binding in bindings if footer_label(binding) == text]
                actions += _click_places(of_group, length(spans), keys, text)
        self._actions = actions
        self.set_rows([fit(spans, width)])

    def action_at(self, x: int) -> str:
        """What the hint in this cell does; nothing beyond the last one."""
        return next((action for end, action in self._actions if x < end), "")


def _click_places(actions: Sequence[str], end: int, keys: str, text: str) -> Iterator[tuple[int, str]]:
    """Where a click does which of a hint's actions: on each key its own, on the words the last key's."""
    x = end - len(text) - 2 - len(keys)
    for key, action in zip(keys.split(), actions, strict=False):
        x += len(key) + 1
        yield x, action
    yield end, actions[-1]
