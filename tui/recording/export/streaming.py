"""A JSON value whose lists are too long to hold: they are written item by item."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

_BATCH = 4096


def place(name: str) -> str:
    """Stands in a value where the list of that name goes."""
    return f"\0list {name}\0"


def write_filled(path: Path, value: Any, lists: Mapping[str, Iterable[Any]]) -> None:
    """Write a value with each list put in its place. The lists are taken in the order of their places."""
    rest = msgspec.json.encode(value)
    with path.open("wb") as file:
        for name, items in lists.items():
            before, found, rest = rest.partition(msgspec.json.encode(place(name)))
            assert found, f"no place for {name}"
            file.write(before)
            _write_list(file, items)
        file.write(rest + b"\n")


def write_object(path: Path, head: Mapping[str, Any], lists: Mapping[str, Iterable[Any]]) -> None:
    """One object in one line: the keys of `head`, then those of `lists`."""
    write_filled(path, {**head, **{name: place(name) for name in lists}}, lists)


def write_lines(path: Path, items: Iterable[Any]) -> None:
    """One JSON value a line."""
    with path.open("wb") as file:
        for item in items:
            file.write(msgspec.json.encode(item) + b"\n")


def _write_list(file: BinaryIO, items: Iterable[Any]) -> None:
    waiting: list[bytes] = []
    separator = b"["
    for item in items:
        waiting.append(msgspec.json.encode(item))
        if len(waiting) == _BATCH:
            file.write(separator + b",".join(waiting))
            waiting, separator = [], b","
    file.write(separator + b",".join(waiting) + b"]" if waiting or separator == b"[" else b"]")
