"""Tables: the ledger, short next to the lanes and whole in their place, and the figures of a replay's window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tui.judge.sentence import cell, cell_factor, cell_interval
from tui.model.dials import DIAL, DIALS, dial_value
from tui.model.metrics import SHOWN_PERCENTILES
from tui.model.rows import LANES, Lane
from tui.session.source import WindowView
from tui.session.view import View
from tui.ui.comparison import LANE_AHEAD, UNDECIDED, ledger_holds, window_ratio, window_values
from tui.ui.widgets import numbers
from tui.ui.widgets.rows import Row, Span, fit, length, spread

if TYPE_CHECKING:
    from tui.judge.ledger import LedgerRow
    from tui.judge.segments import Settings


SHORT_CELLS = 44  # of the columns after the setting
LEDGER_CELLS = 59  # the same with the interval
TTFT_CELLS = 28
TTFT_FROM_CELLS = 96
MAX_SETTING_CELLS = 28  # more would part it from its figures
NO_SETTINGS = "No setting has been measured yet."
NO_CROSSOVER = "Where the leader changes is shown once two settings have a verdict."


ORDERS: Final = ("dials", "visit", "A tok/s", "B tok/s", "lead")


@dataclass(frozen=True, slots=True)
class LedgerLook:
    """What part of the ledger is shown, and how."""

    first: int | None = (
        None  # setting of the page, in the order shown; None: the page of the cursor, or of the present
    )
    cursor: int | None = None  # place in the ledger of the setting under the cursor; None: there is no cursor
    order: str = ORDERS[0]
    pinned: Settings | None = None  # the dials of the setting that is pinned


AS_IT_IS: Final = LedgerLook()


def settings_rows(view: View, width: int, height: int, look: LedgerLook | None = None) -> list[Row]:
    """`setting   A tok/s  B tok/s    ahead  verdict`, the newest that fit, in the order of the first visit."""
    look = look or LedgerLook(order="visit")
    names, significant = moved_dials(view.ledger), ledger_holds(view.ledger)
    room = max(width - SHORT_CELLS, 8)
    rows = [fit([_head(room)], width)]
    newest = max(height - 1 - bool(view.crossover), 1)
    for place, row in ordered(view, look.order)[-newest:]:
        now = place == view.ledger_now
        cells = [*_setting_row(row, names, room, look, now=now), _word(row, significant[place], now=now)]
        rows.append(fit(_under_cursor(cells, at_cursor=place == look.cursor), width))
    if view.crossover:
        rows.append(fit([(f" {view.crossover}", "strong")], width))
    return rows


def ledger_rows(view: View, width: int, height: int, look: LedgerLook = AS_IT_IS) -> list[Row]:
    """Heading, a page of settings, and below where the lead changes hands."""
    if not view.ledger:
        return [fit([(f" {NO_SETTINGS}", "muted")], width)]
    names, page, significant = moved_dials(view.ledger), height - 2, ledger_holds(view.ledger)
    with_ttft = width >= TTFT_FROM_CELLS
    room = min(max(width - LEDGER_CELLS - (TTFT_CELLS if with_ttft else 0), 8), MAX_SETTING_CELLS)
    first = first_on_page(view, page, look)
    shown = ordered(view, look.order)[first : first + page]
    ttft_head = f"{'A TTFT p95':>14}{'B TTFT p95':>14}" if with_ttft else ""
    rows = [fit([_head(room, f"{'interval':^15}{ttft_head}")], width)]
    for place, row in shown:
        more: list[Span] = [(f"{cell_interval(row.verdict):^15}", "muted")]
        more += [_ttft(row, lane) for lane in LANES] if with_ttft else []
        setting = _setting_row(row, names, room, look, now=place == view.ledger_now)
        cells = [*setting, *more, _word(row, significant[place], now=place == view.ledger_now)]
        rows.append(fit(_under_cursor(cells, at_cursor=place == look.cursor), width))
    rows += [fit((), width)] * (page - len(shown))
    return [*rows, _below(view, first, len(shown), width)]


def moved_dials(rows: Sequence[LedgerRow]) -> list[str]:
    """The dials by which the settings differ, in the order of the dials; concurrency or the rate where none does."""
    settings = [setting for row in rows for setting in row.dials.values()]
    names = [spec.name for spec in DIALS if len({setting.get(spec.name, "") for setting in settings}) > 1]
    arrival = settings[0]["arrival"] if settings else "closed"
    return [*names] or ["concurrency" if arrival == "closed" else "request_rate"]


def _head(room: int, more: str = "") -> Span:
    return f" {'setting':<{room}}{'A tok/s':>8}{'B tok/s':>8}{'ahead':>9}{more}  {'verdict':<16}", "muted"


def _under_cursor(cells: Sequence[Span], *, at_cursor: bool) -> list[Span]:
    return [(text, f"{role} reverse".strip()) if at_cursor else (text, role) for text, role in cells]


def _setting_row(row: LedgerRow, names: Sequence[str], room: int, look: LedgerLook, *, now: bool) -> list[Span]:
    pinned = " ◇" if row.dials == look.pinned else ""
    setting = f"{_cut(setting_text(row, names), room - 1 - len(pinned))}{pinned}"
    a, b = (row.tps.get(lane) if row.settled_s else None for lane in LANES)
    return [
        (f"{'▸' if now else ' '}{setting:<{room}}", "strong" if now else ""),
        (f"{numbers.whole(a):>8}", "a"),
        (f"{numbers.whole(b):>8}", "b"),
        (f"{cell_factor(row.verdict, row.ratio):>9}", "strong" if now else ""),
    ]


def _word(row: LedgerRow, holds: bool, *, now: bool) -> Span:
    """The word of this setting, among all that are judged. `now`: it is in force."""
    lane = LANE_AHEAD.get(row.verdict.word, "")
    word = cell(row.verdict, holds=holds, over=not now) if row.settled_s else "settling"
    return f"  {word:<16}", f"{lane} strong" if lane else "muted"


def _cut(text: str, cells: int) -> str:
    return text if len(text) <= cells else f"{text[: cells - 1]}…"


def setting_text(row: LedgerRow, names: Sequence[str]) -> str:
    """`conc 16`, or `conc 16|32` where the lanes' dials differ."""
    parts = []
    for name in names:
        values = dict.fromkeys(dials[name] for dials in row.dials.values())
        parts.append(f"{DIAL[name].label} {'|'.join(values)}{'%' if DIAL[name].unit == '%' else ''}")
    return " ".join(parts)


