"""Where in a TOML text a key stands, so that an error can name its line."""

import re

_HEADER = re.compile(r"^\s*\[+\s*([\w.\-\"' ]+?)\s*\]+\s*(#.*)?$")
_KEY = re.compile(r"^\s*([\w.\-\"']+)\s*=")


def line_of(text: str, path: tuple[str, ...]) -> int:
    """Line number (from 1) of the key at `path`, else of the nearest table around it, else 1."""
    best, best_depth = 1, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            here = table = _split(header[1])
        elif key := _KEY.match(line):
            here = (*table, *_split(key[1]))
        else:
            continue
        depth = len(here)
        if here == path[:depth] and depth > best_depth:
            best, best_depth = number, depth
    return best


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
