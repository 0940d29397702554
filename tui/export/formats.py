"""The export formats by name, and the one way to write them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl

from tui.export import aiperf, bundle, charts, guidellm, sglang, vllm
from tui.export import job as tables
from tui.export.job import ExportedFile, Job, Progress, exported
from tui.model.text import UserError
from tui.recording.reader import RecordedSession, Selection
from tui.recording.redact import private_texts, session_without_places
from tui.recording.tape import tables_from, token_gaps
from tui.report.document import Document, markdown, page
from tui.report.session import session_report


def _write_report(job: Job, suffix: str, render: Callable[[Document], str]) -> list[ExportedFile]:
    session_tables = tables_from(job.info, job.selection, job.rows)
    document = session_report(session_tables, token_gaps(job.session, job.selection))
    path = job.path(job.session.name, suffix, alone=True)
    path.write_text(render(document), "utf-8")
    return [exported(path, "report", session_tables.requests.height)]


_html = partial(_write_report, suffix=".html", render=page)
_markdown = partial(_write_report, suffix=".md", render=markdown)
_BUNDLED: dict[str, Callable[[Job], list[ExportedFile]]] = {
    "report.html": _html, "report.md": _markdown, "charts.svg": charts.write_svg, "charts.png": charts.write_png,
}  # fmt: skip

FORMATS: dict[str, Callable[[Job], list[ExportedFile]]] = {
    "bundle": partial(bundle.write_bundle, extras=_BUNDLED),
    "csv": tables.write_csv,
    "parquet": tables.write_parquet,
    "json": tables.write_json,
    "ndjson": tables.write_ndjson,
    "vllm": vllm.write_vllm,
    "sglang": sglang.write_sglang,
    "guidellm": guidellm.write_guidellm,
    "aiperf": aiperf.write_aiperf,
    "markdown": _markdown,
    "html": _html,
    "svg": charts.write_svg,
    "png": charts.write_png,
}


def export(
    session: RecordedSession,
    name: str,
    target: Path,
    selection: Selection | None = None,
    progress: Progress | None = None,
) -> list[ExportedFile]:
    """Write a session, or a part of it, in the format of that name.

    `target` is a folder, or a file's name where the format writes one file. Raises UserError for an unknown format, a
    file that exists and a place that cannot be written.
    """
    if name not in FORMATS:
        raise UserError(f"there is no export format {name!r}: choose one of {', '.join(FORMATS)}")
    selection = selection or Selection()
    info = session_without_places(session.info) if selection.redact else session.info
    private = private_texts(session.info) if selection.redact else ()
    try:
        return FORMATS[name](Job(session, selection, target, info, private, progress))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"cannot export to {target} ({error}): name another place, or make room") from error
