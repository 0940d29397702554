"""The ledger as lines: each setting visited, both lanes, ratio and word; below, where the lead changes hands."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tui.records.dials import DIAL, DIALS
from tui.session.view import View
from tui.widgets import numbers
from tui.widgets.rows import Row, Span, fit
from tui.widgets.verdict_line import LANE_OF, ratio_text

if TYPE_CHECKING:
    from tui.analysis.ledger import LedgerRow

NUMBERS_WIDTH = 37  # of the columns after the setting


def ledger_rows(view: View, width: int, height: int) -> list[Row]:
    """`setting   A tok/s  B tok/s    A/B  verdict`, those of the newest that fit, in the order of the first visit."""
    names = moved(view.ledger)
    room = max(width - NUMBERS_WIDTH, 8)
    rows = [fit([(f" {'setting':<{room}}{'A tok/s':>8}{'B tok/s':>8}{'A/B':>6}  {'verdict':<12}", "muted")], width)]
    last = max(height - 1 - bool(view.crossover), 1)
    for place, found in list(enumerate(view.ledger))[-last:]:
        rows.append(fit(_row(found, names, room, now=place == view.ledger_now), width))
    if view.crossover:
        rows.append(fit([(f" {view.crossover}", "strong")], width))
    return rows


def moved(rows: "Sequence[LedgerRow]") -> list[str]:
    """The dials by which the settings differ, in the order of the dials; concurrency or the rate where none was."""
    settings = [setting for row in rows for setting in row.dials.values()]
    names = [spec.name for spec in DIALS if len({setting[spec.name] for setting in settings}) > 1]
    arrival = settings[0]["arrival"] if settings else "closed"
    return [*names] or ["concurrency" if arrival == "closed" else "request_rate"]


def _row(found: "LedgerRow", names: Sequence[str], room: int, *, now: bool) -> list[Span]:
    return [
        (f"{'▸' if now else ' '}{_cut(setting_text(found, names), room - 1):<{room}}", "strong" if now else ""),
        *figure_spans(found, now=now),
        word_span(found),
    ]


def _cut(text: str, cells: int) -> str:
    return text if len(text) <= cells else f"{text[: cells - 1]}…"


def figure_spans(found: "LedgerRow", *, now: bool) -> list[Span]:
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


def word_span(found: "LedgerRow") -> Span:
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


def setting_text(found: "LedgerRow", names: Sequence[str]) -> str:
    """`conc 16`, or `conc 16|32` where the lanes are apart."""
    lanes: list[Mapping[str, str]] = [dict(dials) for dials in found.dials.values()]
    parts = []
    for name in names:
        values = list(dict.fromkeys(lane[name] for lane in lanes))
        parts.append(f"{DIAL[name].label} {'|'.join(values)}{'%' if DIAL[name].unit == '%' else ''}")
    return " ".join(parts)
