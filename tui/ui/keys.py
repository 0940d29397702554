"""Every key, once: footer, help and command palette are made from these.

Live and replay share the keys of the view and of the session. A replay has `REPLAY_KEYS` in place of the others:
those of mpv, which most operators know by heart.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from textual.binding import Binding, BindingType
from textual.keys import Keys, _character_to_key, key_to_character

CONC = Binding.Group("conc")
CONC_DOUBLE = Binding.Group("×2")
PROMPT = Binding.Group("prompt")
OUT = Binding.Group("out")
ZOOM = Binding.Group("zoom")

DIAL_KEYS: list[BindingType] = [
    Binding("left_square_bracket", "step('concurrency', -1)", "concurrency one notch down", group=CONC),
    Binding("right_square_bracket", "step('concurrency', 1)", "concurrency one notch up", group=CONC),
    Binding("left_curly_bracket", "scale('concurrency', 0.5)", "concurrency halved", group=CONC_DOUBLE),
    Binding("right_curly_bracket", "scale('concurrency', 2.0)", "concurrency doubled", group=CONC_DOUBLE),
    Binding("comma", "step('prompt_tokens', -1)", "prompt tokens one notch down", group=PROMPT),
    Binding("full_stop", "step('prompt_tokens', 1)", "prompt tokens one notch up", group=PROMPT),
    Binding("semicolon", "step('output_tokens', -1)", "output tokens one notch down", group=OUT),
    Binding("apostrophe", "step('output_tokens', 1)", "output tokens one notch up", group=OUT),
    Binding("less_than_sign", "scale('prompt_tokens', 0.5)", "prompt tokens halved", show=False),
    Binding("greater_than_sign", "scale('prompt_tokens', 2.0)", "prompt tokens doubled", show=False),
    Binding("colon", "scale('output_tokens', 0.5)", "output tokens halved", show=False),
    Binding("quotation_mark", "scale('output_tokens', 2.0)", "output tokens doubled", show=False),
    Binding("l", "link", "link the dials of both lanes, or unlink them", show=False),
    Binding("u", "undo", "undo the last dial change", show=False),
    Binding("tab", "app.focus_next", "next dial: arrows, page up, page down, home, end, digits", show=False),
    Binding("shift+tab", "app.focus_previous", "previous dial", show=False),
]  # fmt: skip
LOAD_KEYS: list[BindingType] = [
    Binding("space", "freeze", "freeze", tooltip="freeze the screen; load and recording go on"),
    Binding("x", "toggle_load", "stop load", tooltip="stop all load at once; again: resume it"),
    Binding("P", "plan", "plan", tooltip="start, pause or resume the profile's plan"),
    Binding("L", "limits", "limits", show=False, tooltip="set the latency limits that goodput counts by"),
    Binding("n", "note", "note", show=False, tooltip="a note, recorded with the session"),
]
VIEW_KEYS: list[BindingType] = [
    Binding("w", "window", "window", tooltip="window of 10, 30, 60 or 300 s"),
    Binding("v", "verdict", "verdict", tooltip="next metric to compare by"),
    Binding("o", "overlay", "overlay", tooltip="both curves in one large chart"),
    Binding("k", "show('curve')", "curve", tooltip="throughput against latency, a point for each setting"),
    Binding("t", "show('ledger')", "ledger", tooltip="every setting visited, and where the leader changes"),
    Binding("pageup", "page(-1)", "previous page of the ledger", show=False),
    Binding("pagedown", "page(1)", "next page of the ledger", show=False),
    Binding("1", "zoom('a')", "lane A alone", group=ZOOM),
    Binding("2", "zoom('b')", "lane B alone", group=ZOOM),
    Binding("escape", "back", "back to both lanes, no dial in focus", show=False),
    Binding("b", "glyphs", "charts: the mean in blocks, braille or ASCII, or each second", show=False),
    Binding("c", "colours", "colour theme", show=False),
]
SESSION_KEYS: list[BindingType] = [
    Binding("m", "mark", "mark", tooltip="mark this moment, with or without a text"),
    Binding("e", "export", "export", tooltip="write session, window or setting: report, picture, tables, …"),
    Binding("y", "copy", "copy", tooltip="copy the verdict and the figures as Markdown"),
    Binding("S", "screenshot", "screenshot to a file", show=False),
    Binding("question_mark", "help", "help", tooltip="every key"),
    Binding("ctrl+p", "app.command_palette", "every command by name", show=False),
    Binding("q", "leave", "quit", tooltip="quit; asks once while load is running"),
    Binding("ctrl+c", "leave", "quit", show=False),
    Binding("ctrl+z", "app.suspend_process", "suspend to the shell, a live load stops; `fg` resumes", show=False),
]

PLAY = Binding.Group("play")
SECOND = Binding.Group("1 s")
FIVE = Binding.Group("5 s")
MINUTE = Binding.Group("60 s")
SPEED = Binding.Group("speed")
MOMENTS = Binding.Group("events")

REPLAY_KEYS: list[BindingType] = [
    Binding("space", "play", "play or pause", group=PLAY),
    Binding("comma", "step(-1)", "one second back, and pause", group=SECOND),
    Binding("full_stop", "step(1)", "one second forward, and pause", group=SECOND),
    Binding("left", "skip(-5)", "5 seconds back; faster while held", group=FIVE),
    Binding("right", "skip(5)", "5 seconds forward; faster while held", group=FIVE),
    Binding("down", "skip(-60)", "a minute back", group=MINUTE),
    Binding("up", "skip(60)", "a minute forward", group=MINUTE),
    Binding("home", "to_end(False)", "to the start", show=False),
    Binding("end", "to_end(True)", "to the end, where a recording that still grows is followed", show=False),
    Binding("left_square_bracket", "speed(-1)", "slower", group=SPEED),
    Binding("right_square_bracket", "speed(1)", "faster", group=SPEED),
    Binding("backspace", "speed(0)", "normal speed (×1)", show=False),
    Binding("n", "moment(1)", "next dial change, fault, mark or note", group=MOMENTS),
    Binding("N", "moment(-1)", "previous dial change, fault, mark or note", group=MOMENTS),
    Binding("g", "go", "go to", tooltip="go to 1:30, to 14:03:10 of that day (UTC), or to 50%"),
    Binding("z", "select", "select", tooltip="start a window here, again: end it; its percentiles and verdicts"),
    Binding("Z", "show('window')", "the figures of the selected window, or the lanes", show=False),
    Binding("M", "note", "note", show=False, tooltip="a note at this moment, kept next to the recording"),
]
REPLAY_MOUSE = (("click, drag", "on the bar: go there"), ("click", "on the time: play or pause"))
DIAL_MOUSE = (("click ◀ ▶", "or the wheel over a dial: one notch"), ("2× click", "on a value: type it"))

CHOOSE = Binding.Group("choose")
# The start screen's; a focused field takes characters as text.
START_KEYS: list[BindingType] = [
    Binding("enter", "start", "start"),
    Binding("up", "move(-1)", "the field above", group=CHOOSE, priority=True),
    Binding("down", "move(1)", "the field below, then the list", group=CHOOSE, priority=True),
    Binding("escape", "fields", "back to the URLs"),
    Binding("ctrl+q", "leave", "quit", priority=True),
    Binding("c", "colours", "colours"),
    Binding("q,ctrl+c", "leave", "quit", show=False),
]

# What `[keys]` in the user's config calls an action; others are called as they are, with dashes.
KEY_NAMES = {
    "step('concurrency', -1)": "concurrency-down", "step('concurrency', 1)": "concurrency-up",
    "scale('concurrency', 0.5)": "concurrency-half", "scale('concurrency', 2.0)": "concurrency-double",
    "step('prompt_tokens', -1)": "prompt-down", "step('prompt_tokens', 1)": "prompt-up",
    "scale('prompt_tokens', 0.5)": "prompt-half", "scale('prompt_tokens', 2.0)": "prompt-double",
    "step('output_tokens', -1)": "output-down", "step('output_tokens', 1)": "output-up",
    "scale('output_tokens', 0.5)": "output-half", "scale('output_tokens', 2.0)": "output-double",
    "app.focus_next": "next-dial", "app.focus_previous": "previous-dial", "toggle_load": "load", "leave": "quit",
    "show('curve')": "curve", "show('ledger')": "ledger", "show('window')": "window-figures",
    "page(-1)": "page-up", "page(1)": "page-down", "zoom('a')": "lane-a", "zoom('b')": "lane-b",
    "app.command_palette": "palette", "app.suspend_process": "suspend",
    "step(-1)": "back-1", "step(1)": "on-1", "skip(-5)": "back-5", "skip(5)": "on-5",
    "skip(-60)": "back-60", "skip(60)": "on-60", "to_end(False)": "to-start", "to_end(True)": "to-end",
    "speed(-1)": "slower", "speed(1)": "faster", "speed(0)": "normal-speed",
    "moment(1)": "next-event", "moment(-1)": "previous-event",
}  # fmt: skip


def key_name(binding: Binding) -> str:
    """The id of a binding: the name that `[keys]` knows it by."""
    return KEY_NAMES.get(binding.action) or re.sub(r"\W+|_", "-", binding.action).strip("-")


for _keys in (DIAL_KEYS, LOAD_KEYS, VIEW_KEYS, SESSION_KEYS, REPLAY_KEYS):
    _keys[:] = [replace(key, id=key_name(key)) for key in Binding.make_bindings(_keys)]


LIVE_KEYS = (*DIAL_KEYS, *LOAD_KEYS, *VIEW_KEYS, *SESSION_KEYS)


def remapped(bindings: Iterable[BindingType], keys: Mapping[str, str]) -> list[Binding]:
    """The bindings with the user's keys in place of the usual ones, as `App.set_keymap` has them."""
    typed_keys = {name: [_long(key) for key in typed.split(",")] for name, typed in keys.items()}
    made: dict[tuple[str, str], Binding] = {}
    for binding in Binding.make_bindings(bindings):
        for key in typed_keys.get(binding.id or "", [binding.key]):
            made.setdefault((binding.action, key), replace(binding, key=key))
    return list(made.values())


