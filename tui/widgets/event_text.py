"""An event in words, on the screen and where there is none."""

from tui.records.dials import DIAL
from tui.records.rows import EventRow
from tui.records.text import clean


def event_text(event: EventRow) -> str:
    """`concurrency 16 → 32`, `down: connection refused`, `mark after warm-up`."""
    if event.kind == "dial":
        unit = DIAL[event.name].unit if event.name in DIAL else ""
        name = clean(event.name, 20).replace("_", " ")
        return f"{name} {clean(event.old, 20)} → {clean(event.new, 20)} {unit}".rstrip()
    if event.kind == "plan":
        return f"plan: {clean(event.text)}"
    if event.kind == "fault" and not event.text:
        return f"{clean(event.name, 20)} readings are back"
    words = [event.kind, clean(event.name, 20), clean(event.new, 20), clean(event.text)]
    return " ".join(word for word in words if word)
