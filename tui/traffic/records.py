"""The records of a file: where each lies, and its fields. A file is read once from end to end, and then by place.

Nothing is mapped into memory: a file that is cut while it is read would end the process.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from tui.model.text import UserError, sanitize
from tui.traffic.forms import Container
from tui.traffic.row import RowError

MAX_RECORD_BYTES: Final = 64 << 20  # more on one line is no record
CHUNK_BYTES: Final = 1 << 20
_LFS: Final = b"version https://git-lfs.github.com/spec/"
_BOM: Final = b"\xef\xbb\xbf"
_MAGIC: Final = {
    b"\x1f\x8b": "is compressed: unpack it with gunzip first",
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed: unpack it with zstd -d first",
    b"PAR1": "is a Parquet file, which is not read: write it as JSON lines or CSV",
}
# The end of a text, or of the bytes at hand in the middle of one.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}]', re.DOTALL)
_WRAPPED_ARRAY: Final = re.compile(rb'\s*\{\s*"(?:data|rows|items)"\s*:\s*\[')

Span = tuple[int, int]  # offset and size in bytes
Placed = tuple[int, int, bytes]  # the same, and the bytes; none where there are more than `MAX_RECORD_BYTES`


class Layout(msgspec.Struct, frozen=True):
    """How the records of a file lie in it."""

    container: Container
    start: int = 0  # byte at which they begin
    is_array: bool = False  # JSON records in an array, not a line each
    columns: list[str] = []
    delimiter: str = ","


def open_file(path: Path) -> BinaryIO:
    """The file, to be read anywhere. UserError when it is none, or nothing that can be read."""
    try:
        if path.exists() and not path.is_file():
            kind = (
                "a folder" if path.is_dir() else "a pipe or a device, which cannot be read twice: save it to a file"
            )
            raise UserError(f"{path} is {kind}; --data takes a file")
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    head = file.read(256)
    why = next((why for magic, why in _MAGIC.items() if head.startswith(magic)), "")
    if head.startswith(_LFS):
        why = "is a Git LFS pointer, not the data: run `git lfs pull` where it lies"
    if not head.strip():
        why = "is empty"
    if why:
        file.close()
        raise UserError(f"{path} {why}")
    return file


def layout_of(file: BinaryIO) -> Layout:
    """How the records lie, by the file's first bytes."""
    file.seek(0)
    head = file.read(CHUNK_BYTES)
    start = len(_BOM) if head.startswith(_BOM) else 0
    if wrapped := _WRAPPED_ARRAY.match(head, start):
        return Layout("json", wrapped.end(), is_array=True)
    first = head[start:].lstrip()
    if first[:1] == b"[":
        return Layout("json", head.index(b"[", start) + 1, is_array=True)
    if first[:1] == b"{":
        line, newline, _ = first.partition(b"\n")
        broken_up = bool(newline) and line.strip() in (b"{", b"")
        return Layout("json", start, is_array=broken_up)
    line, _, _ = head[start:].partition(b"\n")
    text = line.decode("utf-8", "replace").strip("\r")
    delimiter = max((",", ";", "\t"), key=text.count)
    names = next(csv.reader([text], delimiter=delimiter), [])
    if len(names) > 1 and all(0 < len(name.strip()) <= 40 for name in names):
        return Layout("csv", start + len(line) + 1, columns=[name.strip() for name in names], delimiter=delimiter)
    if text.strip().strip('"').lower() in ("prompt", "text", "question", "instruction"):
        return Layout("csv", start + len(line) + 1, columns=[text.strip().strip('"').lower()])
    return Layout("text", start)


def placed_records(file: BinaryIO, layout: Layout) -> Iterator[Placed]:
    """Each record with its place. One that is cut off at the end of an array is not among them."""
    file.seek(layout.start)
    if layout.is_array:
        return _objects(file, layout.start)
    lines = _lines(file, layout.start)
    return _quoted(lines) if layout.container == "csv" else lines


def _lines(file: BinaryIO, offset: int) -> Iterator[Placed]:
    rest, size = b"", 0  # of a line that is not at its end, and its length, of which `rest` may have none
    while chunk := file.read(CHUNK_BYTES):
        first, *lines = chunk.split(b"\n")
        rest = b"" if size + len(first) > MAX_RECORD_BYTES else rest + first
        size += len(first)
        for line in lines:
            if size:
                yield offset, size, rest
            offset += size + 1
            rest, size = line, len(line)
    if size:
        yield offset, size, rest


