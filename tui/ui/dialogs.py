"""The dialogs over the screen, which is not updated while one is open: help, quit, a line of text, export."""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.ui.widgets.header import key_sign
from tui.ui.widgets.rows import Rows, Span, fit

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer | None]):
    """A frame in the middle; escape closes it without an answer."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background; }
    Dialog .box {
      width: auto; max-width: 100%; height: auto; max-height: 100%; padding: 0 1; overflow-x: hidden;
      border: round $accent; background: $background; border-title-color: $foreground; scrollbar-size: 1 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "back")]

    def action_close(self) -> None:
        self.dismiss(None)


class LinesDialog(Dialog[None]):
    """Lines of text, which scroll where the terminal is too low for them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,enter", "close", "back", show=False)]

    def __init__(self, title: str, lines: Sequence[Sequence[Span]]) -> None:
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        width = max(sum(len(text) for text, _ in line) for line in self._lines)
        rows = Rows()
        rows.styles.width, rows.styles.height = width, len(self._lines)
        rows.set_rows([fit(line, width) for line in self._lines])
        with VerticalScroll(classes="box") as box:
            box.border_title = self._title
            box.styles.width = width + 5
            yield rows


class HelpDialog(LinesDialog):
    """Every key and what it does, from the bindings."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "close", "back", show=False)]

    def __init__(self, bindings: Sequence[BindingType], mouse: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__("Keys   esc goes back", help_lines(bindings, mouse))


def help_lines(bindings: Sequence[BindingType], mouse: Sequence[tuple[str, str]] = ()) -> list[list[Span]]:
    """Two columns of keys and description, the keys of one action in one line; then what the mouse does."""
    actions: dict[str, tuple[list[str], str]] = {}
    for binding in Binding.make_bindings(bindings):
        keys, _ = actions.setdefault(binding.action, ([], binding.tooltip or binding.description))
        keys.append(key_sign(binding.key))
    lines = [*((" ".join(keys), text) for keys, text in actions.values()), *mouse]
    return [[(keys.rjust(9), "strong"), ("  ", ""), (text, "")] for keys, text in lines]


class QuitDialog(Dialog[bool]):
    """Asks once: the load would stop."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,y,enter,ctrl+c,ctrl+q", "yes", "stop the load and quit"),
        Binding("n", "close", "go on", show=False),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Quit?"
            box.styles.width = 46
            yield Static("Load is running.", markup=False)
            yield Static("q or enter: stop it and quit  esc: go on", markup=False)

    def action_yes(self) -> None:
        self.dismiss(True)


class TextDialog(Dialog[str]):
    """One line of text; enter gives it, escape gives nothing.

    What `problem` says about the text, if anything, is shown under it, and the dialog stays open.
    """

    DEFAULT_CSS = """
    TextDialog .box { width: 60; }
    TextDialog .problem { color: $warning; display: none; }
    TextDialog Input, TextDialog Input:focus { border: none; height: 1; padding: 0; background: $background; }
    """

    def __init__(self, title: str, hint: str, problem: Callable[[str], str] = lambda _: "") -> None:
        super().__init__()
        self._title, self._hint, self._problem = title, hint, problem
        self._problem_line = Static("", markup=False, classes="problem")

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            yield Input(placeholder=self._hint, max_length=200)
            yield self._problem_line

    def on_mount(self) -> None:
        """A blinking cursor would send bytes for nothing."""
        self.query_one(Input).cursor_blink = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if problem := self._problem(text):
            self._problem_line.update(problem)
            self._problem_line.display = True
        else:
            self.dismiss(text)


class ExportDialog(LinesDialog):
    """Which command writes this session's data. `session`: how a command line spells it; empty: not recorded."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("e", "close", "back", show=False)]

    def __init__(self, session: str) -> None:
        lines: list[list[Span]] = [[("Nothing is recorded, so there is nothing to export.  esc goes back", "")]]
        if session:
            lines = [
                [("This session is recorded as", "")],
                [("  ", ""), (session, "strong")],
                [("Export it from any terminal, even while it runs:", "")],
                [("  ", ""), (f"dragstrip export {session} --format csv", "strong")],
                [("Formats: csv, parquet, json, html, png, vllm, aiperf, …  esc goes back", "muted")],
            ]
        super().__init__("Export", lines)
