"""A window marked on the timeline: each figure of both lanes, their ratio with its interval, and the word.

The newest settings of the dials, with what both lanes put out under each: the ledger beside the lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from textual.events import Resize

from tui.model.rows import LANES, Lane
from tui.session.source import WindowView
from tui.session.view import Percentiles, VerdictView, View
from tui.ui.widgets import numbers
from tui.ui.widgets.header import LANE_OF, ratio_text
from tui.ui.widgets.ledger import ledger_rows
from tui.ui.widgets.rows import Row, Rows, Span, fit

WORKING: Final = "Working out the window…"
LATENCIES: Final = (("ttft", "TTFT"), ("tpot", "TPOT"), ("itl", "ITL"), ("e2e", "E2E"))
# What is left out first where rows are few.
DISPENSABLE: Final = ("e2e_p50", "itl_p50", "tpot_p50", "e2e_p99", "itl_p95", "tpot_p99", "itl_p99", "ttft_p50")


class WindowTable(Rows):
    """Shows a `WindowView`."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._window: WindowView | None = None

    def show(self, window: WindowView | None) -> None:
        """Take a window; None while it is being worked out."""
        self._window = window
        width, height = self.content_size
        if width and height:
            self.put(
                [fit([(f" {WORKING}", "muted")], width)] if window is None else table_rows(window, width, height)
            )

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        self.show(self._window)


def table_rows(window: WindowView, width: int, height: int) -> list[Row]:
    """A head, a row for each figure, the counts, and why something is missing."""
    tail = [_counts(window)]
    if window.note:
        tail.append([(f" {window.note}", "warn")])
    figures = dict(_figures(window))
    for name in DISPENSABLE:
        if len(figures) + len(tail) + 1 > height:
            figures.pop(name, None)
    head: list[Span] = [
        (f"{'':<14}{'A':>9}", "a strong"),
        (f"{'B':>9}", "b strong"),
        (f"{'A/B':>8}", "muted"),
        (f"{'interval':>18}", "muted"),
    ]
    rows = [head, *figures.values()]
    room = max(height - len(tail), 1)
    return [fit(row, width) for row in [*rows[:room], *tail][:height]]


def _figures(window: WindowView) -> Iterator[tuple[str, list[Span]]]:
    yield "output_tps", _row(window, "output_tps", "output tok/s", numbers.whole)
    for name, label in LATENCIES:
        unit, write = ("s", numbers.seconds) if name == "e2e" else ("ms", numbers.figure)
        for share in ("p50", "p95", "p99"):
            yield f"{name}_{share}", _row(window, f"{name}_{share}", f"{label:<4} {share} {unit}", write)
    if "goodput" in window.verdicts:
        yield "goodput", _row(window, "goodput", "goodput", lambda _: "")


def value_of(window: WindowView, lane: Lane, figure: str) -> float | None:
    """A lane's `output_tps`, or a latency's percentile as `ttft_p95`; None for what a window has no figure of."""
    if figure == "output_tps":
        return window.output_tps.get(lane)
    name, _, share = figure.partition("_")
    value: float | None = getattr(window.latencies.get(lane, {}).get(name, Percentiles()), share, None)
    return value


def ratio_of(window: WindowView, figure: str) -> float | None:
    """A over B as its verdict has it, else the plain one."""
    told = window.verdicts.get(figure)
    if told is not None and told.ratio is not None:
        return told.ratio
    a, b = (value_of(window, lane, figure) for lane in LANES)
    return a / b if a is not None and b else None


def _row(window: WindowView, figure: str, label: str, write: Callable[[float | None], str]) -> list[Span]:
    told, ratio = window.verdicts.get(figure), ratio_of(window, figure)
    texts = [write(value_of(window, lane, figure)) for lane in LANES]
    return [
        (f" {label:<13}", "muted"),
        (f"{texts[0]:>9}", ""),
        (f"{texts[1]:>9}", ""),
        (f"{ratio_text(ratio):>8}", "strong"),
        (f"{_interval(told):>18}", "muted"),
        ("", "") if ratio is None else _word(told),
    ]


def _interval(told: VerdictView | None) -> str:
    if told is None or told.low is None or told.high is None:
        return ""
    return f"[{told.low:.2f} … {told.high:.2f}]"


def _word(told: VerdictView | None) -> Span:
    if told is None or told.word == "not comparable":  # why is told once, below
        return ("", "")
    lane = LANE_OF.get(told.word, "")
    return (f"  {'▲ ' if lane else ''}{told.word}", f"{lane} strong" if lane else "")


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


class SettingsTable(Rows):
    """The newest settings that fit, in the order of the first visit."""

    _view: View | None = None

    def show(self, view: View) -> None:
        """Take this second."""
        self._view = view
        width, height = self.content_size
        if width and height:
            self.put(ledger_rows(view, width, height))

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        if self._view is not None:
            self.show(self._view)
