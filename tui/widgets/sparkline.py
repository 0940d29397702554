"""One row of bars on a fixed scale, so that two lanes' sparklines can be compared."""

from collections.abc import Sequence

HISTORY_S = 120


def sparkline(curve: Sequence[float | None], second: int, cells: int, top: float, glyphs: str) -> str:
    """The last two minutes in `cells` characters; a space where there is no reading.

    `curve` ends now, at `second` of the session. Cells stand on whole multiples of their length, so the line moves
    only when one is full.
    """
    if cells <= 0:
        return ""
    cell_s = max(-(-HISTORY_S // cells), 1)
    first = second - len(curve)
    start = (max(second - 1, 0) // cell_s - cells + 1) * cell_s
    drawn = []
    for cell in range(cells):
        begin = start + cell * cell_s - first
        values = [v for v in curve[max(begin, 0) : max(begin + cell_s, 0)] if v is not None]
        drawn.append(_bar(sum(values) / len(values), top, glyphs) if values else " ")
    return "".join(drawn)


def _bar(value: float, top: float, glyphs: str) -> str:
    share = value / top if top > 0 else 0.0
    return glyphs[min(max(round(share * (len(glyphs) - 1)), 0), len(glyphs) - 1)]
