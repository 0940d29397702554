"""A JSON object whose lists are too long to hold: they are written item by item."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

_BATCH = 4096


def write_object(path: Path, head: Mapping[str, Any], lists: Mapping[str, Iterable[Any]]) -> None:
    """One object in one line: the keys of `head`, then those of `lists`."""
    with path.open("wb") as file:
        file.write(msgspec.json.encode(head)[:-1])
        for name, items in lists.items():
            file.write(b", %s: [" % msgspec.json.encode(name))
            waiting: list[bytes] = []
            separator = b""
            for item in items:
                waiting.append(msgspec.json.encode(item))
                if len(waiting) == _BATCH:
                    file.write(separator + b", ".join(waiting))
                    waiting, separator = [], b", "
            if waiting:
                file.write(separator + b", ".join(waiting))
            file.write(b"]")
        file.write(b"}\n")
