"""What an operator puts at a moment: a mark with or without a text, or a note."""

from typing import Final

from tui.records.rows import EventRow
from tui.records.text import clean

NOTE: Final = "note: "  # before a text that is a note


def mark_event(t_ns: int, text: str) -> EventRow:
    """The event of a mark, or of a note where the text begins with `note: `."""
    if text.startswith(NOTE):
        return EventRow("", t_ns, "note", text=clean(text.removeprefix(NOTE)))
    return EventRow("", t_ns, "mark", text=clean(text))