def ordered(view: View, order: str) -> list[tuple[int, LedgerRow]]:
    """The settings with their places in the ledger; by tokens or by the lead of B over A, the highest first."""
    numbered = list(enumerate(view.ledger))
    if order == "dials":
        return by_dials(view)
    if order == "visit":
        return numbered
    if order == "lead":
        return sorted(numbered, key=lambda one: one[1].ratio or math.inf)
    lane: Lane = "a" if order == "A tok/s" else "b"
    return sorted(numbered, key=lambda one: -one[1].tps.get(lane, 0.0))


def by_dials(view: View) -> list[tuple[int, LedgerRow]]:
    """The settings with their places in the ledger, by the values of the dials that were moved."""
    names = moved_dials(view.ledger)

    def values(numbered: tuple[int, LedgerRow]) -> list[tuple[float, str]]:
        setting = next(iter(numbered[1].dials.values()))
        texts = [(name, setting[name]) for name in names]
        return [_sort_key(name, text) for name, text in texts]

    return sorted(enumerate(view.ledger), key=values)


def _sort_key(name: str, text: str) -> tuple[float, str]:
    value = dial_value(DIAL[name], text) if text else ""
    return (0.0, value) if isinstance(value, str) else (value, "")


def first_on_page(view: View, page: int, look: LedgerLook) -> int:
    """Where a page of so many settings begins: as it was, else with the cursor or the present in its middle."""
    first = look.first
    if first is None:
        places = [place for place, _ in ordered(view, look.order)]
        middle = view.ledger_now if look.cursor is None else look.cursor
        first = places.index(middle) - page // 2 if middle in places else 0
    return min(max(first, 0), max(len(view.ledger) - page, 0))


