"""Help in three pages, each filtered by what is typed after `/`: the keys by group, the glossary, the screen itself.

The glossary is that of `tui/README.md`, which is part of the package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from tui.ui.dialogs import Dialog
from tui.ui.widgets.header import key_sign
from tui.ui.widgets.rows import Row, Rows, Span, fit

Line = tuple[str, str]  # keys or a term, and what they do or it means
Sections = Mapping[str, Sequence[Line]]

PAGES: Final = ("keys", "glossary", "the screen")
KEY_CELLS: Final = 9
TERM_CELLS: Final = 17
COLUMN_CELLS: Final = 56
MAX_CELLS: Final = 2 * COLUMN_CELLS + 2
SECTION_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("scale", "link", "undo", "toggle_load", "plan", "app.focus_next", "app.focus_previous"), "Dials"
    ),
    **dict.fromkeys(("play", "skip", "to_end", "speed", "moment", "go", "select", "freeze"), "Time"),
    **dict.fromkeys(("mark", "note", "help", "leave", "limits"), "Session"),
    **dict.fromkeys(("app.command_palette", "app.suspend_process"), "Session"),
    **dict.fromkeys(("export", "copy", "screenshot"), "Output"),
    **dict.fromkeys(("move", "choose", "pin", "sort", "release"), "Ledger"),
}
ORDER: Final = ("Ledger", "Dials", "Time", "Views", "Session", "Output", "Mouse")
# What the command palette calls a binding that has no verb of its own.
PHRASES: Final[Mapping[str, str]] = {
    "link": "Link or unlink the dials of both lanes", "undo": "Undo the last dial change",
    "next-dial": "Go to the next dial", "previous-dial": "Go to the previous dial", "load": "Stop or resume the load",
    "plan": "Run, pause or resume the plan", "freeze": "Freeze the screen, or go on", "note": "Write a note",
    "mark": "Mark this moment", "limits": "Set the latency limits", "window": "Change the window of the figures",
    "verdict": "Compare by the next figure", "overlay": "Show both lanes in one chart",
    "curve": "Show throughput against latency", "ledger": "Show every setting visited",
    "page-up": "Turn the ledger a page back", "page-down": "Turn the ledger a page on", "lane-a": "Zoom into lane A",
    "lane-b": "Zoom into lane B", "back": "Go back to both lanes", "glyphs": "Change the characters of charts",
    "colours": "Change the colours", "export": "Export session, window or setting",
    "copy": "Copy verdict and figures as Markdown", "screenshot": "Save the screen as a picture", "help": "Open help",
    "quit": "Quit", "suspend": "Suspend to the shell", "play": "Play or pause", "back-1": "Step one second back",
    "on-1": "Step one second on", "back-5": "Go five seconds back", "on-5": "Go five seconds on",
    "back-60": "Go a minute back", "on-60": "Go a minute on", "to-start": "Go to the start",
    "to-end": "Go to the end", "palette": "Open the commands",
    "slower": "Play slower", "faster": "Play faster", "normal-speed": "Play at normal speed",
    "next-event": "Go to the next event", "previous-event": "Go to the previous event", "go": "Go to a time",
    "select": "Begin or end a window", "window-figures": "Show the figures of the window",
}  # fmt: skip


def phrase(binding: Binding) -> str:
    """What a command is called: a verb first."""
    if (known := PHRASES.get(binding.id or "")) is not None:
        return known
    return f"Turn {binding.description}" if section_of(binding) == "Dials" else binding.description.capitalize()


def section_of(binding: Binding) -> str:
    name = binding.action.partition("(")[0]
    if name == "step":  # of a dial, or of the time
        return "Dials" if "'" in binding.action else "Time"
    return SECTION_OF.get(name, "Views")


def key_sections(bindings: Iterable[BindingType], mouse: Sequence[Line] = ()) -> Sections:
    """Every key and what it does, by section; the keys of one action together."""
    actions: dict[str, tuple[str, list[str], str]] = {}
    for binding in Binding.make_bindings(bindings):
        text = binding.tooltip or binding.description
        _, keys, _ = actions.setdefault(binding.action, (section_of(binding), [], text))
        keys.append(key_sign(binding.key))
    lines = [*((section, " ".join(keys), text) for section, keys, text in actions.values())]
    lines += [("Mouse", *line) for line in mouse]
    by_section = {name: [(keys, text) for section, keys, text in lines if section == name] for name in ORDER}
    return {name: rows for name, rows in by_section.items() if rows}


@cache
def glossary() -> Sections:
    """The terms of `tui/README.md`, by its headings; none where the package has no such file."""
    try:
        text = (files("tui") / "README.md").read_text(encoding="utf-8")
    except OSError:
        return {}
    _, _, rest = text.partition("\n## Glossary\n")
    part = rest.partition("\n## ")[0].replace("`", "").replace("*", "")
    heads = [*re.finditer(r"^### (.+)$", part, re.MULTILINE), None]
    sections = {}
    for head, after in pairwise(heads):
        assert head is not None
        rows = part[head.end() : after.start() if after else None].splitlines()
        cells = [[cell.strip() for cell in row.strip("| ").split(" | ", 1)] for row in rows if row.startswith("| ")]
        sections[head[1]] = [(row[0], row[1]) for row in cells if len(row) == 2 and row[0] != "term"]
    return sections


TOUR: Final[Sections] = {
    "From the top": [
        ("status", "whether it is live, SIMULATED or a replay, how long it has run, and what is recorded"),
        ("dials", "the load that both servers get: how many streams, how long prompts and answers are"),
        ("verdict", "which lane is ahead in one figure, by how much, and how sure that is"),
        ("lanes", "A on the left, B on the right: each one server with its own figures, on one scale"),
        ("events", "what happened: dials, faults, a lane down or up, marks"),
        ("hints", "the keys that matter here; each can be clicked"),
    ],
    "In a lane": [
        ("chart", "the mean of the last ten seconds as an area"),
        ("░", "in a chart: from the mean of 10 s up to the highest of its seconds"),
        ("┄┄ B 424", "in A's chart: the mean of B over the window, and in B's that of A"),
        ("percentiles", "over the window: TTFT until the first token, TPOT for each further one, E2E for all"),
        ("mem", "GPU memory in use; flat where the engine takes its KV pool at the start"),
        ("KV", "how much of that pool running requests hold: it moves with the load"),
    ],
    "How to compare": [
        ("settle", "after a dial change nothing counts until the old requests are gone: the line says settling"),
        ("measuring", "then the interval narrows: the line says how long it still takes"),
        ("ahead, level", "decided: the interval is beyond the margin, or within it"),
        ("undecided", "it was looked at long enough, and the difference is too small to tell"),
        ("ledger", "t: every setting with its verdict; enter goes back to one"),
        ("export", "e writes it to a file, y copies it as Markdown"),
    ],
}


class HelpDialog(Dialog[None]):
    """Tab turns the page, `/` filters it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,right", "page(1)", "next page", show=False),
        Binding("shift+tab,left", "page(-1)", "previous page", show=False),
        Binding("slash", "filter", "filter", show=False),
        Binding("q,enter,question_mark", "close", "back", show=False),
    ]

    def __init__(self, keys: Sections) -> None:
        super().__init__()
        self._pages: Sequence[Sections] = (keys, glossary(), TOUR)
        self._page = 0
        self._filter: str | None = None  # None: none is typed
        self._rows = Rows()

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box"):
            yield self._rows

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self, _: events.Resize) -> None:
        self._draw()

    def _draw(self) -> None:
        width = min(MAX_CELLS, self.app.size.width - 5)
        rows = section_rows(filtered(self._pages[self._page], self._filter or ""), width, terms=self._page > 0)
        self._rows.styles.width, self._rows.styles.height = width, max(len(rows), 1)
        self._rows.set_rows(rows or [fit([("nothing has these words", "muted")], width)])
        box = self.query_one(VerticalScroll)
        box.styles.width = width + 5
        box.border_title = " │ ".join(f"▸ {name}" if at == self._page else name for at, name in enumerate(PAGES))
        box.border_subtitle = "tab next page  / filter  esc back" if self._filter is None else f"/ {self._filter}_"

    def action_page(self, by: int) -> None:
        self._page = (self._page + by) % len(PAGES)
        self.query_one(VerticalScroll).scroll_home(animate=False)
        self._draw()

    def action_filter(self) -> None:
        self._filter = self._filter or ""
        self._draw()

    def action_close(self) -> None:
        """Give the filter up first."""
        if self._filter is None:
            self.dismiss(None)
        else:
            self._filter = None
            self._draw()

    def on_key(self, event: events.Key) -> None:
        """While a filter is typed, characters are its own."""
        if self._filter is None:
            return
        if event.key == "backspace":
            self._filter = self._filter[:-1]
        elif event.is_printable and event.character:
            self._filter += event.character
        else:
            return
        event.stop()
        event.prevent_default()
        self._draw()


