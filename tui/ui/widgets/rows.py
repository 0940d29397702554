"""A widget of whole rows of text that repaints only the rows that differ.

Textual sends a dirty region without looking at what was there before, so this comparison is what keeps a screen of
sixty numbers at a few kilobytes a second.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.geometry import Region, Spacing
from textual.strip import Strip
from textual.widget import Widget

from tui.ui.widgets.theme import style_of, to_ascii

Span = tuple[str, str]  # text, role
Row = tuple[Span, ...]


def length(spans: Iterable[Span]) -> int:
    """In cells."""
    return sum(cell_len(text) for text, _ in spans)


def fit(spans: Iterable[Span], width: int) -> Row:
    """The spans cut or padded to exactly `width` cells; a cut text ends in an ellipsis."""
    kept: list[Span] = []
    left = width
    for text, role in spans:
        cells = cell_len(text)
        if cells > left:
            if left > 0:
                kept.append((set_cell_size(text, left - 1) + "…", role))
            return tuple(kept)
        kept.append((text, role))
        left -= cells
    if left:
        kept.append((" " * left, ""))
    return tuple(kept)


def spread(left: Sequence[Span], right: Sequence[Span], width: int, fill: Span = (" ", "")) -> Row:
    """`left` and `right` at the two ends of a row; `left` is cut when both do not fit."""
    room = max(width - length(right), 0)
    used = min(length(left), room)
    kept = fit(left, used) if used else ()
    return fit((*kept, (fill[0] * (room - used), fill[1]), *right), width)


def printable(text: str) -> str:
    """The last gate before the terminal: no control character passes, whoever forgot to sanitize a text."""
    return text if text.isprintable() else "".join(filter(str.isprintable, text))


def changed_cells(old: Row, new: Row) -> tuple[int, int]:
    """The first cell to send of a row that changed, and how many: from the first that differs to the last."""
    texts = ["".join(text for text, _ in row) for row in (old, new)]
    cells = max(map(cell_len, texts))
    if len(texts[0]) != len(texts[1]) or cells != len(texts[1]):  # of another length, or with wide characters
        return 0, max(cells, 1)
    roles = [[role for text, role in row for _ in text] for row in (old, new)]
    pairs = zip(*texts, *roles, strict=True)
    differ = [x for x, (before, after, role, role_after) in enumerate(pairs) if before != after or role != role_after]
    return (differ[0], differ[-1] + 1 - differ[0]) if differ else (0, 1)


NO_GUTTER: Final = Spacing()


class Rows(Widget):
    """Rows of spans, each repainted only when it changed; a row that is too long is cut when it is painted."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Rows { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._rows: list[Row] = []

    def on_mount(self) -> None:
        """Our colours are not in the stylesheet, so a change of the theme is watched for here."""
        self.watch(self.app, "theme", self._recolour, init=False)

    def _recolour(self) -> None:
        self.refresh()

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    @property
    def plain(self) -> str:
        return "\n".join("".join(text for text, _ in row) for row in self._rows)

    def plain_row(self, y: int) -> str:
        """Of what is shown; empty below it."""
        return "".join(text for text, _ in self._rows[y]) if 0 <= y < len(self._rows) else ""

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows, from the top."""
        old, self._rows = self._rows, list(rows)
        changed = [y for y in range(max(len(old), len(rows))) if y >= len(old) or y >= len(rows) or old[y] != rows[y]]
        if changed and self.is_mounted:
            # Regions are relative to the widget, borders included.
            left, top = self.gutter.left, self.gutter.top
            full, both = (0, max(self.content_size.width, 1)), min(len(old), len(rows))
            spans = [changed_cells(old[y], rows[y]) if y < both else full for y in changed]
            self.refresh(*(Region(left + x, top + y, cells, 1) for y, (x, cells) in zip(changed, spans, strict=True)))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Without Textual's cache of styled lines: a row is rendered when it changed, and has nothing around it."""
        if self.gutter != NO_GUTTER:
            return super().render_lines(crop)
        strips = [self.render_line(y) for y in crop.line_range]
        if filters := self.get_line_filters():
            _, background = self.background_colors
            for line_filter in filters:
                strips = [strip.apply_filter(line_filter, background) for strip in strips]
        left, right = crop.column_span
        return strips if (left, right) == (0, self.size.width) else [strip.crop(left, right) for strip in strips]

    def render_line(self, y: int) -> Strip:
        width, theme = self.content_size.width, self.app.theme
        row = fit(self._rows[y], width) if y < len(self._rows) else ()
        ascii_only = getattr(self.app, "ascii_only", False)
        segments = [
            Segment(to_ascii(text) if ascii_only else printable(text), style_of(theme, role))
            for text, role in row
            if text
        ]
        return Strip(segments).adjust_cell_length(width, style_of(theme, ""))


