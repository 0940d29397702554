"""Which field a server may refuse, from whatever shape its refusal has. A further request shows which one it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tui.net.http import Answer

# Without these there is no request to measure.
_NEEDED: Final = frozenset({"model", "messages", "prompt", "input_ids", "text", "inputs", "stream"})
# Keys of an error under which servers name the field, by a name or by a path.
_PLACES: Final = frozenset(
    {"param", "parameter", "field", "fields", "loc", "location", "path", "pointer", "property"}
)
_ECHOES: Final = frozenset({"input", "ctx", "url", "request", "body", "id", "request_id"})  # not the server's words
# The name of a field, as what to do instead or what the field is called now.
_INSTEAD: Final = re.compile(
    r"(?:\b(?:use|send|try|set|specify|provide|mean|meant|called|named|by|to|with|of|is|for)|->|→|=>)"
    r"\s+(?:the\s+)?(?:(?:new\s+)?(?:field|parameter|param|name|key)\s+)?"
    r"(?P<quote>[`'\"]?)(?P<name>[A-Za-z]\w*)(?P=quote)",
    re.IGNORECASE,
)
_LENGTHS: Final = ("max_tokens", "max_completion_tokens")  # of the official API, the old name and the new one
_WORDS_LIMIT: Final = 4000


@dataclass(frozen=True, slots=True)
class FieldChange:
    """Leave the field out, or send it under another name."""

    field: str  # a dot leads into a field
    new: str = ""


def proposals(answer: Answer, sent: Mapping[str, Any]) -> list[FieldChange]:
    """What might make the server take the request, the likeliest first; empty: it names no field that was sent.

    A length is never left out, because answers would have no end.
    """
    decoded = answer.json()
    words = " ".join(_words(decoded)) if isinstance(decoded, dict | list) else answer.body.decode("utf-8", "replace")
    words = words[:_WORDS_LIMIT]
    fields = dict.fromkeys([*_at_places(decoded, sent), *_mentioned(words, sent)])
    changes: list[FieldChange] = []
    for field in fields:
        if field.partition(".")[0] in _NEEDED:
            continue
        changes += [FieldChange(field, new) for new in _other_names(field, words, sent)]
        if not _is_length(field):
            changes.append(FieldChange(field))
    return changes


def fingerprint(answer: Answer) -> str:
    """The answer without what differs from request to request, to see whether two refuse the same."""
    decoded = answer.json()
    words = " ".join(_words(decoded)) if isinstance(decoded, dict | list) else answer.body.decode("utf-8", "replace")
    return f"{answer.status} {re.sub(r'[0-9a-fA-F-]*[0-9][0-9a-fA-F-]*', '#', words)}"


def _is_length(field: str) -> bool:
    name = field.rpartition(".")[2]
    return "max" in name and ("token" in name or "length" in name)


def _words(value: object, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if key not in _ECHOES:
            yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner, key)
    elif isinstance(value, dict) and key not in _ECHOES:
        for name, inner in value.items():
            yield from _words(inner, name)


def _at_places(value: object, sent: Mapping[str, Any]) -> Iterator[str]:
    """The sent fields that an error names under a key for that."""
    if isinstance(value, list):
        for inner in value:
            yield from _at_places(inner, sent)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _PLACES and (field := _resolve(inner, sent)):
                yield field
            elif name not in _ECHOES:
                yield from _at_places(inner, sent)


def _resolve(place: object, sent: Mapping[str, Any]) -> str:
    """The sent field at that path, as far down as it was sent; empty when there is none."""
    parts = place if isinstance(place, list) else re.split(r"[./\[\]]+", place) if isinstance(place, str) else []
    known: list[str] = []
    fields: Any = sent
    for part in parts:
        if isinstance(fields, dict) and isinstance(part, str) and part in fields:
            known.append(part)
            fields = fields[part]
        elif known:
            break
    return ".".join(known)


def _mentioned(words: str, sent: Mapping[str, Any]) -> list[str]:
    """The sent fields that the words name, in their order; a field in a field goes before that."""
    at: dict[str, tuple[int, int]] = {}
    for field, depth in _paths(sent):
        if match := re.search(rf"(?<!\w){re.escape(field.rpartition('.')[2])}(?!\w)", words):
            at[field] = (match.start(), -depth)
    for field in [field for field in at if "." in field]:
        outer = field.partition(".")[0]
        if outer in at:
            at[field] = min(at[field], (at[outer][0], -2))
    return sorted(at, key=lambda field: at[field])


def _paths(sent: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in sent.items():
        yield name, 1
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", 2) for inner in value)


def _other_names(field: str, words: str, sent: Mapping[str, Any]) -> Iterator[str]:
    """What else the field may be called: as the words say, or by its other official name."""
    if "." in field:
        return
    for match in _INSTEAD.finditer(words):
        name = match["name"]
        looks_like_a_field = bool(match["quote"]) or "_" in name
        if looks_like_a_field and name not in sent and name.lower() not in ("true", "false", "null", "none"):
            yield name
    if field in _LENGTHS:
        yield from (name for name in _LENGTHS if name not in sent)
