"""An export in a process of its own: sizes told before, progress, free names, one sentence when it cannot be."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tui.export.formats import FORMATS, export
from tui.export.process import ExportProcess, Part, Progressed
from tui.export.sizes import BYTES_PER_ROW, estimated_bytes
from tui.model.rows import TABLES, TableName
from tui.model.text import UserError
from tui.recording.reader import Selection, open_session

TOP = Path(__file__).parents[2]
SHIPPED = TOP / "profiles" / "sessions" / "h100-concurrent"


@pytest.fixture
async def process() -> AsyncIterator[ExportProcess]:
    process = ExportProcess(SHIPPED)
    yield process
    await process.close()


async def test_it_tells_sizes_and_writes_under_free_names(process: ExportProcess, tmp_path: Path) -> None:
    sizes = await process.sizes([Part(), Part(20.0, 40.0), Part(segment_at_s=30.0)])
    whole, window, setting = sizes.by_part
    assert sizes.segments == [None, None, 1]
    assert set(whole) == set(FORMATS)
    assert 0 < window["csv"] < setting["csv"] <= whole["csv"]
    progress: list[Progressed] = []
    first = await process.write(Part(), "csv", tmp_path, progress.append)
    assert first.path == str(tmp_path / "h100-concurrent-csv")
    assert first.files == len(TABLES)
    assert whole["csv"] / 2 < first.size_bytes < whole["csv"] * 2
    assert all(0 <= step.share <= 1 for step in progress)
    assert {step.what for step in progress} <= {*TABLES}
    again = await process.write(Part(), "csv", tmp_path, progress.append)
    assert again.path == str(tmp_path / "h100-concurrent-csv_2")
    page = await process.write(Part(20.0, 40.0), "html", tmp_path, progress.append)
    assert page.path == str(tmp_path / "h100-concurrent-20-40.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "h100-concurrent-20-40.html", "h100-concurrent-csv", "h100-concurrent-csv_2",
    ]  # fmt: skip


async def test_what_cannot_be_is_one_sentence_and_leaves_nothing(process: ExportProcess, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a bundle is the whole session"):
        await process.write(Part(20.0, 40.0), "bundle", tmp_path, lambda _: None)
    with pytest.raises(UserError, match="cannot write in"):
        await process.write(Part(), "csv", Path("/proc"), lambda _: None)
    assert list(tmp_path.iterdir()) == []


async def test_a_process_that_died_is_one_sentence(process: ExportProcess, tmp_path: Path) -> None:
    await process.sizes([Part()])
    await process.close()
    with pytest.raises(UserError, match="ended"):
        await process.write(Part(), "csv", tmp_path, lambda _: None)


@pytest.mark.parametrize("with_chunks", [True, False])
def test_the_size_told_is_right_to_within_a_half(with_chunks: bool, tmp_path: Path) -> None:
    session = open_session(SHIPPED)
    tables: tuple[TableName, ...] = TABLES if with_chunks else ("requests", "seconds", "gauges", "events")
    rows = {table: session.scan(table).collect().height for table in tables}
    estimated = estimated_bytes(rows)
    assert set(estimated) == set(FORMATS) == set(BYTES_PER_ROW)
    for form in ("csv", "parquet", "json", "ndjson", *(("vllm", "svg") if with_chunks else ())):
        files = export(session, form, tmp_path / form, Selection(tables))
        size = sum(file.size_bytes for file in files)
        assert estimated[form] / 1.5 < size < estimated[form] * 1.5, form
