"""The report of a session as Markdown and as one HTML page."""

from collections.abc import Callable

from tui.export.job import ExportedFile, Job, exported
from tui.recording.tables import tables_from, token_gaps
from tui.report.document import Document, markdown, page
from tui.report.session import session_report


def write_markdown(job: Job) -> list[ExportedFile]:
    """One Markdown file: tables and verdicts, no charts."""
    return _write(job, ".md", markdown)


def write_html(job: Job) -> list[ExportedFile]:
    """One HTML page that needs nothing from outside."""
    return _write(job, ".html", page)


def _write(job: Job, suffix: str, told: Callable[[Document], str]) -> list[ExportedFile]:
    tables = tables_from(job.info, job.selection, job.rows)
    document = session_report(tables, token_gaps(job.recorded, job.selection))
    path = job.path(job.recorded.name, suffix, alone=True)
    path.write_text(told(document), "utf-8")
    return [exported(path, "report", tables.requests.height)]