def _long(key: str) -> str:
    """`?` as `question_mark`."""
    key = key.strip()
    return _character_to_key(key) if len(key) == 1 else key


def keys_problem(keys: Mapping[str, str], bindings: Sequence[BindingType]) -> str:
    """Why these keys cannot be used on a screen with these bindings, in one sentence; empty: they can."""
    names = {binding.id or "" for binding in Binding.make_bindings([*LIVE_KEYS, *REPLAY_KEYS])}
    for name, typed in keys.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            return f"[keys] has no {name}; " + (
                f"did you mean {near[0]}?" if near else "`dragstrip config` lists them"
            )
        for key in typed.split(","):
            plain = _long(key).rpartition("+")[2]
            if not plain or (len(plain) > 1 and plain not in _KNOWN_KEYS and not _is_character(plain)):
                return (
                    f"[keys] {name}: {key.strip() or 'an empty text'} is not a key; write one as w, ?, f1 or ctrl+w"
                )
    taken: dict[str, str] = {}
    for binding in remapped(bindings, keys):
        other = taken.setdefault(binding.key, binding.id or "")
        if other != binding.id:
            return f"[keys]: {binding.key} cannot be both {other} and {binding.id}"
    return ""


_KNOWN_KEYS = {key.value for key in Keys}


def _is_character(key: str) -> bool:
    """Whether it is the long name of one character."""
    return key_to_character(key) is not None


# A narrow footer drops what does not fit from the end of this.
FOOTER = (
    "help", "quit", "conc", "play", "5 s", "speed", "events", "go to", "select", "export", "copy", "ledger", "curve",
    "freeze", "mark", "stop load", "plan", "prompt", "out", "overlay", "window", "verdict", "zoom", "×2", "1 s",
    "60 s",
)  # fmt: skip
# What comes first where something else than the lanes is looked at, or has the keys.
HINTS_OF = {
    "ledger": ("setting", "go there", "pin", "sort", "keys back", "page"),
    "window": ("export", "copy", "select"),
}


def footer_label(binding: Binding) -> str:
    return binding.group.description if binding.group else binding.description


def in_footer_order(bindings: Iterable[Binding], first: Sequence[str] = ()) -> list[Binding]:
    """Those with the labels `first` before all others, because a narrow footer keeps only the first ones."""
    order = (*first, *FOOTER)
    return sorted(
        bindings, key=lambda key: order.index(footer_label(key)) if footer_label(key) in order else len(order)
    )
