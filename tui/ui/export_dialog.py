"""The Export box: what, in which form, where to. The writing goes on when the box is closed.

The data are read and written in another process; this one keeps what was chosen and how far it is.
"""

from __future__ import annotations

import getpass
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from tui.export.process import ExportProcess, Part, Progressed, Written
from tui.export.sizes import BYTES_PER_ROW
from tui.model.text import UserError, sanitize
from tui.ui.dialogs import Dialog
from tui.ui.widgets import numbers
from tui.ui.widgets.rows import Row, Rows, Span, fit, length, spread

FORMS: Final[Mapping[str, str]] = {
    "bundle": "session, report and pictures in one file",
    "html": "the report as one page",
    "markdown": "the report for a pull request",
    "png": "the charts as a picture",
    "svg": "the charts, sharp at any size",
    "csv": "a table a file, for spreadsheets",
    "parquet": "a table a file, for Polars, pandas, DuckDB",
    "json": "all tables in one object",
    "ndjson": "a table a file, an object a line",
    "vllm": "as `vllm bench serve` saves its results",
    "sglang": "as SGLang's bench_serving does",
    "guidellm": "as GuideLLM does",
    "aiperf": "as AIPerf does",
}
assert set(FORMS) == set(BYTES_PER_ROW)
WIDTH: Final = 76
BAR_CELLS: Final = 20
FORMS_FROM_ROW: Final = 4  # what, to, two rows of how it goes


@dataclass(frozen=True, slots=True)
class ExportPart:
    """What can be exported, and how it is called."""

    label: str
    part: Part


class Exporter:
    """What was chosen, and how far it is. `on_change` is called when that changes."""

    def __init__(self, session: str, directory: Path, parts: Sequence[ExportPart]) -> None:
        """`session`: how a command line spells it."""
        self.session, self.parts = session, list(parts)
        self.part = self.form = self.folder = 0
        self.folders = writable_folders(directory)
        self.sizes: Sequence[Mapping[str, int]] = ()
        self.segments: Sequence[int | None] = ()
        self.progress: Progressed | None = None
        self.writing = False
        self.written: Written | None = None
        self.problem = ""
        self.on_change: Callable[[], None] = lambda: None
        self._process = ExportProcess(directory)

    @property
    def form_name(self) -> str:
        return list(FORMS)[self.form]

    @property
    def target(self) -> Path | None:
        """The folder that is written into."""
        return self.folders[self.folder] if self.folders else None

    def choose(self, *, part: int = 0, form: int = 0, folder: int = 0) -> None:
        """The next ones of each, or those before."""
        if not self.writing:
            self.part = (self.part + part) % len(self.parts)
            self.form = min(max(self.form + form, 0), len(FORMS) - 1)
            self.folder = (self.folder + folder) % max(len(self.folders), 1)
            self.written, self.problem = None, ""
            self.on_change()

    async def read_sizes(self) -> None:
        try:
            sizes = await self._process.sizes([part.part for part in self.parts])
            self.sizes, self.segments = sizes.by_part, sizes.segments
        except UserError as error:
            self.problem = sanitize(str(error))
        self.on_change()

    async def write(self) -> str:
        """Write what is chosen; returns one sentence on how that went."""
        if self.target is None:
            return self.problem
        self.writing, self.written, self.problem, self.progress = True, None, "", None
        self.on_change()
        try:
            self.written = await self._process.write(
                self.parts[self.part].part, self.form_name, self.target, self._progressed
            )
        except UserError as error:
            self.problem = sanitize(str(error))
        self.writing = False
        self.on_change()
        return self.problem or f"exported to {sanitize(self.written_path)}"

    async def close(self) -> None:
        await self._process.close()

    def _progressed(self, progress: Progressed) -> None:
        self.progress = progress
        self.on_change()

    @property
    def written_path(self) -> str:
        """Relative where it is in the current folder."""
        if self.written is None:
            return ""
        path = Path(self.written.path)
        return f"./{path.name}" if path.parent == Path.cwd() else str(path)

    @property
    def fetch_command(self) -> str:
        """How the machine that the operator sits at fetches what was written; empty where that is this one."""
        connection = os.environ.get("SSH_CONNECTION", "").split()
        if self.written is None or len(connection) != 4:
            return ""
        host, port = connection[2], connection[3]
        host = f"[{host}]" if ":" in host else host
        flags = [*(["-P", port] if port != "22" else []), *(["-r"] if Path(self.written.path).is_dir() else [])]
        source = f"{getpass.getuser()}@{host}:{shlex.quote(str(Path(self.written.path).absolute()))}"
        return shlex.join(["scp", *flags]) + f" {source} ."

    @property
    def command(self) -> str:
        """What writes the same from a shell."""
        part = self.parts[self.part].part
        flags = [f"--from {part.from_s:.0f} --until {part.until_s or 0:.0f}"] if part.from_s is not None else []
        if part.segment_at_s is not None:
            flags = [f"--segment {self.segments[self.part]}"] if self.segments else []
        return " ".join([f"dragstrip export {self.session} --format {self.form_name}", *flags])

    @property
    def clip(self) -> tuple[str, str]:
        """What a copy takes now, and what that is."""
        if self.fetch_command:
            return self.fetch_command, "the scp command"
        if self.written is not None:
            return str(Path(self.written.path).absolute()), "the path"
        return self.command, "the command"


def writable_folders(session: Path) -> list[Path]:
    """Where it can be written: the current folder, the home, the one that holds the sessions."""
    candidates = [Path.cwd(), Path.home(), session.absolute().parent]
    return [path for path in dict.fromkeys(candidates) if os.access(path, os.W_OK | os.X_OK)]