def _quoted(lines: Iterator[Placed]) -> Iterator[Placed]:
    """Lines of a CSV, joined where a line end stands between quotes."""
    begun, parts = 0, list[bytes]()
    for offset, size, data in lines:
        odd = b'"' in data and data.count(b'"') % 2 == 1
        if not parts and not odd:
            yield offset, size, data
            continue
        begun = begun if parts else offset
        parts.append(data)
        if (odd and len(parts) > 1) or offset + size - begun > MAX_RECORD_BYTES:
            joined = b"\n".join(parts)
            yield begun, len(joined), joined
            parts = []
    if parts:
        joined = b"\n".join(parts)
        yield begun, len(joined), joined


def _objects(file: BinaryIO, offset: int) -> Iterator[Placed]:
    """The whole objects of an array, whatever lies between them."""
    buffer, at, depth, begun = b"", 0, 0, 0
    step = CHUNK_BYTES
    while chunk := file.read(step):
        buffer += chunk
        cut = False
        for token in _TOKEN.finditer(buffer, at):
            if buffer[token.start()] == 0x22:  # a text
                if token.end() == len(buffer) and not _is_closed(buffer, token.start()):
                    at, cut = token.start(), True
                    break
            elif token[0] == b"{":
                begun = token.start() if depth == 0 else begun
                depth += 1
            elif depth:
                depth -= 1
                if depth == 0:
                    yield offset + begun, token.end() - begun, buffer[begun : token.end()]
            at = token.end()
        if not cut:
            at = len(buffer)
        keep = begun if depth else at
        if len(buffer) - keep > MAX_RECORD_BYTES:
            raise UserError(f"a record of over {MAX_RECORD_BYTES >> 20} MB begins at byte {offset + keep}")
        buffer, offset, at, begun = buffer[keep:], offset + keep, at - keep, 0
        step = max(CHUNK_BYTES, len(buffer))  # what is read again grows less than what is new


def _is_closed(buffer: bytes, start: int) -> bool:
    """Whether the text that begins at `start` and reaches the end of the buffer ends there with its quote."""
    if len(buffer) - start < 2 or buffer[-1] != 0x22:
        return False
    text = buffer[start + 1 : -1]
    return (len(text) - len(text.rstrip(b"\\"))) % 2 == 0


def read_span(fd: int, span: Span) -> bytes:
    """The bytes of a record. RowError when the file no longer has them, or they are too many."""
    offset, size = span
    data = os.pread(fd, size, offset)
    while data and len(data) < size and (more := os.pread(fd, size - len(data), offset + len(data))):
        data += more
    if len(data) < size:
        raise RowError("no longer in the file")
    return data


_decode = msgspec.json.Decoder().decode


def records_in(data: bytes, layout: Layout) -> list[Mapping[str, Any]]:
    """The records in these bytes: one, or those of a group, a line each. RowError when it is none."""
    if not data:
        raise RowError(f"over {MAX_RECORD_BYTES >> 20} MB on one line")
    if layout.container == "json":
        if layout.is_array:
            return [_json_record(data)]
        return [_json_record(line) for line in data.split(b"\n") if line.strip()]
    try:
        text = data.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        raise RowError("not UTF-8") from None
    if layout.container == "text":
        if not text.strip():
            raise RowError("empty line")
        return [{"prompt": text}]
    try:
        values = (
            text.split(layout.delimiter)
            if '"' not in text
            else next(csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter), [])
        )
    except csv.Error:
        raise RowError("not CSV") from None
    if len(values) < len(layout.columns):
        raise RowError("fewer columns than the header")
    return [dict(zip(layout.columns, values, strict=False))]


def _json_record(data: bytes) -> Mapping[str, Any]:
    try:
        record = _decode(data.strip().rstrip(b","))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RowError("not JSON") from None
    if isinstance(record, str):
        return {"prompt": record}
    if not isinstance(record, dict):
        raise RowError("not a JSON object")
    return record


def file_name(path: Path) -> str:
    """As it is shown and recorded."""
    return sanitize(path.name, 80)