def filtered(sections: Sections, words: str) -> Sections:
    """The lines that hold all these words."""
    wanted = words.casefold().split()
    kept = {
        name: [line for line in lines if all(word in f"{name} {' '.join(line)}".casefold() for word in wanted)]
        for name, lines in sections.items()
    }
    return {name: lines for name, lines in kept.items() if lines}


def section_rows(sections: Sections, width: int, *, terms: bool = False) -> list[Row]:
    """In two columns of about the same height where both fit, else in one."""
    blocks = [_block(name, lines, min(width, COLUMN_CELLS), terms=terms) for name, lines in sections.items()]
    if width < MAX_CELLS or len(blocks) < 2:
        whole = [_block(name, lines, width, terms=terms) for name, lines in sections.items()]
        return [row for block in whole for row in block]
    half = _half([len(block) for block in blocks])
    left, right = ([row for block in part for row in block] for part in (blocks[:half], blocks[half:]))
    blank = fit((), COLUMN_CELLS)
    height = max(len(left), len(right))
    left, right = ([*rows, *[blank] * (height - len(rows))] for rows in (left, right))
    return [(*one, ("  ", ""), *other) for one, other in zip(left, right, strict=True)]


def _half(heights: Sequence[int]) -> int:
    """How many blocks make the left column, so that the higher one is as low as can be."""
    return min(range(1, len(heights)), key=lambda at: max(sum(heights[:at]), sum(heights[at:])))


def _block(name: str, lines: Sequence[Line], width: int, *, terms: bool) -> list[Row]:
    cells = TERM_CELLS if terms else KEY_CELLS
    rows = [fit([(name, "strong")], width)]
    for keys, text in lines:
        first: Span = (f"{keys.ljust(cells) if terms else keys.rjust(cells)}  ", "" if terms else "strong")
        room = max(width - len(first[0]), 20)
        wrapped = _wrapped(text, room)
        rows.append(fit([first, (wrapped[0], "muted" if terms else "")], width))
        rows += [fit([(" " * len(first[0]), ""), (more, "muted" if terms else "")], width) for more in wrapped[1:]]
    return [*rows, fit((), width)]


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
