"""The index of a traffic file: for each conversation where it lies, when it is due, and how long it is.

It is made once, before the load, and lies in a file of its own that the drivers read by place: neither the file nor
its index is held in memory, however large they are.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import math
import os
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from tui.model.profile import DataProfile
from tui.model.text import UserError
from tui.traffic.forms import FORM, Form, named_form, recognise
from tui.traffic.records import Layout, file_name, layout_of, open_file, placed_records, read_span, records_in
from tui.traffic.row import Conversation, RowError

ENTRY: Final = struct.Struct("<qIIdII")  # offset, bytes, turns, due in s, prompt and output tokens of the first turn
FIELDS: Final = (
    ("offset", "<i8"),
    ("size", "<u4"),
    ("turns", "<u4"),
    ("due_s", "<f8"),
    ("prompt", "<u4"),
    ("output", "<u4"),
)
MAX_GAP_S: Final = 60.0
MAX_FIRST_TRIES: Final = 100  # records that are looked at until one tells the form


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One conversation in the index."""

    offset: int
    size: int
    turns: int
    due_s: float  # on the clock that is played; nan where the file has none
    prompt_tokens: int  # of its first request
    output_tokens: int  # 0 where the file does not tell


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """A file, what it holds, and where its index lies."""

    path: str
    index_path: str
    by_length_path: str  # row numbers, 4 bytes each, by the length of their prompts
    name: str
    form: str
    layout: Layout
    file_bytes: int
    sha256: str
    conversations: int
    requests: int
    max_turns: int
    skipped: dict[str, int] = {}  # records that cannot be sent, by why
    lost_bytes: int = 0  # of an array that is cut off: what follows its last whole object
    has_times: bool = False
    duration_s: float = 0.0  # as it is played
    gaps_cut: int = 0  # over the limit
    cut_s: float = 0.0  # by which the clock that is played is shorter than the file's
    unsorted: int = 0  # rows with a stamp before that of the row before: due at once
    shared_stamps: int = 0  # rows on the stamp of the row before, that were spread until the next one
    has_outputs: bool = False  # the file tells how long answers are

    @property
    def title(self) -> str:
        return FORM[self.form].title

    def remove(self) -> None:
        """Delete the files of the index, once nobody plays from it any more."""
        for path in (self.index_path, self.by_length_path):
            Path(path).unlink(missing_ok=True)

    @property
    def is_chat(self) -> bool:
        return FORM[self.form].chat

    @property
    def sentence(self) -> str:
        """What was left out or changed, empty where nothing was."""
        said = [f"{count:,} rows skipped: {why}" for why, count in self.skipped.items()]
        if self.lost_bytes:
            said.append(f"the file is cut off: its last {self.lost_bytes:,} bytes are no whole record")
        if self.unsorted:
            said.append(f"{self.unsorted:,} stamps lie before the row before: these rows follow it at once")
        if self.gaps_cut:
            said.append(f"{self.gaps_cut:,} pauses were cut, {self.cut_s:,.0f} s in all")
        if self.shared_stamps:
            said.append(
                f"{self.shared_stamps:,} rows share a stamp with the row before: they are spread until the next"
            )
        return "; ".join(said)


_known: Final[dict[tuple[object, ...], Index]] = {}


def index_of(data: DataProfile) -> Index:
    """The index of a profile's file, made once as long as the file does not change. UserError as `make_index`."""
    path = Path(data.file).expanduser()
    try:
        stat = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    key = (path, stat.st_size, stat.st_mtime_ns, data.form, data.max_gap_s, data.volleys)
    if key not in _known:
        index = _known[key] = make_index(path, data.form, max_gap_s=data.max_gap_s, volleys=data.volleys)
        atexit.register(index.remove)
    return _known[key]


