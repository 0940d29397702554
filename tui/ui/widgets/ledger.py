"""The whole ledger as a table: every setting visited in the order of the dials, and where the lead changes hands.

The ledger as lines: each setting visited, both lanes, ratio and word; below, where the lead changes hands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.events import Resize

from tui.model.dials import DIAL, DIALS
from tui.model.rows import Lane
from tui.session.view import View
from tui.ui.widgets import numbers
from tui.ui.widgets.header import LANE_OF, ratio_text
from tui.ui.widgets.rows import Row, Rows, Span, fit, length, spread

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow


ROW_NUMBERS_WIDTH = 37  # of the columns after the setting


def ledger_rows(view: View, width: int, height: int) -> list[Row]:
    """`setting   A tok/s  B tok/s    A/B  verdict`, those of the newest that fit, in the order of the first visit."""
    names = moved(view.ledger)
    room = max(width - ROW_NUMBERS_WIDTH, 8)
    rows = [fit([(f" {'setting':<{room}}{'A tok/s':>8}{'B tok/s':>8}{'A/B':>6}  {'verdict':<12}", "muted")], width)]
    last = max(height - 1 - bool(view.crossover), 1)
    for place, found in list(enumerate(view.ledger))[-last:]:
        rows.append(fit(_brief_row(found, names, room, now=place == view.ledger_now), width))
    if view.crossover:
        rows.append(fit([(f" {view.crossover}", "strong")], width))
    return rows


def moved(rows: Sequence[LedgerRow]) -> list[str]:
    """The dials by which the settings differ, in the order of the dials; concurrency or the rate where none was."""
    settings = [setting for row in rows for setting in row.dials.values()]
    names = [spec.name for spec in DIALS if len({setting[spec.name] for setting in settings}) > 1]
    arrival = settings[0]["arrival"] if settings else "closed"
    return [*names] or ["concurrency" if arrival == "closed" else "request_rate"]


def _brief_row(found: LedgerRow, names: Sequence[str], room: int, *, now: bool) -> list[Span]:
    return [
        (f"{'▸' if now else ' '}{_cut(setting_text(found, names), room - 1):<{room}}", "strong" if now else ""),
        *figure_spans(found, now=now),
        word_span(found),
    ]


def _cut(text: str, cells: int) -> str:
    return text if len(text) <= cells else f"{text[: cells - 1]}…"


def figure_spans(found: LedgerRow, *, now: bool) -> list[Span]:
    """Both lanes' output tokens a second and A over B."""
    counted = {lane: tps if found.settled_s else None for lane, tps in found.tps.items()}
    a, b = counted.get("a"), counted.get("b")
    told = found.verdict.ratio
    ratio = told if told is not None else a / b if a is not None and b else None
    return [
        (f"{numbers.whole(a):>8}", "a"),
        (f"{numbers.whole(b):>8}", "b"),
        (f"{ratio_text(ratio):>6}", "strong" if now else ""),
    ]


def word_span(found: LedgerRow) -> Span:
    """The word of this setting, or why there is none."""
    lane = LANE_OF.get(found.verdict.word, "")
    word: str = found.verdict.word
    if found.bound:
        word = "client-bound"
    elif word == "not comparable":
        word = "no verdict"
    elif word == "undecided" and not found.settled_s:
        word = "settling"
    return f"  {word:<12}", f"{lane} strong" if lane else "muted"


def setting_text(found: LedgerRow, names: Sequence[str]) -> str:
    """`conc 16`, or `conc 16|32` where the lanes are apart."""
    lanes: list[Mapping[str, str]] = [dict(dials) for dials in found.dials.values()]
    parts = []
    for name in names:
        values = list(dict.fromkeys(lane[name] for lane in lanes))
        parts.append(f"{DIAL[name].label} {'|'.join(values)}{'%' if DIAL[name].unit == '%' else ''}")
    return " ".join(parts)


NUMBERS_WIDTH = 52  # of the columns that are always there, after the setting
TTFT_FROM_CELLS = 96
SETTING_CELLS = 28  # at most; more would part it from its figures
NONE_YET = "Nothing is known of any setting yet."


