"""What is left on a terminal too small for anything else."""

from textual.events import Resize

from tui.session.view import View
from tui.widgets import numbers
from tui.widgets.rows import Row, Rows, Span, fit, length
from tui.widgets.verdict_line import Headline, ratio_text


class Brief(Rows):
    """`A 2 481  B 2 172 tok/s  A/B 1.14  undecided`, broken over as many rows as needed."""

    _shown: tuple[View, Headline] | None = None

    def show(self, view: View, headline: Headline) -> None:
        """Take this second."""
        self._shown = (view, headline)
        self.put(brief_rows(view, headline, max(self.size.width, 1), max(self.size.height, 1)))

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        if self._shown is not None:
            self.show(*self._shown)


def brief_rows(view: View, headline: Headline, width: int, height: int) -> list[Row]:
    """The pieces in order, a new row whenever the next one does not fit."""
    pieces: list[list[Span]] = []
    for lane, found in view.lanes.items():
        value = numbers.whole(found.output_tps) if found.state in {"up", "stopped"} else found.state
        pieces.append([(f"{lane.upper()} ", f"{lane} strong"), (value, "strong")])
    pieces[-1].append((" tok/s", "muted"))
    if len(view.lanes) > 1:
        pieces += [[(f"A/B {ratio_text(headline.ratio)}", "strong")], [(headline.word, "")]]
    if view.simulated:
        pieces.append([("SIMULATED", "warn strong")])
    rows: list[list[Span]] = [[]]
    for piece in pieces:
        if rows[-1] and length([*rows[-1], ("  ", ""), *piece]) > width:
            rows.append([])
        rows[-1] += [("  ", ""), *piece] if rows[-1] else piece
    return [fit(row, width) for row in rows[:height]]