def make_index(
    path: Path,
    form_name: str = "",
    *,
    max_gap_s: float = MAX_GAP_S,
    volleys: bool = False,
    folder: Path | None = None,
) -> Index:
    """Read the file once. UserError when it is none, has no known form, or nothing that can be sent.

    `volleys`: rows that share a stamp are due at that moment; else they are spread until the next stamp.
    """
    with open_file(path) as file:
        before = os.fstat(file.fileno())
        layout = layout_of(file)
        form = named_form(form_name) if form_name else _form_of(file, layout, str(path))
        if form.container != layout.container:
            raise UserError(f"{path} is {layout.container.upper()}, which --data-form {form.name} is not")
        skipped: Counter[str] = Counter()
        handle, index_path = tempfile.mkstemp(prefix="dragstrip-", suffix=".index", dir=folder)
        with os.fdopen(handle, "wb") as index:
            counts = _write(file, layout, form, index, skipped)
        digest, size = _digest(file)
        lost = _lost_bytes(file, layout, counts.end)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        Path(index_path).unlink()
        raise UserError(f"{path} changed while it was read: wait until it is written, or copy it")
    if not counts.conversations:
        Path(index_path).unlink()
        whys = "; ".join(f"{count:,} × {why}" for why, count in skipped.most_common(3)) or "no record"
        raise UserError(f"{path} holds nothing that can be sent as {form.title}: {whys}")
    clock = (
        _lay_out_clock(Path(index_path), max_gap_s, volleys=volleys) if counts.timed == counts.conversations else {}
    )
    return Index(
        path=str(path.resolve()),
        index_path=index_path,
        by_length_path=_sort_by_length(Path(index_path)),
        name=file_name(path),
        form=form.name,
        layout=layout,
        file_bytes=size,
        sha256=digest,
        conversations=counts.conversations,
        requests=counts.requests,
        max_turns=counts.max_turns,
        skipped=dict(skipped.most_common()),
        lost_bytes=lost,
        has_times=bool(clock),
        has_outputs=counts.with_output == counts.conversations,
        **clock,
    )


def _form_of(file: BinaryIO, layout: Layout, where: str) -> Form:
    """By the first record that is one."""
    if layout.container == "text":
        return FORM["lines"]
    for _, _, data in itertools.islice(placed_records(file, layout), MAX_FIRST_TRIES):
        try:
            return recognise(records_in(data, layout)[0], layout.container, where)
        except (RowError, IndexError):
            continue
    raise UserError(
        f"{where} holds no record that can be read: dragstrip reads JSON lines, JSON arrays, CSV and text"
    )


class _Counts(msgspec.Struct):
    conversations: int = 0
    requests: int = 0
    max_turns: int = 1
    timed: int = 0
    with_output: int = 0
    end: int = 0  # byte behind the last record


def _write(file: BinaryIO, layout: Layout, form: Form, index: BinaryIO, skipped: Counter[str]) -> _Counts:
    counts = _Counts()
    for offset, size, conversation in conversations(file, layout, form, skipped):
        counts.end = max(counts.end, offset + size)
        if conversation is None:
            continue
        first, due_s = conversation.turns[0], conversation.due_s
        counts.conversations += 1
        counts.requests += len(conversation.turns)
        counts.max_turns = max(counts.max_turns, len(conversation.turns))
        counts.timed += due_s is not None
        counts.with_output += first.output_tokens > 0
        due_s = math.nan if due_s is None else due_s
        index.write(
            ENTRY.pack(offset, size, len(conversation.turns), due_s, first.prompt_tokens, first.output_tokens)
        )
    return counts


def conversations(
    file: BinaryIO, layout: Layout, form: Form, skipped: Counter[str]
) -> Iterator[tuple[int, int, Conversation | None]]:
    """Each with its place: offset and size in bytes. None, and counted in `skipped`, if it cannot be sent."""
    if form.group_by:
        yield from _grouped(file, layout, form, skipped)
        return
    for offset, size, data in placed_records(file, layout):
        try:
            yield offset, size, parsed(data, layout, form)
        except RowError as error:
            skipped[str(error)] += 1
            yield offset, size, None


