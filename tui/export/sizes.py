"""How large an export will be, told before it is written: from the numbers of rows, without writing any."""

from collections.abc import Mapping
from typing import Final

from tui.model.rows import TableName


def _sum(*forms: Mapping[str, float]) -> dict[str, float]:
    return {name: sum(form.get(name, 0) for form in forms) for name in {name for form in forms for name in form}}


# Bytes of a row in each format, measured on recordings of two H100 GPUs with and without chunks; "" is for the file
# itself. A tool's format holds requests, and the times between their chunks.
_CSV: Final[Mapping[str, float]] = {"requests": 143, "chunks": 24, "seconds": 215, "gauges": 47, "events": 60}
_JSON: Final = {"requests": 528, "chunks": 104, "seconds": 575, "gauges": 93, "events": 112}
_PARQUET: Final = {"": 20_000, "requests": 28, "chunks": 1.3, "seconds": 110, "gauges": 2.8, "events": 10}
_REPORT: Final = {"": 30_000}
_PICTURE: Final = {"": 20_000, "seconds": 22}
_PNG: Final = {"": 260_000}
BYTES_PER_ROW: Final[Mapping[str, Mapping[str, float]]] = {
    "bundle": _sum(_PARQUET, _REPORT, _PICTURE, _PNG),
    "csv": _CSV,
    "parquet": _PARQUET,
    "json": _JSON,
    "ndjson": _JSON,
    "vllm": {"requests": 69, "chunks": 9.7},
    "sglang": {"requests": 31, "chunks": 9.7},
    "guidellm": {"requests": 720},
    "aiperf": {"requests": 749, "chunks": 9.4},
    "markdown": {"": 8_000},
    "html": _REPORT,
    "svg": _PICTURE,
    "png": _PNG,
}


def estimated_bytes(rows: Mapping[TableName, int]) -> dict[str, int]:
    """By format, for a part of a session with so many rows in its tables; right to within a half."""
    return {form: round(_bytes(rows, size)) for form, size in BYTES_PER_ROW.items()}


def _bytes(rows: Mapping[TableName, int], size: Mapping[str, float]) -> float:
    return size.get("", 0) + sum(count * size.get(table, 0) for table, count in rows.items())
