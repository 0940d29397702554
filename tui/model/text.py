"""Text for the operator: what a server sends, sanitized, and the one error to be shown."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "(not recorded)"  # in place of a secret

# CSI and OSC sequences, other escapes, then every control and format character (bidi overrides among them).
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]|\x9b[0-?]*[ -/]*[@-~]")


def sanitize(text: object, limit: int = 200) -> str:
    """One line of at most `limit` printable characters, without escape codes and control characters.

    It may still look like markup: widgets show it as plain text.
    """
    raw = _ESCAPES.sub("", str(text)[: limit * 8])
    printable = "".join(ch for ch in raw if ch.isspace() or unicodedata.category(ch)[0] != "C")
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def clean_url(url: str) -> str:
    """A URL without user, password, query and fragment. What is no URL comes back unchanged."""
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class UserError(Exception):
    """Something the operator can fix, in one sentence that says what is wrong and what to do. Exit code 2."""


class NotUpError(UserError):
    """Nobody answers yet, or only to say that it is not ready: what a server that is starting looks like."""