class ExportDialog(Dialog[None]):
    """Up and down choose the form, left and right what is exported."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose('form', -1)", "previous form", show=False),
        Binding("down", "choose('form', 1)", "next form", show=False),
        Binding("left", "choose('part', -1)", "what", show=False),
        Binding("right", "choose('part', 1)", "what", show=False),
        Binding("tab", "choose('folder', 1)", "another folder", show=False),
        Binding("enter", "write", "write", show=False),
        Binding("y", "copy", "copy", show=False),
        Binding("e,q", "close", "back", show=False),
    ]

    def __init__(self, exporter: Exporter, write: Callable[[], None], copy: Callable[[str, str], None]) -> None:
        """`write` begins to write what is chosen; `copy` copies a text, and says what that was."""
        super().__init__()
        self.exporter, self._write, self._copy = exporter, write, copy
        self._rows = Rows()

    def compose(self) -> ComposeResult:
        self._rows.styles.height = FORMS_FROM_ROW + len(FORMS)
        with VerticalScroll(classes="box") as box:
            box.can_focus = False
            box.border_title = "Export"
            box.border_subtitle = "↑↓ form  ←→ what  tab folder  enter write  y copy  esc back"
            yield self._rows

    def on_mount(self) -> None:
        self.exporter.on_change = self._draw
        self._rows.styles.width = min(WIDTH, self.app.size.width - 4)
        self._draw()

    def on_unmount(self) -> None:
        self.exporter.on_change = lambda: None

    def on_resize(self, _: events.Resize) -> None:
        self._rows.styles.width = min(WIDTH, self.app.size.width - 4)
        self._draw()

    def _draw(self) -> None:
        width = min(WIDTH, self.app.size.width - 4)
        self._rows.set_rows(export_rows(self.exporter, width))

    def on_click(self, event: events.Click) -> None:
        """On a form: choose it; again, or twice: write it."""
        form = event.y - FORMS_FROM_ROW
        if event.widget is self._rows and 0 <= form < len(FORMS):
            self.exporter.choose(form=form - self.exporter.form)
            if event.chain == 2:
                self.action_write()
        elif event.widget is self._rows and event.y < 2:
            self.action_choose("part" if event.y == 0 else "folder", 1)

    def action_choose(self, what: str, by: int) -> None:
        self.exporter.choose(**{what: by})

    def action_write(self) -> None:
        if not self.exporter.writing:
            self._write()

    def action_copy(self) -> None:
        self._copy(*self.exporter.clip)


def export_rows(exporter: Exporter, width: int) -> list[Row]:
    """What, where to, how it goes in two rows, and the forms with their sizes."""
    rows = [_parts_row(exporter, width), _folder_row(exporter, width), *_status_rows(exporter, width)]
    sizes = exporter.sizes[exporter.part] if exporter.sizes else {}
    for place, (form, text) in enumerate(FORMS.items()):
        chosen = place == exporter.form
        size = f"about {numbers.size(sizes[form])}" if form in sizes else "…" if not exporter.problem else ""
        left: list[Span] = [(f" {'▸' if chosen else ' '} {form:<10}", "strong" if chosen else "")]
        left.append((text, "" if chosen else "muted"))
        rows.append(spread(left, [(f" {size} ", "strong" if chosen else "muted")], width))
    return rows


def _parts_row(exporter: Exporter, width: int) -> Row:
    """All of them where they fit, else the chosen one."""
    spans: list[Span] = [(" what ", "muted")]
    for place, part in enumerate(exporter.parts):
        spans += [(" ", ""), (f" {part.label} ", "strong reverse" if place == exporter.part else "")]
    if length(spans) > width:
        spans = [(" what ", "muted"), (f" ◀ {exporter.parts[exporter.part].label} ▶", "strong")]
    return fit(spans, width)


def _folder_row(exporter: Exporter, width: int) -> Row:
    more = "  (tab: another)" if len(exporter.folders) > 1 else ""
    folder = str(exporter.target or "no folder can be written here")
    room = width - 7 - len(more)
    folder = folder if len(folder) <= room else f"…{folder[1 - room :]}"
    return fit([(" to    ", "muted"), (sanitize(folder), ""), (more, "muted")], width)


def _status_rows(exporter: Exporter, width: int) -> tuple[Row, Row]:
    if exporter.problem:
        return fit([(f" ! {exporter.problem}", "warn")], width), fit((), width)
    if exporter.writing:
        share = exporter.progress.share if exporter.progress else 0.0
        what = exporter.progress.what if exporter.progress else "…"
        filled = round(share * BAR_CELLS)
        bar = "█" * filled + "░" * (BAR_CELLS - filled)
        row = fit([(f" writing {what:<9} ", ""), (bar, "strong"), (f" {share:4.0%}", "")], width)
        return row, fit([(" esc closes this box, and the writing goes on", "muted")], width)
    if exporter.written is not None:
        size = f"{numbers.counted(exporter.written.files, 'file')}, {numbers.size(exporter.written.size_bytes)}"
        row = fit([(" wrote ", "muted"), (sanitize(exporter.written_path), "strong"), (f"  {size}", "muted")], width)
        fetch = exporter.fetch_command or "y copies the path"
        return row, fit([(f" {fetch}", "strong" if exporter.fetch_command else "muted")], width)
    row = fit([(" enter writes it; y copies ", "muted"), (exporter.command, "")], width)
    return row, fit((), width)
