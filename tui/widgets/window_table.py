"""A window marked on the timeline: each figure of both lanes, their ratio with its interval, and the word."""

from collections.abc import Iterator
from typing import Final

from textual.events import Resize

from tui.session.transport import WindowView
from tui.session.view import Percentiles, VerdictView
from tui.widgets import numbers
from tui.widgets.rows import Row, Rows, Span, fit
from tui.widgets.verdict_line import LANE_OF, ratio_text

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
    a, b = window.output_tps.get("a"), window.output_tps.get("b")
    yield "output_tps", _row(window, "output_tps", "output tok/s", (numbers.whole(a), numbers.whole(b)), (a, b))
    for name, label in LATENCIES:
        unit = "s" if name == "e2e" else "ms"
        for share in ("p50", "p95", "p99"):
            values = (_latency(window, "a", name, share), _latency(window, "b", name, share))
            write = numbers.seconds if name == "e2e" else numbers.figure
            texts = (write(values[0]), write(values[1]))
            figure = f"{name}_{share}"
            yield figure, _row(window, figure, f"{label:<4} {share} {unit}", texts, values)
    if "goodput" in window.verdicts:
        yield "goodput", _row(window, "goodput", "goodput", ("", ""), (None, None))


def _latency(window: WindowView, lane: str, name: str, share: str) -> float | None:
    of = {str(key): found for key, found in window.latencies.items()}.get(lane, {})
    value: float | None = getattr(of.get(name, Percentiles()), share)
    return value


def _row(
    window: WindowView, figure: str, label: str, texts: tuple[str, str], values: tuple[float | None, float | None]
) -> list[Span]:
    told = window.verdicts.get(figure)
    a, b = values
    ratio = told.ratio if told is not None and told.ratio is not None else a / b if a is not None and b else None
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
