"""Each setting of the dials so far, with what both lanes put out under it."""

from collections.abc import Sequence

from textual.events import Resize

from tui.records.rows import Lane
from tui.session.view import View
from tui.widgets import numbers
from tui.widgets.ledger_rows import ledger_rows
from tui.widgets.rows import Row, Rows, Span, fit
from tui.widgets.verdict_line import ratio_text

SETTLING_S = 5  # after a turn, left out of the mean


class SettingsTable(Rows):
    """The newest settings that fit, oldest first."""

    _view: View | None = None

    def show(self, view: View) -> None:
        """Take this second."""
        self._view = view
        width, height = self.content_size
        if width and height:
            table = ledger_rows if view.ledger else settings_rows  # the ledger is there once anything is known
            self.put(table(view, width, height))

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        if self._view is not None:
            self.show(self._view)


def settings_rows(view: View, width: int, height: int) -> list[Row]:
    """`from       dial           A tok/s  B tok/s   A/B`, a row for each span between two turns."""
    begins = [(0, "as started"), *view.dial_marks]
    ends = [second for second, _ in begins[1:]] + [view.second]
    head = fit([(f" {'from':<10}{'dial':<{width - 38}}{'A tok/s':>9}{'B tok/s':>9}{'A/B':>7}", "muted")], width)
    rows = [head]
    for (begin, text), end in list(zip(begins, ends, strict=True))[-max(height - 1, 1) :]:
        means = {lane: mean_tps(view, lane, begin + SETTLING_S, end) for lane in view.lanes}
        a, b = means.get("a"), means.get("b")
        ratio = a / b if a is not None and b else None
        now = "strong" if end == view.second else ""
        spans: list[Span] = [(f" {numbers.clock(begin):<10}", "muted"), (text[: width - 39].ljust(width - 38), now)]
        spans += [(f"{numbers.whole(a):>9}", "a"), (f"{numbers.whole(b):>9}", "b"), (f"{ratio_text(ratio):>7}", now)]
        rows.append(fit(spans, width))
    return rows


def mean_tps(view: View, lane: Lane, begin: int, end: int) -> float | None:
    """Mean output tokens a second from second `begin` to `end`, of the seconds that were measured."""
    curve: Sequence[float | None] = view.lanes[lane].curve
    first = view.second - len(curve)
    values = [v for v in curve[max(begin - first, 0) : max(end - first, 0)] if v is not None]
    return sum(values) / len(values) if values else None
