"""The one line that says who is ahead, by how much and how sure."""

from typing import Literal

import msgspec

from tui.widgets.rows import Row, Rows, Span, fit

Word = Literal["A ahead", "B ahead", "level", "undecided", "not comparable"]
LANE_OF = {"A ahead": "a", "B ahead": "b"}


class Headline(msgspec.Struct, frozen=True):
    """A verdict as it is shown. `ratio` is A over B, `low` and `high` its interval when there is one."""

    word: Word
    label: str  # of the figure compared
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""  # what it stands on, or why there is none
    beside: tuple[tuple[str, float | None], ...] = ()  # further figures and their plain ratios
    warning: str = ""  # what makes the lanes incomparable

    @property
    def lead(self) -> str:
        """The lane that is said to be ahead, or nothing."""
        return LANE_OF.get(self.word, "")


class VerdictLine(Rows):
    """Shows a `Headline`."""

    def show(self, headline: Headline) -> None:
        """Take the verdict of this second."""
        self.put([verdict_row(headline, self.size.width or self.app.size.width)])


def ratio_text(ratio: float | None) -> str:
    """`1.142`, with as many places as a reader can use."""
    return "–" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def verdict_row(headline: Headline, width: int) -> Row:
    """` undecided   output tok/s  A/B 1.14   30 s window      TTFT p95 A/B 0.82`."""
    lane = headline.lead
    word_role = f"{lane} strong" if lane else "warn strong" if headline.warning else "strong"
    spans: list[Span] = [(f" {'▲ ' if lane else ''}{headline.word}", word_role)]
    if headline.label:
        spans += [(f"  {headline.label} ", "muted"), (f"A/B {ratio_text(headline.ratio):>4}", "strong")]
    if headline.low is not None and headline.high is not None:
        spans.append((f" [{headline.low:.2f} … {headline.high:.2f}]", ""))
    if headline.warning:
        spans.append((f"  ! {headline.warning}", "warn"))
    elif headline.note:
        spans.append((f"  {_fitting(headline.note, width - sum(len(t) for t, _ in spans) - 2)}", "muted"))
    for label, ratio in headline.beside:
        more: list[Span] = [(f"   {label} ", "muted"), (f"{ratio_text(ratio):>4}", "")]
        if sum(len(t) for t, _ in spans + more) <= width:
            spans += more
    return fit(spans, width)


def _fitting(note: str, cells: int) -> str:
    """The note without the last clauses that the line has no room for: a number cut short is another number."""
    while len(note) > cells and ", " in note:
        note = note.rpartition(", ")[0]
    return note
