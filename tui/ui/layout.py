"""What the screen is put together from: boxes with their titles, made when they are first shown."""

from __future__ import annotations

from typing import Literal

from textual.containers import Horizontal, Vertical

from tui.ui.widgets.panel import Panel, event_rows

Middle = Literal["lanes", "curve", "ledger", "window"]  # what can fill the middle


def framed(panel: Panel, title: str = "") -> Vertical:
    frame = Vertical(panel, id=f"{panel.id}-box")
    frame.border_title = title
    return frame


def third_column() -> Vertical:
    """Every setting and every event, where the screen is wide."""
    from tui.ui.widgets.ledger import LedgerPanel

    settings = LedgerPanel("settings")
    events = Panel(event_rows, id="third-events")
    return Vertical(framed(settings, "Settings so far"), framed(events, "Events"), id="third")


def overlay_box() -> Vertical:
    """Both curves in one chart."""
    from tui.ui.widgets.overlay import OverlayPanel

    return framed(OverlayPanel())


def ratio_row() -> Horizontal:
    """How sure the verdict has become, and the settings so far."""
    from tui.ui.widgets.overlay import RATIO_MIN_SIZE, ratio_panel_rows
    from tui.ui.widgets.tables import settings_rows

    ratio = Panel(ratio_panel_rows, id="ratio", min_size=RATIO_MIN_SIZE)
    settings = Panel(lambda state, width, height: settings_rows(state.view, width, height), id="newest-settings")
    return Horizontal(
        framed(ratio, "B against A, 95 % interval"), framed(settings, "Settings so far"), id="ratio-row"
    )


def middle_box(middle: Middle) -> Vertical:
    """What fills the middle in place of the lanes."""
    if middle == "curve":
        from tui.ui.widgets.plots import SweepPanel

        return framed(SweepPanel())
    if middle == "ledger":
        from tui.ui.widgets.ledger import LedgerPanel

        return framed(LedgerPanel(), "Every setting visited")
    from tui.ui.widgets.tables import window_rows

    return framed(Panel(lambda state, width, height: window_rows(state.window, width, height), id="window"))
