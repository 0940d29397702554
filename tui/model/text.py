"""Text from a server is hostile until cleaned.

The one error an operator sees.
"""

from __future__ import annotations

import re
import unicodedata

# CSI and OSC sequences, other escapes, then every control and format character (bidi overrides among them).
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]|\x9b[0-?]*[ -/]*[@-~]")


def sanitize(text: object, limit: int = 200) -> str:
    """One line of printable text, at most `limit` characters, with no escape codes and no control characters.

    What it returns is still not markup: a widget shows it as plain text.
    """
    raw = _ESCAPES.sub("", str(text)[: limit * 8])
    kept = "".join(" " if ch.isspace() else ch for ch in raw if ch.isspace() or unicodedata.category(ch)[0] != "C")
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class UserError(Exception):
    """Something the operator can mend, in one sentence that says what is wrong and what to do. Exit code 2."""