class LedgerTable(Rows):
    """As many settings as there are rows; page up and page down show the others."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._view: View | None = None
        self._first: int | None = None  # None: wherever the setting in force is

    def show(self, view: View) -> None:
        """Take this second."""
        self._view = view
        width, height = self.content_size
        if width and height > 3:
            self.put(table_rows(view, width, height, self._first))

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        if self._view is not None:
            self.show(self._view)

    def page(self, way: int) -> None:
        """Up (-1) or down (1) by what is seen."""
        if self._view is None:
            return
        seen = max(self.content_size.height - 2, 1)
        at = first_row(self._view, seen, self._first)
        self._first = first_row(self._view, seen, at + way * seen)
        self.show(self._view)


def first_row(view: View, seen: int, wanted: int | None) -> int:
    """The first setting of a table that shows `seen` of them: around the one in force, or the one wanted."""
    if wanted is None:
        places = [place for place, _ in in_order(view)]
        wanted = places.index(view.ledger_now) - seen // 2 if view.ledger_now in places else 0
    return min(max(wanted, 0), max(len(view.ledger) - seen, 0))


def in_order(view: View) -> list[tuple[int, LedgerRow]]:
    """The settings with their places in the ledger, by the values of the dials that were moved."""
    names = moved(view.ledger) if view.ledger else []

    def place(one: tuple[int, LedgerRow]) -> list[tuple[float, str]]:
        setting = next(iter(one[1].dials.values()))
        return [_value(setting[name]) for name in names]

    return sorted(enumerate(view.ledger), key=place)


def _value(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:  # an arrival's name
        return 0.0, text


def table_rows(view: View, width: int, height: int, wanted: int | None = None) -> list[Row]:
    """Heading, settings, and a last row that tells where the lead changes hands and how many there are."""
    if not view.ledger:
        return [fit([(f" {NONE_YET}", "muted")], width)]
    names, seen = moved(view.ledger), height - 2
    with_ttft = width >= TTFT_FROM_CELLS
    room = min(max(width - NUMBERS_WIDTH - (28 if with_ttft else 0), 8), SETTING_CELLS)
    first = first_row(view, seen, wanted)
    shown = in_order(view)[first : first + seen]
    rows = [_head(room, width, with_ttft=with_ttft)]
    for place, found in shown:
        rows.append(fit(_row(found, names, room, now=place == view.ledger_now, with_ttft=with_ttft), width))
    rows += [fit((), width)] * (seen - len(shown))
    return [*rows, _below(view, first, len(shown), width)]


def _head(room: int, width: int, *, with_ttft: bool) -> Row:
    ttft = f"{'A TTFT p95':>14}{'B TTFT p95':>14}" if with_ttft else ""
    columns = f"{'A tok/s':>8}{'B tok/s':>8}{'A/B':>6}{'interval':^15}"
    return fit([(f" {'setting':<{room}}{columns}{ttft}  {'verdict':<12}", "muted")], width)


def _row(found: LedgerRow, names: list[str], room: int, *, now: bool, with_ttft: bool) -> list[Span]:
    spans: list[Span] = [
        (f"{'▸' if now else ' '}{setting_text(found, names)[: room - 1]:<{room}}", "strong" if now else ""),
        *figure_spans(found, now=now),
    ]
    low, high = found.verdict.low, found.verdict.high
    told = f"{low:.2f} … {high:.2f}" if low is not None and high is not None else ""
    spans.append((f"{told:^15}", "muted"))
    if with_ttft:
        spans += [_ttft(found, "a"), _ttft(found, "b")]
    return [*spans, word_span(found)]


def _ttft(found: LedgerRow, lane: Lane) -> Span:
    figures = found.figures.get(lane)
    figure = figures.ttft["p95"] if figures is not None else None
    if figure is not None and figure.value is None and figure.n:
        return f"{f'need {figure.missing}':>14}", "muted"
    if figure is None or figure.value is None:
        return f"{numbers.NONE:>14}", "muted"
    return f"{f'{numbers.figure(figure.value)} ms':>14}", lane


def _below(view: View, first: int, shown: int, width: int) -> Row:
    total = len(view.ledger)
    right: list[Span] = [(f"{first + 1}–{first + shown} of {total}, pgup pgdn ", "muted")] if shown < total else []
    left: list[Span] = [(f" {view.crossover}", "strong")] if view.crossover else []
    if not left and length(right) < width - 50:
        left = [(" Where the lead changes hands is told once two settings have a verdict.", "muted")]
    return spread(left, right, width)