Spans = dict[tuple[int, Rows], tuple[int, int]]  # the columns that changed, by line and widget


class RowCompositor(Compositor):
    """Renders of each changed row the widget that holds it, where Textual renders every widget of the screen.

    That was a quarter of what a second costs. Anything but whole changes of `Rows` is left to Textual. On a slow link
    only so many rows are sent at a time as there is `room` for; `paint_later` is called with the rest waiting.
    """

    def __init__(self, room: Callable[[], float], paint_later: Callable[[], None]) -> None:
        super().__init__()
        self._room, self._paint_later = room, paint_later
        self._waiting: Spans = {}

    @property
    def is_waiting(self) -> bool:
        """Whether rows that changed are still to be sent."""
        return bool(self._waiting)

    def render_partial_update(self) -> ChopsUpdate | None:
        spans: Spans = {}
        for region in self._dirty_regions:
            if not (visible := region.intersection(self.size.region)):
                continue
            widget = self._holder(visible)
            if widget is None:
                return super().render_partial_update()
            for y in visible.line_range:
                _add(spans, y, widget, visible.x, visible.right)
        self._dirty_regions.clear()
        return self._update(self._that_fit(spans))

    def release(self) -> None:
        """Paint what waits, as far as there is room."""
        waiting, self._waiting = self._waiting, {}
        for (y, widget), (left, right) in waiting.items():
            if widget in self.visible_widgets:
                widget.refresh(self._within(widget, Region(left, y, right - left, 1)))

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        self._waiting.clear()
        return super().render_full_update(simplify)

    def _that_fit(self, fresh: Spans) -> Spans:
        """Those to send now: what has just changed before what waits, from the top; one at least."""
        room = self._room()
        if room == float("inf") and not self._waiting:
            return fresh
        waiting, self._waiting = self._waiting, {}
        fitting: Spans = {}
        for spans in (fresh, waiting):
            for (y, widget), (left, right) in sorted(spans.items(), key=lambda span: span[0][0]):
                if widget not in self.visible_widgets:
                    continue
                fits = room > 0 or not fitting
                _add(fitting if fits else self._waiting, y, widget, left, right)
                if fits:
                    room -= len(self._strip(y, widget, left, right).render(widget.app.console).encode())
        if self._waiting:
            self._paint_later()
        return fitting

    def _update(self, spans: Spans) -> ChopsUpdate | None:
        chops: list[dict[int, Strip | None]] = [{} for _ in range(self.size.height)]
        for (y, widget), (left, right) in sorted(spans.items(), key=lambda span: span[1]):
            chops[y][left] = self._strip(y, widget, left, right)
        ends = [[left + strip.cell_length for left, strip in line.items() if strip is not None] for line in chops]
        lines = [(y, min(line), max(right)) for y, (line, right) in enumerate(zip(chops, ends, strict=True)) if line]
        return ChopsUpdate(chops, lines, ends) if lines else None

    def _strip(self, y: int, widget: Rows, left: int, right: int) -> Strip:
        (strip,) = widget.render_lines(self._within(widget, Region(left, y, right - left, 1)))
        return strip

    def _within(self, widget: Rows, region: Region) -> Region:
        """A region of the screen as one of the widget."""
        return region.translate(-self.visible_widgets[widget][0].offset)

    def _holder(self, region: Region) -> Rows | None:
        """The frontmost widget there, if it is one of rows and holds the whole region."""
        for widget, (place, clip) in self.visible_widgets.items():
            visible = place.intersection(clip)
            if visible.overlaps(region):
                return widget if isinstance(widget, Rows) and visible.contains_region(region) else None
        return None


def _add(spans: Spans, y: int, widget: Rows, left: int, right: int) -> None:
    """Columns of a line, joined with those that are there."""
    before = spans.get((y, widget), (left, right))
    spans[y, widget] = min(left, before[0]), max(right, before[1])
