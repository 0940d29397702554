"""The parts of the picture that not every size or every operator asks for.

They are imported and made when they are first shown: at 80 by 24 the first paint is sooner without them.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget

from tui.session.view import View
from tui.widgets.event_list import EventList
from tui.widgets.glyphs import Glyphs
from tui.widgets.verdict_line import Headline

Look = Literal["lanes", "curve", "ledger", "window"]  # what can fill the middle


def titled(part: Widget, box: str, title: str) -> Vertical:
    """A part in its frame."""
    frame = Vertical(part, id=box)
    frame.border_title = title
    return frame


def third_column() -> Vertical:
    """Every setting and every event, where the screen is wide."""
    from tui.widgets.settings_table import SettingsTable

    settings = titled(SettingsTable(id="settings"), "settings-box", "Settings so far")
    return Vertical(settings, titled(EventList(id="third-events"), "third-events-box", "Events"), id="third")


def overlay_box() -> Vertical:
    """Both curves in one chart."""
    from tui.widgets.overlay_chart import OverlayChart

    return titled(OverlayChart(id="overlay"), "overlay-box", "Output tok/s   A solid   B dotted")


def brief() -> Widget:
    """What is left where there is hardly any room."""
    from tui.widgets.brief import Brief

    return Brief(id="brief")


def look_box(look: Look) -> Vertical:
    """What fills the middle in place of the lanes."""
    if look == "curve":
        from tui.widgets.curve_chart import CurveChart

        return titled(CurveChart(id="curve"), "curve-box", "")
    if look == "ledger":
        from tui.widgets.ledger_table import LedgerTable

        return titled(LedgerTable(id="ledger"), "ledger-box", "Every setting visited")
    from tui.widgets.window_table import WindowTable

    return titled(WindowTable(), "window-box", "")


def missing(screen: Screen[None]) -> Iterator[tuple[Widget, Widget, str]]:
    """The parts that the classes of the screen ask for and that are not there, each with where it belongs."""
    if screen.has_class("-wide") and not screen.query("#third"):
        yield third_column(), screen.query_one("#middle"), "#lanes"
    if screen.has_class("-overlay") and not screen.query("#overlay-box"):
        yield overlay_box(), screen, "#middle"
    if screen.has_class("-tiny") and not screen.query("#brief"):
        yield brief(), screen, "#hints"


# By the class that shows a part: where it is, and what it is handed.
_SHOWN: dict[str, tuple[str, Callable[[Any, View, Glyphs, Headline], None]]] = {
    "-wide": ("#settings", lambda part, view, _glyphs, _headline: part.show(view)),
    "-overlay": ("#overlay", lambda part, view, glyphs, _headline: part.show(view, glyphs)),
    "-tiny": ("#brief", lambda part, view, _glyphs, headline: part.show(view, headline)),
    "-curve": ("#curve", lambda part, view, glyphs, _headline: part.show(view, glyphs)),
    "-ledger": ("#ledger", lambda part, view, _glyphs, _headline: part.show(view)),
}


def show_parts(screen: Screen[None], view: View, glyphs: Glyphs, headline: Headline) -> None:
    """Hand this second's numbers to those that are shown."""
    for name, (place, show) in _SHOWN.items():
        if screen.has_class(name):
            for part in screen.query(place):
                show(part, view, glyphs, headline)