def _ttft(row: LedgerRow, lane: Lane) -> Span:
    figures = row.figures.get(lane)
    p95 = figures.ttft["p95"] if figures is not None else None
    if p95 is not None and p95.value is not None:
        return f"{f'{numbers.figure(p95.value)} ms':>14}", lane
    return f"{f'need {p95.missing}' if p95 is not None and p95.n else numbers.NONE:>14}", "muted"


def _below(view: View, first: int, shown: int, width: int) -> Row:
    total = len(view.ledger)
    right: list[Span] = [(f"{first + 1}–{first + shown} of {total}, pgup pgdn ", "muted")] if shown < total else []
    left: list[Span] = [(f" {view.crossover}", "strong")] if view.crossover else []
    if not all(ledger_holds(view.ledger)):
        left.append((" alone: not among all settings at once", "muted"))
    if not left and length(right) < width - 50:
        left = [(f" {NO_CROSSOVER}", "muted")]
    return spread(left, right, width)


WORKING: Final = "Working out the window…"
LATENCIES: Final = (("ttft", "TTFT"), ("tpot", "TPOT"), ("itl", "ITL"), ("e2e", "E2E"))
# What is left out first where rows are few.
DISPENSABLE: Final = ("e2e_p50", "itl_p50", "tpot_p50", "e2e_p99", "itl_p95", "tpot_p99", "itl_p99", "ttft_p50")


def window_rows(window: WindowView | None, width: int, height: int) -> list[Row]:
    """A head, a row for each metric, the counts, and why something is missing. None: it is being worked out."""
    if window is None:
        return [fit([(f" {WORKING}", "muted")], width)]
    tail = [_counts(window)]
    if window.note:
        tail.append([(f" {window.note}", "warn")])
    metrics = dict(_metric_rows(window))
    for name in DISPENSABLE:
        if len(metrics) + len(tail) + 1 > height:
            metrics.pop(name, None)
    head: list[Span] = [
        (f"{'':<14}{'A':>9}", "a strong"),
        (f"{'B':>9}", "b strong"),
        (f"{'A/B':>8}{'interval':>18}", "muted"),
    ]
    room = max(height - len(tail), 1)
    return [fit(row, width) for row in [*[head, *metrics.values()][:room], *tail][:height]]


def _metric_rows(window: WindowView) -> Iterator[tuple[str, list[Span]]]:
    yield "output_tps", _metric_row(window, "output_tps", "output tok/s", numbers.whole)
    for name, label in LATENCIES:
        unit, write = ("s", numbers.seconds) if name == "e2e" else ("ms", numbers.figure)
        for percentile in SHOWN_PERCENTILES:
            kind = f"{name}_{percentile}"
            yield kind, _metric_row(window, kind, f"{label:<4} {percentile} {unit}", write)
    if "goodput" in window.verdicts:
        yield "goodput", _metric_row(window, "goodput", "goodput", lambda _: "")


def _metric_row(window: WindowView, kind: str, label: str, write: Callable[[float | None], str]) -> list[Span]:
    verdict = window.verdicts.get(kind, UNDECIDED)
    ratio = window_ratio(window, kind)
    interval = numbers.interval(verdict.low, verdict.high)
    spans: list[Span] = [
        (f" {label:<13}", "muted"),
        *((f"{write(value):>9}", "") for value in window_values(window, kind)),
        (f"{numbers.ratio(ratio):>8}", "strong"),
        (f"{f'[{interval}]' if interval else '':>18}", "muted"),
    ]
    # Why the lanes are not comparable is said once, below.
    if ratio is not None and kind in window.verdicts and verdict.word != "not comparable":
        lane = LANE_AHEAD.get(verdict.word, "")
        spans.append((f"  {'▲ ' if lane else ''}{cell(verdict)}", f"{lane} strong" if lane else ""))
    return spans


def _counts(window: WindowView) -> list[Span]:
    spans: list[Span] = [(" requests", "muted")]
    for lane, done in window.requests.items():
        failed = window.failed.get(lane, 0)
        spans += [
            (f"   {lane.upper()} ", f"{lane} strong"),
            (f"{numbers.whole(done)} done", ""),
            (f", {numbers.whole(failed)} failed", "warn" if failed else "muted"),
        ]
    return spans
