"""The newest settings of the dials, with what both lanes put out under each: the ledger beside the lanes."""

from textual.events import Resize

from tui.session.view import View
from tui.widgets.ledger_rows import ledger_rows
from tui.widgets.rows import Rows


class SettingsTable(Rows):
    """The newest settings that fit, in the order of the first visit."""

    _view: View | None = None

    def show(self, view: View) -> None:
        """Take this second."""
        self._view = view
        width, height = self.content_size
        if width and height:
            self.put(ledger_rows(view, width, height))

    def on_resize(self, _: Resize) -> None:
        """Draw again for the new room."""
        if self._view is not None:
            self.show(self._view)