def _grouped(
    file: BinaryIO, layout: Layout, form: Form, skipped: Counter[str]
) -> Iterator[tuple[int, int, Conversation | None]]:
    """Records that follow each other and are equal in one field are one conversation."""

    def keyed() -> Iterator[tuple[object, int, int]]:
        for offset, size, data in placed_records(file, layout):
            try:
                yield records_in(data, layout)[0].get(form.group_by), offset, size
            except (RowError, IndexError) as error:
                skipped[str(error)] += 1

    fd = file.fileno()
    for _, group in itertools.groupby(keyed(), key=lambda each: each[0]):
        places = [(offset, size) for _, offset, size in group]
        begun, end = places[0][0], places[-1][0] + places[-1][1]
        try:
            yield begun, end - begun, parsed(read_span(fd, (begun, end - begun)), layout, form)
        except RowError as error:
            skipped[str(error)] += 1
            yield begun, end - begun, None


def parsed(data: bytes, layout: Layout, form: Form) -> Conversation:
    """What these bytes hold. RowError when it cannot be sent."""
    records = records_in(data, layout)
    if not records:
        raise RowError("empty line")
    try:
        if form.read_group is not None:
            return form.read_group(records)
        assert form.read is not None
        return form.read(records[0])
    except (AttributeError, TypeError, KeyError, ValueError):
        raise RowError("fields of another kind than the form has") from None


def _digest(file: BinaryIO) -> tuple[str, int]:
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return digest, file.tell()


def _lost_bytes(file: BinaryIO, layout: Layout, end: int) -> int:
    """What follows the last whole object of an array, if that is not its end."""
    if not layout.is_array:
        return 0
    file.seek(end)
    rest = file.read(1 << 16)
    whole = b"]" in rest if layout.start else True
    if whole and not rest.strip(b" \t\r\n,]}"):
        return 0
    return os.fstat(file.fileno()).st_size - end


def columns_of(index_path: Path) -> Any:
    """The index as a numpy record array, mapped: a column by its name in `FIELDS`."""
    import numpy as np

    return np.memmap(index_path, dtype=np.dtype(list(FIELDS)), mode="r+")


def _sort_by_length(index_path: Path) -> str:
    import numpy as np

    path = index_path.with_suffix(".lengths")
    np.argsort(columns_of(index_path)["prompt"], kind="stable").astype("<u4").tofile(path)
    return str(path)


def _lay_out_clock(index_path: Path, max_gap_s: float, *, volleys: bool) -> dict[str, Any]:
    """Turn the file's stamps into the clock that is played, from 0 s; what was changed, as fields of `Index`."""
    import numpy as np

    entries = columns_of(index_path)
    stamps = np.array(entries["due_s"])
    stamps -= stamps[0]
    sorted_stamps = np.maximum.accumulate(np.maximum(stamps, 0.0))
    unsorted = int((stamps < sorted_stamps).sum())
    moments, first, rows = np.unique(sorted_stamps, return_index=True, return_counts=True)
    steps = np.diff(moments)
    cut = np.minimum(steps, max_gap_s)
    played = np.concatenate(([0.0], np.cumsum(cut)))
    usual = float(np.median(cut)) if len(cut) else 0.0
    shared = int((rows - 1).sum())
    due = np.repeat(played, rows)
    if shared and not volleys:
        until_next = np.minimum(np.append(cut, usual), usual)
        place = np.arange(len(due)) - np.repeat(first, rows)
        due = due + place / np.repeat(rows, rows) * np.repeat(until_next, rows)
    entries["due_s"] = due
    entries.flush()
    return {
        "duration_s": float(due[-1]),
        "gaps_cut": int((steps > max_gap_s).sum()),
        "cut_s": float((steps - cut).sum()),
        "unsorted": unsorted,
        "shared_stamps": 0 if volleys else shared,
    }
