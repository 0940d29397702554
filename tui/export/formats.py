"""Every export format by its name, and the one way in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tui.export import aiperf, charts, guidellm, report, sglang, tables, vllm
from tui.export.job import ExportedFile, Job, Progress
from tui.model.text import UserError
from tui.recording.reader import RecordedSession, Selection
from tui.recording.redact import private_texts, session_without_places


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file that a session can become."""

    name: str
    sentence: str
    write: Callable[[Job], list[ExportedFile]]


_ALL = (
    Format("csv", "our tables, a CSV file each", tables.write_csv),
    Format("parquet", "our tables, a Parquet file each", tables.write_parquet),
    Format("json", "our tables in one JSON object", tables.write_json),
    Format("ndjson", "our tables, a file of JSON lines each", tables.write_ndjson),
    Format("vllm", "the result of `vllm bench serve --save-detailed`, a file a lane", vllm.write_vllm),
    Format("sglang", "the result of `sglang.bench_serving --output-details`, a file a lane", sglang.write_sglang),
    Format("guidellm", "GuideLLM's benchmarks.json, a file a lane", guidellm.write_guidellm),
    Format("aiperf", "AIPerf's summary and records, a folder a lane", aiperf.write_aiperf),
    Format("markdown", "tables and verdicts as Markdown", report.write_markdown),
    Format("html", "the report as one page that needs no network", report.write_html),
    Format("svg", "throughput and latency percentiles over time, both lanes, as one picture", charts.write_svg),
    Format("png", "the same picture for where SVG is not shown; needs `dragstrip[png]`", charts.write_png),
)
FORMATS: dict[str, Format] = {of.name: of for of in _ALL}


def export(
    recorded: RecordedSession,
    name: str,
    target: Path,
    selection: Selection | None = None,
    progress: Progress | None = None,
) -> list[ExportedFile]:
    """Write a session, or a part of it, in the format of that name.

    `target` is a folder, or a file's name where the format writes one file. Returns what was written. Raises
    UserError for an unknown format or a place that cannot be written.
    """
    if name not in FORMATS:
        raise UserError(f"there is no export format {name!r}: choose one of {', '.join(FORMATS)}")
    selection = selection or Selection()
    info = session_without_places(recorded.info) if selection.redact else recorded.info
    private = private_texts(recorded.info) if selection.redact else ()
    job = Job(recorded, selection, target, info, private, progress)
    try:
        return FORMATS[name].write(job)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"cannot export to {target} ({error}): name another place, or make room") from error
