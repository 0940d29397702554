"""Both lanes in one chart, and below it the ratio of B to A with its interval: the verdict as it grows surer.

The ratio's scale is logarithmic, so twice and half are as far from equal, and shows only the side that is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

from textual.widget import Widget

from tui.model.rows import LANES
from tui.stats.verdict import Verdict
from tui.ui.widgets import numbers
from tui.ui.widgets.chart import (
    AXIS_CELLS,
    BLANK,
    Cells,
    Ground,
    Pen,
    below,
    chart_rows,
    ground,
    half_rows,
    joined_marks,
    level_of,
    line_rows,
    spans_of,
)
from tui.ui.widgets.panel import Panel, ScreenState
from tui.ui.widgets.rows import Row, fit
from tui.ui.widgets.trailing import shared_top, unit_of

OVERLAY_MIN_SIZE: Final = (AXIS_CELLS + 24, 4)
RATIO_MIN_SIZE: Final = (AXIS_CELLS + 24, 2)
OVERLAY_S: Final = 300
RATIO_S: Final = 600
SO_FAR_FROM_S: Final = 5
RATIO_CELLS: Final = 7  # right of the ribbon: `1.72×`
RATIO_ENDS: Final = (1.0, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
MINUTE_S: Final = 60


class OverlayPanel(Panel):
    """Its frame says which figure it shows."""

    def __init__(self) -> None:
        super().__init__(self._overlay_rows, id="overlay", min_size=OVERLAY_MIN_SIZE)

    def _overlay_rows(self, state: ScreenState, width: int, height: int) -> Sequence[Row]:
        title = f"{unit_of(state.figure)}, 10 s mean   A thin   B thick"
        if isinstance(self.parent, Widget) and self.parent.border_title != title:
            self.parent.border_title = title
        return overlay_rows(state, width, height)


def overlay_rows(state: ScreenState, width: int, height: int) -> list[Row]:
    """The lanes' means as lines, an axis with every minute, and where there is room the ratio over the same time."""
    view = state.view
    on = ground(view.second, width - AXIS_CELLS - RATIO_CELLS, OVERLAY_S, view.dial_marks)
    ratio = max(height // 3, 3) if height >= 9 and len(state.lanes) > 1 else 0
    lines = height - 2 - ratio
    top = shared_top(state.trailing, view.second, on.span_s, each_second=False)
    cells = lines_of(state, on, lines, top)
    rows = chart_rows(cells, on, top, unit_of(state.figure))
    letters = _letters(state, lines, top)
    rows = [(*row, *letters.get(y, ())) for y, row in enumerate(rows[:-1])] + [_minutes(on)] + rows[-1:]
    return [fit(row, width) for row in [*rows, *(ratio_rows(state, on, width, ratio) if ratio else [])]]


def lines_of(state: ScreenState, on: Ground, height: int, top: float) -> Cells:
    """A thin and B thick; where both are in one cell they take turns, so that neither hides the other."""
    cells: Cells = [[BLANK] * on.cells for _ in range(height)]
    for lane, shown in state.trailing.items():
        pen = Pen(lane, state.glyphs, top)
        if lane == "a":
            drawn = line_rows(
                [shown.mean(end - half) for end in on.ends for half in (on.cell_s // 2, 0)], height, pen
            )
        else:
            drawn = half_rows([shown.mean(end) for end in on.ends], height, pen)
        for y, row in enumerate(drawn):
            cells[y] = [
                new if new is not BLANK and new[0] != " " and (old is BLANK or x % 2) else old
                for x, (old, new) in enumerate(zip(cells[y], row, strict=True))
            ]
    return cells


def _letters(state: ScreenState, height: int, top: float) -> dict[int, Row]:
    """The lanes' letters by row, each at the end of its line."""
    rows: dict[int, Row] = {}
    for lane, shown in state.trailing.items():
        if (value := shown.mean(state.view.second - 1)) is not None:
            y = height - 1 - level_of(value, height, top)
            rows[y] = (*rows.get(y, ((" ", ""),)), (lane.upper(), f"{lane} strong"))
    return rows


def _minutes(on: Ground) -> Row:
    """`└───04:00────────────05:00───`: the session's whole minutes; fewer where they would touch."""
    line = ["─"] * on.cells
    each = MINUTE_S * max(-(-10 * on.cell_s // MINUTE_S), 1)
    for minute in range(max(-(-on.start // each), 0) * each, on.second + 1, each):
        text, x = numbers.short_clock(minute), on.column(minute)
        if x + len(text) <= on.cells:
            line[x : x + len(text)] = text
    return ((f"{'':{AXIS_CELLS - 1}}└{''.join(line)}", "muted"),)


# The ratio.


def ratio_panel_rows(state: ScreenState, width: int, height: int) -> list[Row]:
    """The ribbon by itself: over all of the session, at most ten minutes."""
    view = state.view
    cells = width - AXIS_CELLS - RATIO_CELLS
    span_s = min(max(view.second, MINUTE_S), RATIO_S)
    on = ground(view.second, cells, -(-span_s // (2 * cells)) * 2 * cells, view.dial_marks)
    rows = ratio_rows(state, on, width, height - 1)
    return [*rows, fit(below(on, joined_marks(on), "B/A"), width)]


def ratio_rows(state: ScreenState, on: Ground, width: int, height: int) -> list[Row]:
    """Exactly `height` rows: the interval as a band, the ratio as a line in it, and where both lanes are equal."""
    said = list(_said(state, on))
    known = [verdict for verdict in said if verdict is not None and verdict.ratio is not None]
    if not known:
        return [fit([(f" {_why_none(state)}", "muted")], width), *[fit((), width)] * (height - 1)]
    low, high = _ends(known)
    cells: Cells = [[(" ", "")] * on.cells for _ in range(height)]
    equal = height - 1 - _place(1.0, low, high, height)
    cells[equal] = [("─", "muted")] * on.cells
    for x, verdict in enumerate(said):
        if verdict is not None and verdict.ratio is not None:
            _draw(cells, x, verdict, (state, low, high))
    labels = {0: high, height - 1: low, equal: 1.0}
    rows = []
    for y, row in enumerate(cells):
        axis = (
            f"{numbers.ratio(labels[y]):>{AXIS_CELLS - 1}}{'┼' if y == equal else '┤'}" if y in labels else f"{'':5}│"
        )
        end = _end_label(said[-1], y, equal, (low, high, height))
        rows.append(fit([(axis, "muted"), *spans_of(row), end], width))
    return rows


def _said(state: ScreenState, on: Ground) -> Iterator[Verdict | None]:
    """What was said at the end of each column; of tokens also the ratio before it has an interval."""
    history, now = state.view.history, state.view.second
    tokens = [list(accumulate(state.view.segment_tps.get(lane, ()))) for lane in LANES]
    settled_s = min(map(len, tokens))
    for end in on.ends:
        place = len(history) - now + end
        verdict = history[place].get(state.figure) if 0 <= place < len(history) else None
        counted = settled_s - (now - 1 - end)
        if (
            verdict is not None
            and verdict.ratio is None
            and verdict.state == "measuring"
            and counted >= SO_FAR_FROM_S
        ):
            a, b = (values[counted - 1] for values in tokens)
            verdict = replace(verdict, ratio=a / b) if a and b else verdict
        yield verdict


def _why_none(state: ScreenState) -> str:
    verdict = state.view.verdicts.get(state.figure) or state.view.verdicts.get("output_tps")
    if verdict is None or verdict.reason == "settling":
        return "the ratio of B to A, once requests of the old setting have ended"
    if verdict.word == "not comparable" or verdict.need_s is None or math.isinf(verdict.need_s):
        return verdict.reason
    return f"the ratio of B to A with its interval, in about {verdict.need_s:.0f} s"


def _inverse(verdict: Verdict) -> tuple[float, float, float]:
    """B over A with its interval."""
    assert verdict.ratio is not None
    ends = (verdict.high or verdict.ratio, verdict.low or verdict.ratio)
    return 1 / verdict.ratio, 1 / ends[0], 1 / ends[1]


def _ends(known: Sequence[Verdict]) -> tuple[float, float]:
    """The ends of a scale that holds every ratio and the newest interval; wider ones are cut."""
    ratios = [_inverse(verdict)[0] for verdict in known]
    _, low, high = _inverse(known[-1])
    up = _end(max(*ratios, high))
    down = 1 / _end(1 / min(*ratios, low))
    return (down, up) if down < up else (0.5, 2.0)


def _end(value: float) -> float:
    return next((end for end in RATIO_ENDS if value <= end), RATIO_ENDS[-1])


def _place(value: float, low: float, high: float, steps: int) -> int:
    """Which of so many steps of the logarithmic scale."""
    share = math.log(value / low) / math.log(high / low)
    return min(max(round(share * (steps - 1)), 0), steps - 1)


ROLE_OF: Final = {"A ahead": "a", "B ahead": "b", "level": "", "undecided": "muted"}


def _draw(cells: Cells, x: int, verdict: Verdict, style: tuple[ScreenState, float, float]) -> None:
    state, low, high = style
    height = len(cells)
    ratio, *interval = _inverse(verdict)
    first, last = (_place(end, low, high, height) for end in interval)
    role = ROLE_OF.get(verdict.word, "muted")
    for step in range(first, last + 1) if verdict.low is not None else ():
        cells[height - 1 - step][x] = (state.glyphs.band, f"{role} dim" if role in {"a", "b"} else role)
    half = _place(ratio, low, high, 2 * height)
    upper, lower, _ = state.glyphs.halves["b"]
    cells[height - 1 - half // 2][x] = (upper if half % 2 else lower, f"{role} strong".strip())


def _end_label(now: Verdict | None, y: int, equal: int, scale: tuple[float, float, int]) -> tuple[str, str]:
    """The ratio at the end of the ribbon, and the word at the line where the lanes are equal."""
    low, high, height = scale
    if now is not None and now.ratio is not None:
        ratio = 1 / now.ratio
        if y == height - 1 - _place(ratio, low, high, 2 * height) // 2:
            return f" {numbers.ratio(ratio)}×", f"{ROLE_OF.get(now.word, 'muted')} strong"
    return (" equal", "muted") if y == equal else ("", "")
